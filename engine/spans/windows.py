"""Spans of a stream by a graph for windows: what is asked for is answered by windows.

Windows of a turn are embedded as its speech grows, and once it is over all of it, or its last
window where it is long; a turn that is shorter than the graph takes is repeated until it is not. A
span that was not itself embedded is answered by windows side by side, each by the part of the span
that it holds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.audio.buffer import AudioBuffer
from engine.format import SAMPLE_RATE_HZ, seconds, unit
from engine.jobs import EmbedJob, EmbedResult, Job, JobFailure, Result
from engine.model.manifest import Manifest, unheard
from engine.spans.interface import KEPT_S, LEAST_SAMPLES, BlockHeads, Mark
from engine.spans.timeline import Timeline
from engine.speech.windows import WindowConfig, Windows

Float32 = NDArray[np.float32]
Place = tuple[int, int]

HEARD_SHARE = 0.5  # of a span that must be known for it to have an embedding
WHOLE_WINDOWS = 2  # A turn of up to so many windows is embedded whole.
KEPT_SAMPLES = round(KEPT_S * SAMPLE_RATE_HZ)


@dataclass(slots=True, eq=False)
class Stretch:
    """Speech ``[start, end)`` that is embedded whole: its sound, then the answer or a reason.

    It was complete at media sample ``at``; ``number`` is that of its job.
    """

    start: int
    end: int
    at: int
    samples: Float32 | None
    answer: Float32 | str | None = None
    number: int | None = None

    def likeness(self, start: int, end: int) -> float:
        """What it has in common with a span, of all that they cover together."""
        both = min(self.end, end) - max(self.start, start)
        return both / (max(self.end, end) - min(self.start, start))


class WindowSpans:
    """One stream's speech; :class:`engine.spans.interface.SpeechEmbeddings` says what it does.

    A mark comes with each window of ``config``, and no window crosses the end of a turn.
    """

    def __init__(self, manifest: Manifest, config: WindowConfig) -> None:
        self._least = round(manifest.min_window_s * SAMPLE_RATE_HZ)
        self._window = round(config.window_s * SAMPLE_RATE_HZ)
        longest_s = min(manifest.max_window_s, WHOLE_WINDOWS * config.window_s)
        self._whole = round(longest_s * SAMPLE_RATE_HZ)  # the longest turn that is embedded whole
        self.timeline = Timeline()
        self.grain = self._window
        self._windows = Windows(config)
        self._sound = AudioBuffer()  # of the turn, indexed by net speech
        self._turn = 0  # where it began
        self._planned: deque[Stretch] = deque()  # in order, from the first that is unanswered on
        self._known: list[Stretch] = []
        self.ready = 0

    @property
    def position(self) -> int:
        """Net speech pushed so far."""
        return self.timeline.position

    @property
    def waiting_since(self) -> int | None:
        """The media sample up to which the oldest unanswered window reaches."""
        return self._planned[0].at if self._planned else None

    def set_hop(self, hop_s: float) -> None:
        """Marks come every ``hop_s`` from the next window on."""
        self._windows.set_hop(hop_s)

    def push(self, start: int, samples: Float32) -> Iterator[Mark]:
        """Speech whose first sample is media sample ``start``."""
        self.timeline.push(start, len(samples))
        self._sound.append(samples)
        for window in self._windows.push(start, samples):
            place = window.place
            self._plan(place.speech_start, place.position, place.end, window.samples)
            yield Mark(self._turn, place.position, place.end)
        self._sound.forget(self.position - self._whole)

    def end_turn(self, at: int) -> Iterator[Mark]:
        """The turn is over: all of it is embedded, or its last window where it is long."""
        start, end = self._turn, self.position
        if start == end:
            return
        if end - start > self._whole:
            start = end - self._window
        last = self._planned[-1] if self._planned else self._known[-1] if self._known else None
        if last is None or (last.start, last.end) != (start, end):
            self._plan(start, end, at, self._sound.slice(start, end))
        yield Mark(self._turn, end, at, ends_turn=True)
        self._turn = end
        self._sound.forget(end)
        self._windows.restart()

    def jobs(self, first: int) -> list[Job]:
        """A job for each window that has none."""
        found: list[Job] = []
        for stretch in self._planned:
            if stretch.number is None and stretch.samples is not None:
                stretch.number = first + len(found)
                found.append(EmbedJob(stretch.number, stretch.samples, stretch.at))
        return found

    def receive_result(self, result: Result) -> None:
        """The answer to a window. Raises ``KeyError`` for one that was not asked for."""
        asked = (one for one in self._planned if one.number == result.number)
        stretch = next((one for one in asked if one.answer is None), None)
        if stretch is None:
            raise KeyError(result.number)
        if isinstance(result, EmbedResult):
            stretch.answer = result.embedding
        else:
            stretch.answer = result.message if isinstance(result, JobFailure) else "no embedding"
        stretch.samples = None
        self._take()

    def failure(self, start: int, end: int) -> str | None:
        """Why there is no embedding, where most of what would answer failed."""
        tiles = self._tiles(start, end)
        known = sum(samples for one, samples in tiles if isinstance(one.answer, np.ndarray))
        said = [one.answer for one, _ in tiles if isinstance(one.answer, str)]
        if known and (known >= HEARD_SHARE * (end - start) or not said):
            return None
        return said[0] if said else "no window of so little speech was embedded"

    def heard(self, spans: Sequence[Place], *, margins: bool = False) -> tuple[Float32, Float32]:
        """Unit embeddings ``(N, D)``, by the windows that answer for each span.

        A graph for windows does not say how they were heard.
        """
        return np.stack([self._embedding(*span) for span in spans]), unheard(len(spans))

    def heads(self, start: int, end: int) -> BlockHeads:
        """A graph for windows says nothing of blocks."""
        return BlockHeads((), (), (), np.zeros((0, 0), np.float32))

    def settle(self, position: int) -> None:
        """Forget windows that are too old."""
        before = position - KEPT_SAMPLES
        self.timeline.forget(before)
        while len(self._known) > 1 and self._known[0].end <= before:
            del self._known[0]

    def _plan(self, start: int, end: int, at: int, samples: Float32) -> None:
        stretch = Stretch(start, end, at, samples)
        if LEAST_SAMPLES <= len(samples) < self._least:
            stretch.samples = np.resize(samples, self._least)
        elif len(samples) < LEAST_SAMPLES:
            needed_s = seconds(LEAST_SAMPLES)
            stretch.samples = None
            stretch.answer = f"only {seconds(end - start):.2f} s of speech, {needed_s:g} s needed"
        self._planned.append(stretch)
        self._take()

    def _take(self) -> None:
        """Answers in the order of the windows."""
        while self._planned and self._planned[0].answer is not None:
            stretch = self._planned.popleft()
            self._known.append(stretch)
            self.ready = stretch.end

    def _tiles(self, start: int, end: int) -> list[tuple[Stretch, int]]:
        """The windows that answer for a span, last first, each with its samples of the span.

        They lie side by side, so that each sample counts once: of the windows around what is
        left of the span the one most like it. What no window holds is left out.
        """
        tiles: list[tuple[Stretch, int]] = []
        # Later windows may have been answered or not: they must not change what is said.
        known = self._known[: bisect_right(self._known, end, key=_end)]
        while start < end:
            around = known[bisect_left(known, end, key=_end) :]
            near = [one for one in around if one.start < end]
            before = known[: len(known) - len(around)]
            if near:
                best = max(near, key=lambda one: one.likeness(start, end))
                begins = max(best.start, start)
                tiles.append((best, end - begins))
            else:
                begins = before[-1].end if before else start
            end = begins
        return tiles

    def _embedding(self, start: int, end: int) -> Float32:
        tiles = self._tiles(start, end)
        known = [(one.answer, n) for one, n in tiles if isinstance(one.answer, np.ndarray)]
        if not known:
            raise LookupError("nothing is known of a span")
        return unit(np.add.reduce([answer * np.float32(n) for answer, n in known]))


def _end(stretch: Stretch) -> int:
    return stretch.end
