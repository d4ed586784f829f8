"""Entries on their way to the disk, behind the live path: nobody waits for it.

A thread writes what waits, a batch at a time. Where the disk stalls or is full, entries wait.
Beyond ``limit`` of them new ones are dropped and counted, and when writing works again a
``missing`` entry in each stream says how many, from when to when and why. The starts and ends of
streams may take as much room again, so that a record begins and ends with what is known.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from streamer.records.entries import AnyEntry, Missing, Scores, Told
from streamer.records.errors import BrokenChain, RecordError
from streamer.records.journal import Batch

LIMIT = 50_000  # entries that wait, some 20 MB: 100 streams for five minutes
# That an entry waits for others: a killed process loses that, and what a write takes, which both
# are to be 200 ms at most. Each write costs the same for one entry and for many.
INTERVAL_S = 0.14
BATCH = 5_000  # entries in a transaction
RETRY_S = 1.0  # after a write that failed
SLOW_S = 5.0  # after which an entry that waits is trouble
FULL = "more came than could be written"

log = logging.getLogger("voxwatch.records")


@dataclass(frozen=True, slots=True)
class WriterFigures:
    """How the writer fares. ``trouble`` says what keeps it from writing; empty: nothing.

    ``written`` and ``lost`` count entries since the start, ``waiting`` those not written yet,
    ``cpu_s`` is what the thread has used.
    """

    written: int
    lost: int
    waiting: int
    trouble: str
    cpu_s: float


class Writer:
    """Writes with ``write``, which blocks and raises :class:`RecordError`, in a thread of its own.

    :meth:`put` may be called from any thread and never blocks on the disk.
    """

    def __init__(
        self, write: Callable[[Batch], None], *, limit: int = LIMIT, interval_s: float = INTERVAL_S
    ) -> None:
        self._write, self._limit, self._interval_s = write, limit, interval_s
        self._waiting: deque[tuple[float, str, AnyEntry]] = deque()  # since when (monotonic)
        self._gaps: dict[str, Missing] = {}  # what was dropped, by stream
        self._broken: set[str] = set()  # streams whose chain is not what it was
        self._lock = threading.Lock()
        self._stirred, self._stop = threading.Event(), threading.Event()
        self._written = self._lost = 0
        self._cpu_s = 0.0
        self._in_hand: list[tuple[float, str, AnyEntry]] = []
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)
        self._thread.start()

    def put(self, stream: str, entry: AnyEntry) -> bool:
        """Have an entry written soon; False where it is lost, which its stream will be told of."""
        vital = not isinstance(entry, Told | Scores)
        with self._lock:
            waiting = len(self._waiting) + len(self._in_hand)
            room = stream not in self._broken and waiting < self._limit * (2 if vital else 1)
            if room:
                self._close_gap(stream)
                self._waiting.append((time.monotonic(), stream, entry))
            else:
                self._drop(stream, entry)
        self._stirred.set()
        return room

    def figures(self) -> WriterFigures:
        """How it fares now."""
        with self._lock:
            waiting = len(self._waiting) + len(self._in_hand)
            oldest = next(iter(self._in_hand or self._waiting), None)
            trouble = self._trouble
            if not trouble and oldest and (late_s := time.monotonic() - oldest[0]) > SLOW_S:
                trouble = f"the disk has not answered for {late_s:.0f} s"
            return WriterFigures(self._written, self._lost, waiting, trouble, self._cpu_s)

    def close(self, within_s: float) -> int:
        """Write what waits, for at most so long; how many entries still wait then, and are lost."""
        self._stop.set()
        self._stirred.set()
        self._thread.join(within_s)
        if left := self.figures().waiting:
            log.error("%d entries of the record were not written at the end", left)
        return left

    def _close_gap(self, stream: str) -> None:
        if (gap := self._gaps.pop(stream, None)) is not None:
            self._waiting.append((time.monotonic(), stream, gap))

    def _drop(self, stream: str, entry: AnyEntry) -> None:
        self._lost += 1
        if stream in self._broken:
            return
        gap = self._gaps.get(stream)
        self._gaps[stream] = Missing(
            at=entry.at,
            t=entry.t,
            count=1 if gap is None else gap.count + 1,
            since=entry.at if gap is None else gap.since,
            until=entry.at,
            why=self._trouble or FULL,
        )

    # The thread.

    def _run(self) -> None:
        while self._left() or not self._stop.is_set():
            self._stirred.wait()
            self._stop.wait(self._interval_s)  # what comes meanwhile is in the same batch
            self._stirred.clear()
            if not self._take():
                continue
            worked = self._try()
            self._cpu_s = time.thread_time()
            if not worked and self._stop.wait(RETRY_S) and not self._try():
                return  # at the end it is tried once more, and no oftener
            if self._left():
                self._stirred.set()

    def _left(self) -> bool:
        with self._lock:
            return bool(self._waiting or self._in_hand or self._gaps)

    def _take(self) -> bool:
        """Take the next batch in hand; one that could not be written stays there."""
        with self._lock:
            if not self._in_hand:
                for stream in list(self._gaps):
                    self._close_gap(stream)
                while self._waiting and len(self._in_hand) < BATCH:
                    self._in_hand.append(self._waiting.popleft())
            return bool(self._in_hand)

    def _try(self) -> bool:
        batch: dict[str, list[AnyEntry]] = {}
        for _, stream, entry in self._in_hand:
            batch.setdefault(stream, []).append(entry)
        try:
            self._write(batch)
        except BrokenChain as error:
            self._give_up(error)
            return True  # the others of the batch are still in hand
        except RecordError as error:
            self._fails(str(error))
            return False
        except Exception as error:  # a fault of ours must not end the record of everybody
            log.exception("the record failed")
            self._fails(type(error).__name__)
            return False
        self._worked()
        return True

    def _fails(self, why: str) -> None:
        if why != self._trouble:
            log.error("the record cannot be written, streams go on without it: %s", why)
        with self._lock:
            self._trouble = why

    def _worked(self) -> None:
        if self._trouble:
            log.warning("the record is written again")
        with self._lock:
            self._written += len(self._in_hand)
            self._in_hand.clear()
            self._trouble = ""

    def _give_up(self, error: BrokenChain) -> None:
        """A chain that was changed from elsewhere is not gone on with: that would hide it."""
        log.error("%s", error)
        with self._lock:
            self._broken.add(error.stream)
            kept = [one for one in self._in_hand if one[1] != error.stream]
            self._lost += len(self._in_hand) - len(kept)
            self._in_hand = kept
