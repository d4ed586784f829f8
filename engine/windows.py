"""Rolling windows of net speech.

Speech is pushed in pieces with the media time of each; windows come out at fixed
amounts of *speech*, first short and growing, then rolling at full length. A window
knows where in the media its first and last samples lie.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.vad import SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WindowConfig:
    """Lengths in seconds of net speech."""

    window_s: float = 3.0
    hop_s: float = 0.5
    first_s: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.hop_s <= self.window_s:
            raise ValueError("windows need 0 < hop_s <= window_s")
        if not 0 < self.first_s <= self.window_s:
            raise ValueError("windows need 0 < first_s <= window_s")


@dataclass(frozen=True, slots=True)
class Window:
    """A window of net speech ``(samples,)`` at 16 kHz.

    ``start`` and ``end`` are media sample indices of its first sample and just past its
    last; ``position`` is the net speech of the stream up to its end, in samples.
    """

    samples: Float32
    start: int
    end: int
    position: int


class Windows:
    """Cuts one stream's net speech into windows; holds one window of it at most."""

    def __init__(self, config: WindowConfig | None = None) -> None:
        config = config or WindowConfig()
        self._length = round(config.window_s * SAMPLE_RATE_HZ)
        self._hop = round(config.hop_s * SAMPLE_RATE_HZ)
        self._next = round(config.first_s * SAMPLE_RATE_HZ)
        self._pieces: deque[tuple[int, Float32]] = deque()  # media start, samples
        self._held = 0
        self.position = 0

    def widen(self, hop_s: float) -> None:
        """Another hop from the next window on: what a loaded server asks for."""
        self._hop = round(hop_s * SAMPLE_RATE_HZ)

    def push(self, start: int, samples: Float32) -> Iterator[Window]:
        """Windows that end within ``samples``, net speech whose media time begins at ``start``."""
        while len(samples):
            step = min(len(samples), self._next - self.position)
            self._append(start, samples[:step])
            start, samples = start + step, samples[step:]
            if self.position == self._next:
                self._next += self._hop
                yield self._window()

    def _append(self, start: int, samples: Float32) -> None:
        self._pieces.append((start, samples))
        self._held += len(samples)
        self.position += len(samples)
        while self._held - len(self._pieces[0][1]) >= self._length:
            self._held -= len(self._pieces.popleft()[1])
        excess = self._held - self._length
        if excess > 0:
            first, piece = self._pieces.popleft()
            self._pieces.appendleft((first + excess, piece[excess:]))
            self._held = self._length

    def _window(self) -> Window:
        joined = np.concatenate([piece for _, piece in self._pieces])
        first, (last, piece) = self._pieces[0][0], self._pieces[-1]
        return Window(joined, first, last + len(piece), self.position)
