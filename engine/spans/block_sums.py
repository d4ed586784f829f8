"""The sums of a stream's blocks by their place, of which old ones are merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.spans.interface import KEPT_S, BlockHeads
from engine.spans.saved import Place, SavedBlocks, packed, unpacked

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

# Changes of voice are looked for block by block in the last seconds, and by half seconds before.
FINE_SAMPLES = 10 * SAMPLE_RATE_HZ
CELL_SAMPLES = SAMPLE_RATE_HZ // 2
KEPT_SAMPLES = round(KEPT_S * SAMPLE_RATE_HZ)
MERGE_SAMPLES = 2 * SAMPLE_RATE_HZ  # of net speech between two merges
# Blocks that the buffer grows by, of some 9 kB each. It grows in the first minute alone, as merges
# make room in place.
ROOM = 16

# Columns of the places: where a block begins and ends and where its turn began, and whether two
# speak in it.
START, END, TURN, OVER = range(4)


class BlockSums:
    """Blocks in the order of their places. None crosses the end of a turn, merged or not.

    The last 10 s are kept by blocks, the last 60 s by half seconds, all before as one.
    """

    def __init__(self, channels: int, heads: int) -> None:
        self._count = 0
        self._rows = np.empty((ROOM, 4), np.int64)  # the places
        self._sums = np.empty((ROOM, 3, channels), np.float32)
        self._heads = np.empty((ROOM, heads), np.float32)
        self._merged = 0  # the place up to which the last merge was made

    def __len__(self) -> int:
        return self._count

    @property
    def sums(self) -> Float32:
        """Of each block, ``(N, 3, C)``: a view, true until the next merge."""
        return self._sums[: self._count]

    @property
    def places(self) -> Int64:
        """Of each block, ``(N, 4)``, by the columns named above: a view as well."""
        return self._rows[: self._count]

    def saved(self) -> SavedBlocks:
        """All of it."""
        starts, ends, turns, over = self.places.T
        return SavedBlocks(
            starts=starts.tolist(),
            ends=ends.tolist(),
            turns=turns.tolist(),
            overlapped=over.astype(bool).tolist(),
            sums=packed(self.sums),
            heads=packed(self._heads[: len(self)]),
            merged=self._merged,
        )

    @classmethod
    def restored(cls, saved: SavedBlocks, channels: int, heads: int) -> BlockSums:
        """As it was saved."""
        found, count = cls(channels, heads), len(saved.starts)
        columns = [saved.starts, saved.ends, saved.turns, saved.overlapped]
        found._count, found._rows = count, _with_room(np.array(columns, np.int64).T)
        found._sums = _with_room(unpacked(saved.sums, count, 3, channels))
        found._heads = _with_room(unpacked(saved.heads, count, heads))
        found._merged = saved.merged
        return found

    def add(
        self,
        places: Sequence[Place],
        turn: int,
        sums: Float32,
        heads: Float32,
        over: NDArray[np.bool_],
    ) -> None:
        """Blocks of one turn with their sums ``(N, 3, C)`` and heads ``(N, H)``.

        Where ``over`` ``(N,)`` is true two speak at once.
        """
        before, self._count = self._count, self._count + len(places)
        while self._count > len(self._sums):
            self._sums, self._heads = _with_room(self._sums), _with_room(self._heads)
            self._rows = _with_room(self._rows)
        new = slice(before, self._count)
        self._sums[new], self._heads[new] = sums, heads
        self._rows[new, :TURN], self._rows[new, TURN], self._rows[new, OVER] = places, turn, over

    def end_alone(self, place: int) -> bool:
        """Whether the last block ends there, and nobody else speaks in it."""
        last = self.places[-1:]
        return bool(np.any((last[:, END] == place) & (last[:, OVER] == 0)))

    def between(self, spans: Sequence[Place]) -> Float32:
        """The sums ``(N, 3, C)`` over the blocks whose middle lies in each span ``[start, end)``.

        For a span shorter than a block, of the block that it begins in. Overlapped blocks count
        where there are no others. Raises ``LookupError`` where there is no block.
        """
        edges, over = self._edges(spans), self.places[:, OVER]
        overlapped = np.concatenate([[0], np.cumsum(over)])[edges]
        some = (overlapped[:, 1] > overlapped[:, 0]).tolist()
        found = np.empty((len(spans), *self._sums.shape[1:]), np.float32)
        later: dict[int, tuple[int, Float32]] = {}  # by where spans end: the last that begins there
        # From the latest on, as what begins earlier holds what begins later and ends with it.
        rows = [(first, last, row) for row, (first, last) in enumerate(edges.tolist())]
        for first, last, row in sorted(rows, reverse=True):
            if some[row]:
                counted = over[first:last] == over[first:last].min()
                np.add.reduce(self._sums[first:last][counted], axis=0, out=found[row])
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
        edges, places = self._edges(spans), self.places
        length = places[:, END] - places[:, START]
        # Of dB and samples the sums of a day are exact to some 1e-8 of a dB in double.
        until = np.zeros((len(self) + 1, 1 + len(columns)))
        until[1:, 0] = length
        np.multiply(self._heads[: len(self), columns], length[:, None], out=until[1:, 1:])
        np.cumsum(until, axis=0, out=until)
        total = until[edges[:, 1]] - until[edges[:, 0]]
        return np.asarray(total[:, 1:] / total[:, :1], np.float32)

    def _edges(self, spans: Sequence[Place]) -> Int64:
        """The first block of each span and the one after its last, ``(N, 2)``."""
        found = self._inside(spans)
        for row in (found[:, 0] == found[:, 1]).nonzero()[0].tolist():
            start, end = spans[row]
            first = int(np.searchsorted(self.places[:, END], start + 1))
            if first == len(self) or self.places[first, START] >= end:
                raise LookupError("nothing is known of a span")
            found[row] = first, first + 1
        return found

    def heads(self, names: tuple[str, ...], start: int, end: int) -> BlockHeads:
        """Of the blocks whose middle lies in ``[start, end)``; of merged ones the mean."""
        ((first, last),) = self._inside([(start, end)]).tolist()
        starts, ends = self._rows[first:last, : END + 1].T.tolist()
        return BlockHeads(names, tuple(starts), tuple(ends), self._heads[first:last].copy())

    def _inside(self, spans: Sequence[Place]) -> Int64:
        """The first block whose middle lies in each span and the one after the last, ``(N, 2)``."""
        twice = self.places[:, START] + self.places[:, END]  # the middles, without halves
        return twice.searchsorted(2 * np.reshape(spans, (-1, 2)))

    def settle(self, position: int) -> None:
        """Merge what is too old for spans that end after ``position``."""
        if position // MERGE_SAMPLES == self._merged // MERGE_SAMPLES:
            return
        self._merged = position
        bounds = position - KEPT_SAMPLES + 1, position - FINE_SAMPLES + 1
        old, aged = self.places[:, END].searchsorted(bounds).tolist()
        # Half seconds of a turn, in which two speak or not. What is too old is one before all.
        cells = self.places[:aged, [START, TURN, OVER]]
        cells[:, 0] = (cells[:, 0] - cells[:, 1]) // CELL_SAMPLES
        cells[:old] = -1
        begins = (cells[1:] != cells[:-1]).any(axis=1)
        firsts = np.append(True, begins).nonzero()[0]
        if len(firsts) < aged:
            over = self.places[:old, OVER]  # They count for nobody, unless there are no others.
            self.sums[:old][over > over.min(initial=1)] = 0
            self._merge(firsts, aged)

    def _merge(self, firsts: Int64, aged: int) -> None:
        """Blocks before ``aged`` from each of ``firsts`` to the next become one, in place."""
        lasts = np.append(firsts[1:], aged) - 1
        merges = np.flatnonzero(lasts > firsts)
        nexts = np.append(firsts[merges[1:]], len(self))
        each = np.stack([merges, firsts[merges], lasts[merges], nexts], axis=1)
        for row, first, last, after in each.tolist():
            # Few are merged, and numpy's reduceat takes three times as long.
            self._sums[row] = np.add.reduce(self._sums[first : last + 1], axis=0)
            length = self._rows[first : last + 1, END] - self._rows[first : last + 1, START]
            self._heads[row] = length @ self._heads[first : last + 1] / length.sum()
            for rows in (self._sums, self._heads):  # those until the next merge follow
                _move(rows, last + 1, after, row + 1)
        merged = self.places[firsts]
        merged[:, END] = self.places[lasts, END]
        merged[:, OVER] = np.minimum.reduceat(self.places[:aged, OVER], firsts)
        kept = np.concatenate([merged, self.places[aged:]])
        self._count = len(kept)
        self._rows[: self._count] = kept


def _move(rows: Float32, first: int, after: int, to: int) -> None:
    """Rows from ``first`` on, to where they may overlap themselves."""
    flat, size = rows.reshape(-1), rows[0].size  # Of one axis numpy makes no copy on the way.
    flat[to * size : (to + after - first) * size] = flat[first * size : after * size]


def _with_room(rows: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([rows, np.empty((ROOM, *rows.shape[1:]), rows.dtype)])
