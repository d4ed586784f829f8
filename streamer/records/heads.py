"""One sum over the ends of all streams, signed with the register's head.

Each end counts with a keyed hash of its stream, number and link, added modulo 2 ** 256: so a write
changes the sum by what it changes itself, whichever process it is, and nothing else is read. With
it no stream can be put back to an earlier end, be it of a server that was killed a moment ago: all
of the database would have to be, at one moment. Nobody without the key can say what counts how.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Protocol

BYTES = 32
NONE = bytes(BYTES)  # the sum over no stream
_MODULUS = 1 << (8 * BYTES)


class StreamEnd(Protocol):
    """Where the chain of a stream ends, as the table has it."""

    @property
    def stream(self) -> str: ...

    @property
    def length(self) -> int: ...

    @property
    def hash(self) -> bytes: ...


def counted(key: bytes, end: StreamEnd) -> int:
    """By how much an end counts; one without entries not at all."""
    if not end.length:
        return 0
    text = end.stream.encode() + end.length.to_bytes(8, "big") + bytes(end.hash)
    return int.from_bytes(hmac.digest(key, text, hashlib.sha256), "big")


def moved(heads: bytes, change: int) -> bytes:
    """The sum after what counts was changed by so much."""
    total = int.from_bytes(heads, "big") + change
    return (total % _MODULUS).to_bytes(BYTES, "big")


def total(key: bytes, ends: Iterable[StreamEnd]) -> bytes:
    """The sum over these."""
    return moved(NONE, sum(counted(key, end) for end in ends))
