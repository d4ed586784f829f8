"""Clips of sound on their way into the record.

A thread of its own encodes and writes them: no decision waits for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy import Connection

from engine.audio.recent import Int16
from engine.errors import VoxwatchError
from streamer.records.journal import Journal
from streamer.records.sound import clip_of

# Clips of all streams, 64 MB: 200 candidates may lose their network at once. Those beyond it are
# lost, which the log says.
MOST_WAITING = 200
TRIES, RETRY_S = 5, 1.0  # the start of a stream may not be written yet when its clip is

log = logging.getLogger("voxwatch.records")


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether the sound of an incident may be kept, asked when it is written.

    ``known`` is asked first, in no transaction, may wait for others and raise
    :class:`VoxwatchError`. ``holds`` is asked in the transaction, by its connection, and waits for
    nobody: who writes to rosters has the store's lock while they wait for the transaction's end.
    """

    known: Callable[[], bool]
    holds: Callable[[Connection], bool]


class ClipWriter:
    """Writes clips into the record, one after the other. :meth:`put` never blocks."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._thread = ThreadPoolExecutor(1, "clips")
        self._waiting = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def put(
        self, stream: str, incident: str, since: int, samples: Int16, permission: Permission
    ) -> None:
        """Keep the sound of an incident, which begins at sample ``since`` of its stream.

        Nothing is kept without ``permission`` when it is written.
        """
        with self._lock:
            if self._waiting >= MOST_WAITING or self._stop.is_set():
                log.error("sound of an incident of stream %s was lost: too much waits", stream)
                return
            self._waiting += 1
        now = round(time.time(), 3)
        self._thread.submit(self._write, stream, incident, since, samples, now, permission)

    def close(self, within_s: float) -> None:
        """Write what waits, for at most so long."""
        end = threading.Thread(target=self._thread.shutdown, daemon=True)
        end.start()
        end.join(within_s)
        self._stop.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _write(
        self,
        stream: str,
        incident: str,
        since: int,
        samples: Int16,
        now: float,
        permission: Permission,
    ) -> None:
        try:
            clip, ogg = clip_of(incident, since, samples, now)
            for left in reversed(range(TRIES)):
                try:
                    if permission.known():
                        self._journal.keep_clip(stream, clip, ogg, permission.holds)
                    return
                except VoxwatchError as error:
                    if not left or self._stop.wait(RETRY_S):
                        log.error("sound of an incident of stream %s was lost: %s", stream, error)
                        return
        except Exception as error:  # of the encoder
            log.error("sound of stream %s was lost: %s", stream, type(error).__name__)
        finally:
            with self._lock:
                self._waiting -= 1
