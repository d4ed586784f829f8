"""One writer of a data folder at a time, whichever process it is in."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from streamer.store.errors import StoreError

LOCK_FILE = "lock"
PAUSE_S = 0.01  # between two tries

if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderLock:
    """Held around everything that writes. For one thread at a time, which may hold it twice."""

    def __init__(self, folder: Path, busy_s: float) -> None:
        self._path, self._busy_s = folder / LOCK_FILE, busy_s
        self._depth = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Wait for others up to ``busy_s`` seconds. Raises :class:`StoreError`, ``OSError``."""
        if self._depth:
            yield
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(descriptor)
            self._depth += 1
            yield
        finally:
            self._depth = 0
            os.close(descriptor)  # which lets go of the lock

    def _take(self, descriptor: int) -> None:
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                _try(descriptor)
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"another program keeps the store in {self._path.parent} locked: wait for"
                        " it or stop it"
                    ) from error
            time.sleep(PAUSE_S)
