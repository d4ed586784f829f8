"""The silence behind the last turns, which counts where a turn is judged by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.spans.saved import Place, SavedMargin, packed, unpacked

KEPT = 2  # turns: verdicts are on the last

Float32 = NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Margin:
    """The sums ``(3, C)`` of the blocks behind a turn ``[turn, end)``."""

    turn: int
    end: int
    sums: Float32


class Margins:
    """Those of the last turns of one stream."""

    def __init__(self) -> None:
        self._kept: deque[Margin] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def last(self) -> Margin:
        """That of the last turn that has one."""
        return self._kept[-1]

    def add(self, turn: int, end: int, sums: Float32) -> None:
        """Some blocks ``(N, 3, C)`` behind a turn."""
        total = sums.sum(axis=0)
        if self._kept and self._kept[-1].turn == turn:
            self._kept[-1].sums += total
        else:
            self._kept.append(Margin(turn, end, total))

    def count(self, sums: Float32, spans: Sequence[Place]) -> None:
        """Add to the ``sums`` ``(N, 3, C)`` of each span that ends with its turn what is behind."""
        for margin in self._kept:
            for row, (start, end) in enumerate(spans):
                if margin.turn <= start and end == margin.end:
                    sums[row] += margin.sums

    def saved(self) -> list[SavedMargin]:
        """All of it."""
        return [SavedMargin(one.turn, one.end, packed(one.sums)) for one in self._kept]

    @classmethod
    def restored(cls, saved: Sequence[SavedMargin], channels: int) -> Margins:
        """What was saved, bit for bit."""
        found = cls()
        for one in saved:
            found._kept.append(Margin(one.turn, one.end, unpacked(one.sums, 3, channels)))
        return found
