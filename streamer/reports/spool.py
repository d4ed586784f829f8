"""A temporary file for what is too big for memory, of which nothing is left."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

PIECE_BYTES = 1 << 16
KEY_BYTES = 32  # AES-256


class Out(Protocol):
    """Whatever bytes are written into, one after the other."""

    def write(self, data: bytes, /) -> int:
        """Take them."""

    def flush(self) -> None:
        """Pass on what it holds."""

    def close(self) -> None:
        """Take no more."""


class Spool:
    """Written from its beginning to its end, then read once. A context manager.

    The file lies in ``folder`` for its owner only, and has no name: it is gone when it is closed,
    and also when its process is killed. What is in it is encrypted by a key that only this object
    has, as a drive keeps the blocks of a file that is gone. Raises ``OSError``, as of a full disk.
    """

    def __init__(self, folder: Path) -> None:
        cipher = Cipher(AES(secrets.token_bytes(KEY_BYTES)), CTR(bytes(16)))
        self._sealing, self._opening = cipher.encryptor(), cipher.decryptor()
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - close() closes it
        self.size = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> int:
        """Add to what is there."""
        self._file.write(self._sealing.update(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing: :meth:`end` tells whether all of it could be written."""

    def end(self) -> None:
        """All is written, and is read from now on."""
        self._file.seek(0)

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        return self._opening.update(self._file.read(size))

    def pieces(self) -> Iterator[bytes]:
        """All of it."""
        self.end()
        while piece := self.read(PIECE_BYTES):
            yield piece

    def close(self) -> None:
        """Let it go."""
        with contextlib.suppress(OSError):  # of a full disk, which was told before
            self._file.close()
