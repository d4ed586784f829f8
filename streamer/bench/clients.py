"""Clients that send sound at its own pace, to measure a server by.

    python -m streamer.bench.clients URL FILE SECONDS SETTLE_SECONDS

A process of its own, so that what the clients cost is not counted as the server's. Reads how
many streams there shall be, one number a line, and answers with two JSON lines: one when that
many are running and measuring begins, one with what was measured. As many as there are already
are measured at once. Ends at the end of input.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

PIECE_S = 0.1
OWN_HOP_S = 0.55  # between two scores of a stream that keeps its hop, at most
IN_TIME_S = 1.0
# Between two streams that start: they shall not beat in time. Nor shall many come at once, of which
# the server lets in a part; at this pace it still keeps twice the cost of some eleven newcomers
# (streamer.server.limits.capacity), as it would of people who come.
RAMP_S = 0.26


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: s16le at 16 kHz from a file, over and over; and how to measure.

    Streams run for ``settle_s`` before anything of them is measured for ``seconds``.
    """

    url: str
    sound: Path
    seconds: float
    settle_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """``delay_*``: from sending the last sample of a window to holding its score, in seconds; 0
    where there were none.

    It contains the way through both sockets and the clients' own scheduling, so it is never
    less than what the server took. ``behind_s``: how late the clients themselves were.
    ``served_after_s``: from the beginning of the measuring until every stream has had two scores at
    its own hop within a second each, after which no hop was widened; ``None`` where one has not.
    """

    streams: int
    seconds: float
    scores: int
    delay_p50_s: float
    delay_p99_s: float
    behind_s: float
    lag_events: int
    lost: int
    served_after_s: float | None = None


class Paced:
    """One stream: sends a piece every ``PIECE_S``, notes when each score comes."""

    def __init__(self, sound: bytes, offset: int) -> None:
        self._sound, self._offset = sound, offset
        self._sent: list[float] = []
        self.scores: list[tuple[float, float, float]] = []  # when, how late, and of which second
        self.behind_s = 0.0
        self.lags = 0
        self.widened_at = 0.0

    def served_at(self) -> float:
        """When it first had its scores, with no wider hop after that; infinite: never."""
        for (_, _, before), (now, delay, t) in itertools.pairwise(self.scores):
            if t - before <= OWN_HOP_S and delay <= IN_TIME_S and now > self.widened_at:
                return now
        return math.inf

    async def run(self, url: str) -> None:
        """Send until cancelled, or until the server ends the stream."""
        async with connect(url, compression=None, max_queue=64) as connection:
            await connection.recv()  # ready
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(connection))
                tasks.create_task(self._receive(connection))

    async def _send(self, connection: ClientConnection) -> None:
        begun = time.monotonic()
        for number, piece in enumerate(self._pieces(), start=1):
            wait = begun + number * PIECE_S - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self.behind_s = max(self.behind_s, -wait)
            self._sent.append(time.monotonic())
            await connection.send(piece)

    def _pieces(self) -> Iterator[bytes]:
        size = 2 * round(PIECE_S * 16000)
        count = len(self._sound) // size
        place = self._offset % count
        while True:
            yield self._sound[place * size : (place + 1) * size]
            place = (place + 1) % count

    async def _receive(self, connection: ClientConnection) -> None:
        async for message in connection:
            now = time.monotonic()
            if '"type":"score"' in str(message)[:40]:
                t = json.loads(message)["t"]
                last = math.ceil(t / PIECE_S - 1e-9) - 1
                self.scores.append((now, now - self._sent[last], t))
            elif '"type":"lag"' in str(message)[:40]:
                self.lags += 1
                if json.loads(message).get("behind_s"):
                    self.widened_at = now


class Crowd:
    """Any number of paced streams, and figures over a stretch of time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._sound = load.sound.read_bytes()
        self._streams: list[tuple[Paced, asyncio.Task[None]]] = []

    async def grow(self, streams: int) -> None:
        """Start streams until there are so many, and let them settle if any are new."""
        if len(self._streams) >= streams:
            return
        while len(self._streams) < streams:
            paced = Paced(self._sound, 7 * len(self._streams))
            task = asyncio.create_task(paced.run(self._load.url))
            self._streams.append((paced, task))
            await asyncio.sleep(RAMP_S)
        await asyncio.sleep(self._load.settle_s)

    async def measure(self) -> Measured:
        """Wait for the next seconds, and give the delays of all scores in them."""
        for paced, _ in self._streams:
            paced.scores.clear()
            paced.behind_s, paced.lags = 0.0, 0
        began = time.monotonic()
        await asyncio.sleep(self._load.seconds)
        delays = np.array([d for paced, _ in self._streams for _, d, _ in paced.scores])
        served_s = max(paced.served_at() for paced, _ in self._streams) - began
        return Measured(
            streams=len(self._streams),
            seconds=self._load.seconds,
            scores=len(delays),
            delay_p50_s=float(np.percentile(delays, 50)) if len(delays) else 0.0,
            delay_p99_s=float(np.percentile(delays, 99)) if len(delays) else 0.0,
            behind_s=max(paced.behind_s for paced, _ in self._streams),
            lag_events=sum(paced.lags for paced, _ in self._streams),
            lost=sum(task.done() for _, task in self._streams),
            served_after_s=served_s if math.isfinite(served_s) else None,
        )

    async def leave(self) -> None:
        """Drop every connection."""
        for _, task in self._streams:
            task.cancel()
        await asyncio.gather(*(task for _, task in self._streams), return_exceptions=True)


async def main(load: Load) -> None:
    """Grow and measure as standard input says."""
    crowd = Crowd(load)
    while line := await asyncio.to_thread(sys.stdin.readline):
        await crowd.grow(int(line))
        print(json.dumps({"measuring": int(line)}), flush=True)
        print(json.dumps(asdict(await crowd.measure())), flush=True)
    await crowd.leave()


if __name__ == "__main__":
    seconds, settle_s = map(float, sys.argv[3:])
    asyncio.run(main(Load(sys.argv[1], Path(sys.argv[2]), seconds, settle_s)))
