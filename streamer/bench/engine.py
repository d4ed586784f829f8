"""`voxwatch bench engine`: what the engine can do on this machine, without any sockets.

Windows per second at each batch size (with a bundle of format 2 chunks of speech in place of
windows), frames per second of the detector, and the largest
number of live streams, all speaking and scored twice a second, whose events come in time;
batched and one job at a time, in the same run. Figures of CPU count this process alone, so
other programs on the machine lower the streams but hardly the CPU per stream.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engine.format import FRAME_SAMPLES, SAMPLE_RATE_HZ
from engine.jobs import VadState
from engine.model.backend import OnnxBackend
from engine.model.bundle import Bundle, load_bundle
from engine.model.frames import FRAME_SAMPLES as FEATURE_SAMPLES
from engine.model.providers import LARGEST_BATCH
from engine.speech.vad import SileroVad
from streamer.bench.load import EngineBench, EngineTrial, search
from streamer.bench.sound import spoken

if TYPE_CHECKING:
    from streamer.commands.bench import BenchEngine

Float32 = NDArray[np.float32]

BATCHES = (1, 2, 4, 8, 16, LARGEST_BATCH)
VAD_ROWS = (1, 10, 50)
WINDOW_S = 3.0
DELAY_MS = 250.0  # what p99 of event out minus last sample in must keep
IDLE_STREAMS = 50


@dataclass(frozen=True, slots=True)
class Calls:
    """One size of call, timed: ``rows`` streams in one call, ``threads`` within it."""

    rows: int
    threads: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms_per_row: float


@dataclass(frozen=True, slots=True)
class EngineReport:
    """Everything measured. ``gain`` is the batched streams over those of one job at a time.

    ``windows`` are calls of the model over pieces of speech as long as ``unit`` says.
    """

    unit: str
    machine: dict[str, str | int | float]
    windows: list[Calls]
    frames: list[Calls]
    batched: EngineTrial | None
    single: EngineTrial | None
    gain: float | None
    idle: EngineTrial
    trials: list[EngineTrial] = field(default_factory=list)

    def json(self) -> str:
        """The whole report."""
        return json.dumps(asdict(self), indent=2)

    def table(self) -> str:
        """The whole report, for people."""
        lines = [f"{key}: {value}" for key, value in self.machine.items()]
        lines += ["", f"{self.unit} of speech", *_calls_table(self.windows)]
        lines += ["", "detector frames of 32 ms", *_calls_table(self.frames)]
        lines += ["", f"live streams with p99 <= {DELAY_MS:g} ms", *_trials_table(self)]
        return "\n".join(lines)


def run(options: BenchEngine, progress: Callable[[str], None] = lambda line: None) -> EngineReport:
    """Measure, which takes some minutes. ``progress`` is told what comes next."""
    bundle = load_bundle(options.bundle)
    vad = SileroVad()
    backend = OnnxBackend(bundle, options.provider)
    progress("windows")
    windows = list(_windows(bundle, backend, options))
    progress("detector")
    frames = [_frames(vad, rows) for rows in VAD_ROWS]
    bench = EngineBench(bundle, backend, vad, options.threads, options.seconds, options.speech)
    progress(f"{IDLE_STREAMS} silent streams")
    idle = asyncio.run(bench.trial(IDLE_STREAMS, batching=True, silent=True))
    progress("one stream alone")
    asyncio.run(bench.listen_alone())
    trials: list[EngineTrial] = []
    found: list[EngineTrial | None] = []
    for batching in (True, False):

        def attempt(streams: int, batching: bool = batching) -> EngineTrial:
            progress(f"{streams} streams, {'batched' if batching else 'one job at a time'}")
            trials.append(asyncio.run(bench.trial(streams, batching=batching)))
            return trials[-1]

        found.append(_largest(attempt, options.streams, _guess(windows, bench.threads)))
    batched, single = found
    gain = batched.streams / single.streams if batched and single else None
    about = machine(bundle, backend.provider) | {
        "batch sizes": ", ".join(map(str, backend.batch_sizes)),
        "inference threads": bench.threads,
    }
    return EngineReport(_unit(bundle), about, windows, frames, batched, single, gain, idle, trials)


def _largest(
    attempt: Callable[[int], EngineTrial], streams: int | None, guess: int
) -> EngineTrial | None:
    if streams is not None:
        trial = attempt(streams)
        return trial if trial.kept(DELAY_MS) else None
    return search(attempt, guess, lambda trial: trial.kept(DELAY_MS))


def _guess(windows: list[Calls], threads: int) -> int:
    """Streams that might fit: two windows a second each, and an eighth for the rest."""
    best = max(calls.per_s for calls in windows if calls.threads == 1)
    return max(2, round(best * threads / 2 * 0.88))


def _windows(bundle: Bundle, backend: OnnxBackend, options: BenchEngine) -> Iterable[Calls]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    ways = {1: backend}
    if backend.provider == "cpu" and (cores or 1) > 1:
        ways[cores or 1] = OnnxBackend(bundle, "cpu", threads=cores or 1)
    sound = np.stack([spoken(WINDOW_S, seed=i) for i in range(8)])
    for threads, way in ways.items():
        for rows in BATCHES:
            call = _call(bundle, way, np.resize(sound, (rows, sound.shape[1])))
            yield _timed(rows, threads, max(6, 96 // rows), call)


def _unit(bundle: Bundle) -> str:
    frames = bundle.manifest.frames
    if frames is None:
        return f"windows of {WINDOW_S:g} s"
    return f"chunks of {frames.delay_blocks * frames.block_samples / SAMPLE_RATE_HZ:g} s"


def _call(bundle: Bundle, way: OnnxBackend, sound: Float32) -> Callable[[], object]:
    """What the model does for streams that have ``sound`` ``(B, samples)``, once."""
    frames = bundle.manifest.frames
    if frames is None:
        return partial(way.embed, sound)
    chunk, rows = sound[:, : frames.delay_blocks * frames.block_samples], len(sound)
    real = np.full(rows, chunk.shape[1] // FEATURE_SAMPLES, np.int64)
    return partial(way.run_frames, chunk, real, np.zeros((rows, frames.state_size), np.float32))


def _frames(vad: SileroVad, rows: int) -> Calls:
    frames = list(np.resize(spoken(1.0), (rows, 1, FRAME_SAMPLES)))
    states = [VadState.initial(1)] * rows
    return _timed(rows, 1, 200, lambda: vad.detect(frames, states))


def _timed(rows: int, threads: int, repeats: int, call: Callable[[], object]) -> Calls:
    for _ in range(3):
        call()
    walls = []
    cpu = time.process_time()
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        walls.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    p50, p99 = np.percentile(walls, (50, 99)) * 1000
    per_s = rows * repeats / sum(walls)
    return Calls(rows, threads, per_s, float(p50), float(p99), 1000 * cpu / rows / repeats)


def machine(bundle: Bundle, provider: str) -> dict[str, str | int | float]:
    """What a benchmark ran on, and when: part of every report."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _processor(),
        "cores": os.cpu_count() or 1,
        "load before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": ort.__version__,
        "voxwatch": importlib.metadata.version("voxwatch"),
        "model": f"{bundle.manifest.name} {bundle.manifest.version} {bundle.manifest.precision}",
        "model sha256": bundle.manifest.model_sha256,
        "provider": provider,
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2] for line in text.splitlines() if line.startswith("model name")]
    return names[0].strip() if names else platform.processor()


def _calls_table(calls: Iterable[Calls]) -> list[str]:
    head = "  rows  threads      per s    p50 ms    p99 ms  CPU ms/row"
    return [head] + [
        f"{c.rows:6d}{c.threads:9d}{c.per_s:11.1f}{c.p50_ms:10.2f}{c.p99_ms:10.2f}"
        f"{c.cpu_ms_per_row:12.3f}"
        for c in calls
    ]


def _trials_table(report: EngineReport) -> list[str]:
    head = f"{'':17s}streams    p50 ms    p99 ms   CPU ms per stream-second: model    VAD  rest"
    lines = [head]
    for trial in (report.idle, *report.trials):
        name = (
            "silent" if trial is report.idle else "batched" if trial.batching else "one at a time"
        )
        line = (
            f"{name:17s}{trial.streams:7d}{trial.p50_ms:10.1f}{trial.p99_ms:10.1f}"
            f"{trial.model_ms:34.2f}{trial.vad_ms:7.2f}{trial.rest_ms:6.2f}"
        )
        late = trial is not report.idle and not trial.kept(DELAY_MS)
        lines.append(line + ("  late" if late else ""))
    for name, largest in (("batched", report.batched), ("one at a time", report.single)):
        lines.append(f"largest, {name}: {largest.streams if largest else 'none'}")
    return [*lines, f"gain of batching: {report.gain:.2f}" if report.gain else "gain: unknown"]
