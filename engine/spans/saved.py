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
    """Speech ``[start, end)`` of the turn that begins at ``turn``, filled up to ``blocks``.

    Of the silence that fills it up ``after`` samples are the margin behind the turn. It was
    complete at media sample ``at``. With ``fresh`` it is the turn's first.
    """

    turn: int
    start: int
    end: int
    after: int
    blocks: int
    at: int
    fresh: bool

    @property
    def counted(self) -> int:
        """Samples that are not silence that fills up."""
        return self.end - self.start + self.after

    def places(self, block_samples: int) -> list[Place | None]:
        """Where each block lies, ``None`` for silence that fills up.

        The margin has no length: it lies where the turn ends.
        """
        starts = range(self.start, self.end, block_samples)
        found = [(a, min(a + block_samples, self.end)) for a in starts]
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


class SavedMargin(msgspec.Struct, frozen=True, array_like=True):
    """The sums of the silence behind a turn ``[turn, end)``."""

    turn: int
    end: int
    sums: bytes


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
    marked: int
    known: int
    planned: list[Chunk]
    coming: list[Place | None]
    inside: list[Place | None]
    states: bytes
    margins: list[SavedMargin]
    blocks: SavedBlocks
    lost: list[tuple[Place, str]]
    ready: int


def packed(array: Float32) -> bytes:
    """The numbers of an array, without its shape."""
    return np.ascontiguousarray(array, "<f4").tobytes()


def unpacked(data: bytes, *shape: int) -> Float32:
    """The array again, one that may be written to."""
    return np.frombuffer(data, "<f4").reshape(shape).astype(np.float32)
