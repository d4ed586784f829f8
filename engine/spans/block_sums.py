"""The sums of a stream's blocks by their place, of which old ones are merged."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.spans.interface import KEPT_S, BlockHeads
from engine.spans.saved import Place, SavedBlocks, packed, unpacked

Float32 = NDArray[np.float32]

# Changes of voice are looked for block by block in the last seconds, and by half seconds before.
FINE_SAMPLES = 10 * SAMPLE_RATE_HZ
CELL_SAMPLES = SAMPLE_RATE_HZ // 2
KEPT_SAMPLES = round(KEPT_S * SAMPLE_RATE_HZ)
MERGE_SAMPLES = 2 * SAMPLE_RATE_HZ  # of net speech between two merges
# Blocks that the buffer grows by, of some 9 kB each. It grows in the first minute alone, as merges
# make room in place.
ROOM = 16

# A half second of a turn: where that begins, its number, and whether two speak in it. The one cell
# of all that is too old comes before all others.
Cell = tuple[int, int, bool]
_OLD: Cell = (-1, 0, False)


class BlockSums:
    """Blocks in the order of their places. None crosses the end of a turn, merged or not.

    The last 10 s are kept by blocks, the last 60 s by half seconds, all before as one.
    """

    def __init__(self, channels: int, heads: int) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.turns: list[int] = []  # where each block's turn begins
        self.overlapped: list[bool] = []  # whether two speak at once in it
        self._middles: list[int] = []  # twice the place of each block's middle
        self._sums = np.empty((ROOM, 3, channels), np.float32)
        self._heads = np.empty((ROOM, heads), np.float32)
        self._merged = 0  # the place up to which the last merge was made

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def sums(self) -> Float32:
        """Of each block, ``(N, 3, C)``: a view, true until the next merge."""
        return self._sums[: len(self)]

    def saved(self) -> SavedBlocks:
        """All of it."""
        return SavedBlocks(
            starts=list(self.starts),
            ends=list(self.ends),
            turns=list(self.turns),
            overlapped=list(self.overlapped),
            sums=packed(self.sums),
            heads=packed(self._heads[: len(self)]),
            merged=self._merged,
        )

    @classmethod
    def restored(cls, saved: SavedBlocks, channels: int, heads: int) -> BlockSums:
        """As it was saved."""
        found = cls(channels, heads)
        found.starts, found.ends, found.turns = saved.starts, saved.ends, saved.turns
        found.overlapped = saved.overlapped
        found._middles = [a + b for a, b in zip(saved.starts, saved.ends, strict=True)]
        sums = unpacked(saved.sums, len(saved.starts), 3, channels)
        found._sums = _with_room(sums)
        found._heads = _with_room(unpacked(saved.heads, len(saved.starts), heads))
        found._merged = saved.merged
        return found

    def add(self, place: Place, turn: int, sums: Float32, heads: Float32, over: bool) -> None:
        """A block with its sums ``(3, C)`` and heads ``(H,)``; ``over``: two speak at once."""
        count, (start, end) = len(self), place
        if count == len(self._sums):
            self._sums, self._heads = _with_room(self._sums), _with_room(self._heads)
        self._sums[count], self._heads[count] = sums, heads
        self.overlapped.append(over)
        self.starts.append(start)
        self.ends.append(end)
        self.turns.append(turn)
        self._middles.append(start + end)

    def between(self, spans: Sequence[Place]) -> Float32:
        """The sums ``(N, 3, C)`` over the blocks whose middle lies in each span ``[start, end)``.

        For a span shorter than a block, of the block that it begins in. Overlapped blocks count
        where there are no others. Raises ``LookupError`` where there is no block.
        """
        found = np.empty((len(spans), *self._sums.shape[1:]), np.float32)
        later: dict[int, tuple[int, Float32]] = {}  # by where spans end: the last that begins there
        # From the latest on, as what begins earlier holds what begins later and ends with it.
        for row in sorted(range(len(spans)), key=lambda row: spans[row][0], reverse=True):
            first, last = self._edges(*spans[row])
            over = self.overlapped[first:last]
            if any(over):
                counted = self._sums[first:last][np.logical_not(over) | all(over)]
                np.add.reduce(counted, axis=0, out=found[row])
                continue
            after, rest = later.get(last, (last, None))
            np.add.reduce(self._sums[first:after], axis=0, out=found[row])
            if rest is not None:
                found[row] += rest
            later[last] = first, found[row]
        return found

    def means(self, spans: Sequence[Place], columns: Sequence[int]) -> Float32:
        """The means ``(N, K)`` of K heads over the blocks of each span, by how long those are.

        Blocks are those of :meth:`between`, overlapped ones among them.
        """
        edges = np.array([self._edges(*span) for span in spans])
        first, last = int(edges[:, 0].min()), int(edges[:, 1].max())
        length = np.subtract(self.ends[first:last], self.starts[first:last])[:, None]
        said = self._heads[first:last, columns] * length
        # Of dB and samples the sums of a minute are exact to some 1e-9 of a dB in double.
        until = np.cumsum(np.concatenate([length, said], axis=1, dtype=np.float64), axis=0)
        until = np.concatenate([np.zeros((1, until.shape[1])), until])
        total = until[edges[:, 1] - first] - until[edges[:, 0] - first]
        return np.asarray(total[:, 1:] / total[:, :1], np.float32)

    def _edges(self, start: int, end: int) -> Place:
        """The first block of a span and the one after its last."""
        first, last = self._inside(start, end)
        if first == last:
            first = bisect_left(self.ends, start + 1)
            if first == len(self) or self.starts[first] >= end:
                raise LookupError("nothing is known of a span")
            last = first + 1
        return first, last

    def heads(self, names: tuple[str, ...], start: int, end: int) -> BlockHeads:
        """Of the blocks whose middle lies in ``[start, end)``; of merged ones the mean."""
        first, last = self._inside(start, end)
        places = tuple(self.starts[first:last]), tuple(self.ends[first:last])
        return BlockHeads(names, *places, self._heads[first:last].copy())

    def _inside(self, start: int, end: int) -> Place:
        return bisect_left(self._middles, 2 * start), bisect_left(self._middles, 2 * end)

    def settle(self, position: int) -> None:
        """Merge what is too old for spans that end after ``position``."""
        if position // MERGE_SAMPLES == self._merged // MERGE_SAMPLES:
            return
        self._merged = position
        old = bisect_left(self.ends, position - KEPT_SAMPLES + 1)
        aged = bisect_left(self.ends, position - FINE_SAMPLES + 1)
        cells = [_OLD] * old + self._cells(old, aged)
        firsts = [i for i, cell in enumerate(cells) if i == 0 or cell != cells[i - 1]]
        if len(firsts) < aged:
            self.sums[:old][self.overlapped[:old]] = 0
            self._merge(firsts, aged)

    def _merge(self, firsts: list[int], aged: int) -> None:
        """Blocks before ``aged`` from each of ``firsts`` to the next become one, in place."""
        lasts = [after - 1 for after in (*firsts[1:], aged)]
        places = enumerate(zip(firsts, lasts, strict=True))
        merges = [(row, first, last) for row, (first, last) in places if last > first]
        nexts = [*(first for _, first, _ in merges[1:]), len(self)]
        for (row, first, last), after in zip(merges, nexts, strict=True):
            # Few are merged, and numpy's reduceat takes three times as long.
            self._sums[row] = np.add.reduce(self._sums[first : last + 1], axis=0)
            length = np.subtract(self.ends[first : last + 1], self.starts[first : last + 1])
            self._heads[row] = length @ self._heads[first : last + 1] / length.sum()
            for rows in (self._sums, self._heads):  # those until the next merge follow
                rows[row + 1 : row + after - last] = rows[last + 1 : after]
        self.starts = [*(self.starts[i] for i in firsts), *self.starts[aged:]]
        self.ends = [*(self.ends[i] for i in lasts), *self.ends[aged:]]
        self.turns = [*(self.turns[i] for i in firsts), *self.turns[aged:]]
        self._middles = [a + b for a, b in zip(self.starts, self.ends, strict=True)]
        self.overlapped = [*(self.overlapped[i] for i in firsts), *self.overlapped[aged:]]

    def _cells(self, first: int, last: int) -> list[Cell]:
        """What each of these blocks is merged into."""
        blocks = slice(first, last)
        rows = zip(self.starts[blocks], self.turns[blocks], self.overlapped[blocks], strict=True)
        return [(turn, (start - turn) // CELL_SAMPLES, over) for start, turn, over in rows]


def _with_room(sums: Float32) -> Float32:
    return np.concatenate([sums, np.empty((ROOM, *sums.shape[1:]), np.float32)])
