"""What a second of one stream costs in the engine: frames computed once against windows.

    python scripts/bench_serving.py --frames BUNDLE --json scripts/results/serving.json

Live streams through the whole engine, without sockets: one after the other with a bundle of
format 1 and one of format 2, speaking and silent, in turns within one run, so that whatever else
the machine does falls on both alike. CPU time is that of this process: of the model, of the
detector, and of everything else, the clockwork of the benchmark included.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from engine.model.backend import OnnxBackend
from engine.model.bundle import load_bundle
from engine.speech.vad import SileroVad
from scripts.figures import tell
from streamer.bench.engine import machine
from streamer.bench.load import EngineBench, EngineTrial

PARTS = ("model_ms", "vad_ms", "rest_ms")


def trials(given: argparse.Namespace) -> Iterator[tuple[str, EngineTrial]]:
    """Every trial with what it was of, in turns."""
    vad, benches = SileroVad(), {}
    for name, path in (("windows", given.windows), ("frames", given.frames)):
        bundle = load_bundle(path)
        backend = OnnxBackend(bundle, "cpu")
        benches[name] = EngineBench(
            bundle, backend, vad, given.threads, given.seconds, given.speech
        )
    for _ in range(given.rounds):
        for silent in (False, True):
            for name, bench in benches.items():
                streams = given.idle if silent else given.streams
                trial = asyncio.run(bench.trial(streams, batching=True, silent=silent))
                yield f"{name}, {'silent' if silent else 'speaking'}", trial


def summed_up(found: list[tuple[str, EngineTrial]]) -> dict[str, dict[str, float]]:
    """The median of each figure, by what was measured."""
    names = dict.fromkeys(name for name, _ in found)
    figures = (*PARTS, "scores_per_s", "per_batch", "rows_per_frame", "p50_ms", "p99_ms", "streams")
    return {
        name: {
            figure: round(float(np.median([getattr(t, figure) for n, t in found if n == name])), 3)
            for figure in figures
        }
        for name in names
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=Path, help="a bundle of format 1 [the built-in]")
    parser.add_argument("--frames", type=Path, required=True, help="a bundle of format 2")
    parser.add_argument("--streams", type=int, default=16, help="that speak at once")
    parser.add_argument("--idle", type=int, default=50, help="that are silent at once")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each trial")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--speech", type=Path, help="folder of recordings [synthetic voices]")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = summed_up(list(trials(given)))
    whole = {name: sum(figures[part] for part in PARTS) for name, figures in found.items()}
    figures = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(load_bundle(given.frames), "cpu"),
        "cpu_ms_per_stream_second": found,
        "windows_over_frames": {
            kind: round(whole[f"windows, {kind}"] / whole[f"frames, {kind}"], 2)
            for kind in ("speaking", "silent")
        },
    }
    tell(figures, given.json)


if __name__ == "__main__":
    main()
