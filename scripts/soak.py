"""Does a server's memory stay flat? `python scripts/soak.py --minutes 60 --streams 8 --json FILE`.

Streams speech in real time from that many clients, takes the server's resident memory every
ten seconds, and fits a line through the second half: some ten minutes fill what is bounded, such
as the 1,024 messages that a session keeps for a client that comes back, and the allocator's pools.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from scripts.figures import tell
from streamer.bench.processes import burden, memory_mb, server
from streamer.bench.streams import SETTLE_S, machine, prepare
from streamer.commands.bench import BenchStreams

EVERY_S = 10.0


def slope(minutes: np.ndarray, memory_mb: np.ndarray) -> tuple[float, float]:
    """MB an hour, and its standard error allowing for neighbours that resemble each other."""
    x = minutes / 60
    design = np.stack([x, np.ones_like(x)], axis=1)
    (rate, level), *_ = np.linalg.lstsq(design, memory_mb, rcond=None)
    rest = memory_mb - rate * x - level
    like = float(np.corrcoef(rest[:-1], rest[1:])[0, 1]) if rest.std() > 0 else 0.0
    spread = np.sqrt((rest**2).sum() / max(len(x) - 2, 1) / ((x - x.mean()) ** 2).sum())
    return float(rate), float(spread * np.sqrt((1 + like) / max(1 - like, 1e-3)))


def soak(minutes: float, streams: int) -> dict[str, Any]:
    options = BenchStreams(seconds=60 * minutes)
    taken: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options)
        with (
            server(folder, options.bundle, options.provider, batching=True) as served,
            burden(served, folder / "speech.raw", options.seconds, SETTLE_S) as clients,
        ):
            clients.ask(streams)
            began = time.monotonic()
            while (elapsed := time.monotonic() - began) < 60 * minutes:
                # Not by asking the server: every answer of its own takes some memory at first.
                taken.append((elapsed / 60, memory_mb(served.process.pid)))
                print(f"{elapsed / 60:6.1f} min  {taken[-1][1]:8.1f} MB", flush=True)
                time.sleep(EVERY_S)
            told = clients.answer()
            empty_mb = served.empty_mb
    figures = judged(np.array(taken))
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(options),
        "minutes": minutes,
        "streams": streams,
        "scores": told["scores"],
        "lost": told["lost"],
        "delay_p99_s": told["delay_p99_s"],
        "empty_mb": empty_mb,
        "mb_per_stream": (taken[-1][1] - empty_mb) / streams,
        **figures,
    }


def judged(taken: np.ndarray) -> dict[str, Any]:
    """Figures of samples ``(N, 2)``: minutes since the start and resident megabytes."""
    at, memory = taken.T
    settled = at >= at[-1] / 2
    rate, error = slope(at[settled], memory[settled])
    minutes = np.arange(int(at[-1]) + 1)
    return {
        "mb_by_minute": [round(float(memory[np.argmax(at >= m)]), 2) for m in minutes],
        "slope_mb_per_hour": rate,
        "standard_error": error,
        "percent_per_hour": 100 * rate / float(memory[settled].mean()),
        "within_noise": abs(rate) <= 2 * error,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = soak(given.minutes, given.streams)
    tell(found, given.json)


if __name__ == "__main__":
    main()
