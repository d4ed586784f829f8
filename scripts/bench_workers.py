"""How many live streams does a worker carry? `python scripts/bench_workers.py --workers 1,2`.

For each number of workers a server is started, and streams of speech are added to it, in real time,
until one number of them no longer has its scores in time. The last that had is what it carries.
The clients run on the same machine and take some of its cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.figures import tell
from streamer.bench.load import SCORES_KEPT
from streamer.bench.processes import burden, server
from streamer.bench.streams import SETTLE_S, machine, prepare
from streamer.commands.bench import BenchStreams

DELAY_S = 0.25  # a score in time, at the 99th percentile


def in_time(told: dict[str, Any], streams: int, alone: int) -> bool:
    """Whether every stream had the scores that one has ``alone``, and soon."""
    enough = 0 < SCORES_KEPT * streams * alone <= told["scores"]
    return bool(enough and not told["lost"] and told["delay_p99_s"] <= DELAY_S)


def measure(workers: int, options: BenchStreams, step: int, most: int) -> dict[str, Any]:
    """Streams that so many workers carry, and what each number of them came to."""
    steps: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options)
        with (
            server(
                folder, options.bundle, options.provider, batching=True, workers=workers
            ) as served,
            burden(served, folder / "speech.raw", options.seconds, SETTLE_S) as clients,
        ):
            clients.ask(1)
            alone = clients.answer()["scores"]
            for streams in range(step, most + 1, step):
                clients.ask(streams)
                told = clients.answer()
                kept = in_time(told, streams, alone)
                steps.append({"streams": streams, "in_time": kept, **told})
                delay = f"99 % of the scores within {told['delay_p99_s']:.3f} s"
                print(f"{workers} workers, {streams} streams: {delay}", flush=True)
                if not kept:
                    break
    carried = max((one["streams"] for one in steps if one["in_time"]), default=0)
    return {"workers": workers, "streams": carried, "per_worker": carried / workers, "steps": steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="1,2", help="numbers of workers, comma separated")
    parser.add_argument("--seconds", type=float, default=20.0, help="at each number of streams")
    parser.add_argument("--step", type=int, default=10, help="streams added at a time")
    parser.add_argument("--most", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    options = BenchStreams(seconds=given.seconds)
    found = [
        measure(int(workers), options, given.step, given.most)
        for workers in given.workers.split(",")
    ]
    tell(
        {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(options),
            "cores": len(os.sched_getaffinity(0)),
            "delay_s": DELAY_S,
            "workers": found,
        },
        given.json,
    )


if __name__ == "__main__":
    main()
