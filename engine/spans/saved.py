"""A stream's speech as bytes: what another process needs to go on with it.

Places are net speech in samples at 16 kHz. Arrays are float32 in the byte order of every machine
that this runs on, little endian.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Place = tuple[int, int]  # where a block begins and ends


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Speech ``[start, end)`` of the turn that begins at ``turn``, with silence around it.

    Before the speech there are ``before`` samples of silence, and behind it as many as its blocks
    have room for, of which ``after`` count as the turn's. It was complete at media sample ``at``.
    With ``fresh`` it is the turn's first.
    """

    turn: int
    start: int
    end: int
    before: int
    after: int
    blocks: int
    at: int
    fresh: bool

    @property
    def counted(self) -> int:
        """Samples that count as the turn's, at the beginning of the chunk."""
        return self.before + self.end - self.start + self.after

    def places(self, block_samples: int) -> list[Place | None]:
        """Where each block lies, ``None`` for silence that fills up.

        A margin, which is silence that counts, has no length: it lies where the turn begins or
        where it ends.
        """
        margin = [(self.start, self.start)] * (self.before // block_samples)
        starts = range(self.start, self.end, block_samples)
        found = [*margin, *((a, min(a + block_samples, self.end)) for a in starts)]
        counted = -(-self.counted // block_samples)
        found += [(self.end, self.end)] * (counted - len(found))
        return [*found, *[None] * (self.blocks - len(found))]


class SavedBlocks(msgspec.Struct, frozen=True):
    """:class:`engine.spans.block_sums.BlockSums` as it stands."""

    starts: list[int]
    ends: list[int]
    turns: list[int]
    overlapped: list[bool]
    sums: bytes
    heads: bytes
    merged: int


class SavedSpans(msgspec.Struct, frozen=True):
    """:class:`engine.spans.frames.FrameSpans` as it stands. A job under way is asked for again."""

    hop_s: float
    runs: list[Place]
    position: int
    media: int
    sound_start: int
    sound: bytes
    turn: int
    cut: int
    tail: int
    marked: int
    known: int
    planned: list[Chunk]
    coming: list[Place | None]
    inside: list[Place | None]
    states: bytes
    margin: bytes
    blocks: SavedBlocks
    lost: list[tuple[Place, str]]
    ready: int


def packed(array: Float32) -> bytes:
    """The numbers of an array, without its shape."""
    return np.ascontiguousarray(array, "<f4").tobytes()


def unpacked(data: bytes, *shape: int) -> Float32:
    """The array again, one that may be written to."""
    return np.frombuffer(data, "<f4").reshape(shape).astype(np.float32)
