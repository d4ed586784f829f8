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

from engine.audio.buffer import AudioBuffer
from engine.format import SAMPLE_RATE_HZ

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


@dataclass(frozen=True, slots=True, eq=False)
class WindowPlace:
    """Where a window of net speech lies. Everything is in samples at 16 kHz.

    ``start`` and ``end`` are media sample indices of its first sample and just past its
    last. ``position`` is the net speech of the stream up to its end, of which ``length`` is in
    the window. ``runs`` says where sound is unbroken: the net speech before each run that
    reaches into the window, and the media sample at which it begins.
    """

    start: int
    end: int
    position: int
    length: int
    runs: tuple[tuple[int, int], ...] = ()

    @property
    def speech_start(self) -> int:
        """The net speech of the stream before the window."""
        return self.position - self.length


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A window of net speech ``(length,)`` at 16 kHz, a view not to be written to."""

    place: WindowPlace
    samples: Float32


class Windows:
    """Cuts one stream's net speech into windows, and holds one window of it at most."""

    def __init__(self, config: WindowConfig | None = None) -> None:
        config = config or WindowConfig()
        self._length = round(config.window_s * SAMPLE_RATE_HZ)
        self._hop = round(config.hop_s * SAMPLE_RATE_HZ)
        self._first = self._next = round(config.first_s * SAMPLE_RATE_HZ)
        self._speech = AudioBuffer()  # indexed by net speech
        self._runs: deque[tuple[int, int]] = deque()  # (position, media) where sound is unbroken
        self._media = 0  # just past the last sample pushed

    @property
    def position(self) -> int:
        """Net speech pushed so far, in samples."""
        return self._speech.end

    def set_hop(self, hop_s: float) -> None:
        """Take another hop from the next window on, as an overloaded server asks."""
        self._hop = round(hop_s * SAMPLE_RATE_HZ)

    def restart(self) -> None:
        """Forget the speech so far, so that the next window begins with what comes."""
        self._speech.forget(self.position)
        self._next = self.position + self._first

    def push(self, start: int, samples: Float32) -> Iterator[Window]:
        """Windows that end within ``samples``, net speech whose media time begins at ``start``."""
        if len(samples) and (start != self._media or not self._runs):
            self._runs.append((self.position, start))
        while len(samples):
            step = min(len(samples), self._next - self.position)
            self._speech.append(samples[:step])
            start, samples = start + step, samples[step:]
            self._media = start
            self._forget()
            if self.position == self._next:
                self._next += self._hop
                yield self._window()

    def last(self) -> Window:
        """The window that ends with the last speech pushed, shorter where there is less."""
        return self._window()

    def _forget(self) -> None:
        self._speech.forget(self.position - self._length)
        while len(self._runs) > 1 and self._runs[1][0] <= self._speech.start:
            self._runs.popleft()

    def _window(self) -> Window:
        first = self._speech.start
        position, media = self._runs[0]
        samples = self._speech.slice(first, self.position)
        start = media + first - position
        runs = tuple(self._runs)
        return Window(WindowPlace(start, self._media, self.position, len(samples), runs), samples)
