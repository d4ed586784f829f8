"""`voxwatch bench streams`: how many live streams one server carries, over real WebSockets.

A server of its own process, clients in another (`streamer.bench.clients`): all speaking, in
real time, two scores a second each. The largest number whose scores come in time, batched
and one job at a time in the same run, with the server's CPU split into model, detector and
everything else; what a silent stream costs; what a stream costs in memory; how soon the
server is ready.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.format import SAMPLE_BYTES, SAMPLE_RATE_HZ, unit
from engine.model.bundle import load_bundle
from engine.scoring.voiceprints import Prototype
from streamer.bench import engine
from streamer.bench.load import SCORES_KEPT, search
from streamer.bench.processes import CLAIM, Clients, burden, server
from streamer.bench.sound import loops
from streamer.store.keys import load_key
from streamer.store.profile import Consent
from streamer.store.store import Store

if TYPE_CHECKING:
    from streamer.commands.bench import BenchStreams

DELAY_S = 0.25  # what p99 of score received minus last sample sent must keep
IDLE_STREAMS = 50
SOUND_S = 20.0
SETTLE_S = 4.0  # every stream is past its short first windows


@dataclass(frozen=True, slots=True)
class ServerTrial:
    """So many streams for a while, as the clients and the server's own figures tell it.

    CPU is in milliseconds per second of one stream. ``memory_mb`` is the server's resident
    memory, ``memory_mb_per_stream`` what it has grown by since it was ready. Delays hold the
    way through both sockets and the clients' own lateness. ``alone_per_s`` are the scores that a
    stream has alone, with the same speech.
    """

    streams: int
    batching: bool
    silent: bool
    scores_per_s: float
    alone_per_s: float
    p50_ms: float
    p99_ms: float
    clients_behind_ms: float
    lags: int
    lost: int
    model_ms: float
    vad_ms: float
    rest_ms: float
    rest_share: float
    cpu_cores: float
    per_batch: float
    memory_mb: float
    memory_mb_per_stream: float

    def kept(self) -> bool:
        """Whether every stream had its scores, and in time."""
        enough = 0 < SCORES_KEPT * self.alone_per_s <= self.scores_per_s
        return enough and not self.lags and not self.lost and self.p99_ms <= 1000 * DELAY_S


@dataclass(frozen=True, slots=True)
class ServerReport:
    """Everything measured. ``gain`` is the batched streams over those of one job at a time."""

    machine: dict[str, str | int | float]
    ready_s: float
    batched: ServerTrial | None
    single: ServerTrial | None
    gain: float | None
    idle: ServerTrial
    trials: list[ServerTrial] = field(default_factory=list)

    def json(self) -> str:
        """The whole report."""
        return json.dumps(asdict(self), indent=2)

    def table(self) -> str:
        """The whole report but for the single trials, for people."""
        lines = [f"{key}: {value}" for key, value in self.machine.items()]
        lines += [
            "",
            f"ready after {self.ready_s:.2f} s",
            f"streams with p99 <= {1000 * DELAY_S:g} ms, clients on the same machine:",
            f"{'':17s}streams    p50 ms    p99 ms   CPU ms per stream-second: model    VAD"
            "   rest  rest share   MB/stream",
        ]
        rows = {"batched": self.batched, "one job a time": self.single, "silent": self.idle}
        lines += [_row(name, trial) for name, trial in rows.items()]
        return "\n".join([*lines, f"gain of batching: {self.gain:.2f}" if self.gain else "gain: -"])


def _row(name: str, trial: ServerTrial | None) -> str:
    if trial is None:
        return f"{name:17s}{'none':>7s}"
    return (
        f"{name:17s}{trial.streams:7d}{trial.p50_ms:10.1f}{trial.p99_ms:10.1f}"
        f"{trial.model_ms:34.2f}{trial.vad_ms:7.2f}{trial.rest_ms:7.2f}{trial.rest_share:12.2f}"
        f"{trial.memory_mb_per_stream:12.2f}"
    )


def run(options: BenchStreams, progress: Callable[[str], None] = lambda line: None) -> ServerReport:
    """Measure, which takes some minutes. ``progress`` is told what comes next."""
    trials: list[ServerTrial] = []
    found: list[ServerTrial | None] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options)
        with server(folder, options.bundle, options.provider, batching=True) as served:
            ready_s = served.ready_s
            progress(f"{IDLE_STREAMS} silent streams")
            with burden(served, folder / "silence.raw", options.seconds, SETTLE_S) as clients:
                idle = measured(clients, IDLE_STREAMS, silent=True)
            progress("one stream alone")
            with burden(served, folder / "speech.raw", options.seconds, SETTLE_S) as clients:
                alone_per_s = measured(clients, 1).scores_per_s
        for batching in (True, False):

            def attempt(streams: int, batching: bool = batching) -> ServerTrial:
                progress(f"{streams} streams, {'batched' if batching else 'one job at a time'}")
                with (
                    server(folder, options.bundle, options.provider, batching=batching) as served,
                    burden(served, folder / "speech.raw", options.seconds, SETTLE_S) as clients,
                ):
                    trials.append(measured(clients, streams, alone_per_s=alone_per_s))
                return trials[-1]

            found.append(_largest(attempt, options.streams))
    batched, single = found
    gain = batched.streams / single.streams if batched and single else None
    return ServerReport(machine(options), ready_s, batched, single, gain, idle, trials)


def _largest(attempt: Callable[[int], ServerTrial], streams: int | None) -> ServerTrial | None:
    if streams is not None:
        trial = attempt(streams)
        return trial if trial.kept() else None
    guess = 20 * (os.cpu_count() or 1)
    return search(attempt, guess, ServerTrial.kept)


def machine(options: BenchStreams) -> dict[str, str | int | float]:
    """What the figures were measured on."""
    bundle = load_bundle(options.bundle)
    return engine.machine(bundle, options.provider)


def prepare(folder: Path, options: BenchStreams) -> None:
    """Make a store with one speaker, and the sound to send."""
    manifest = load_bundle(options.bundle).manifest
    rng = np.random.default_rng(0)
    voiceprint = rng.standard_normal(manifest.embedding_size).astype(np.float32)
    prototype = Prototype(unit(voiceprint), 20.0)
    key = load_key(folder, env={})
    with Store.open(folder, key) as store:
        store.add(
            CLAIM,
            [prototype],
            consent=Consent("benchmark", time.time()),
            model_name=manifest.name,
            model_sha256=manifest.model_sha256,
            ttl_s=None,
            now=time.time(),
        )
    (folder / "speech.raw").write_bytes(loops(None, 1, SOUND_S)[0])
    (folder / "silence.raw").write_bytes(bytes(2 * SAMPLE_RATE_HZ * SAMPLE_BYTES["pcm_s16le"]))


def measured(
    clients: Clients, streams: int, *, silent: bool = False, alone_per_s: float = 0.0
) -> ServerTrial:
    """Grow to ``streams``, and measure them and the server for a while."""
    clients.ask(streams)
    before = clients.served.figures()
    told = clients.answer()
    after = clients.served.figures()
    spent = {key: after[key] - before[key] for key in after if key in before}
    total_s = spent["now"] * streams
    model = 1000 * spent["voxwatch_model_cpu_seconds_total"] / total_s
    vad = 1000 * spent["voxwatch_vad_cpu_seconds_total"] / total_s
    every = 1000 * spent["cpu_s"] / total_s
    windows, batches = spent["voxwatch_windows_total"], spent["voxwatch_batches_total"]
    return ServerTrial(
        streams=streams,
        batching=clients.served.batching,
        silent=silent,
        scores_per_s=told["scores"] / told["seconds"] / streams,
        alone_per_s=alone_per_s,
        p50_ms=1000 * told["delay_p50_s"],
        p99_ms=1000 * told["delay_p99_s"],
        clients_behind_ms=1000 * told["behind_s"],
        lags=told["lag_events"],
        lost=told["lost"],
        model_ms=model,
        vad_ms=vad,
        rest_ms=every - model - vad,
        rest_share=(every - model - vad) / every if every else 0.0,
        cpu_cores=spent["cpu_s"] / spent["now"],
        per_batch=windows / batches if batches else 0.0,
        memory_mb=after["memory_mb"],
        memory_mb_per_stream=(after["memory_mb"] - clients.served.empty_mb) / streams,
    )
