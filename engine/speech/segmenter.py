"""PCM in, spans of speech and of silence out: what sessions and enrolments share.

The detector runs elsewhere: frames go out as jobs, one at a time because its state is
recurrent, and what the gate makes of the answers comes back as spans of sound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.audio.buffer import AudioBuffer
from engine.audio.pcm import PcmDecoder
from engine.format import FRAME_SAMPLES
from engine.jobs import VadJob, VadResult, VadState
from engine.speech.gate import FrameSpan, Gate, GateConfig

Float32 = NDArray[np.float32]

FRAMES_PER_JOB = 64  # A file that is sent at once is detected in pieces of 2 s.
# In silence so many frames are gathered for one call, which makes a quarter of the calls. Speech is
# noticed up to 96 ms later, long before there is enough of it to score, and no event changes. What
# ends a turn does not wait for others.
FRAMES_IN_SILENCE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Sound that is all speech or all silence, from media sample ``start`` to ``end``.

    ``started`` and ``ended`` mark the first and the last span of a span of speech; the
    last may be empty.
    """

    speech: bool
    start: int
    end: int
    samples: Float32
    started: bool = False
    ended: bool = False

    def cut(self, at: int) -> tuple[Span, Span]:
        """The parts before and after media sample ``at``, which lies within."""
        before, after = self.samples[: at - self.start], self.samples[at - self.start :]
        first = replace(self, end=at, samples=before, ended=False)
        return first, replace(self, start=at, samples=after, started=False)


class Segmenter:
    """Cuts one stream into spans, which have no gaps and never cross a multiple of ``period``.

    How silence or speech without an edge is divided otherwise depends on the chunking.
    """

    def __init__(self, decoder: PcmDecoder, gate: GateConfig, *, period: int) -> None:
        self._decoder, self._gate, self._period = decoder, Gate(gate), period
        self._buffer = AudioBuffer()
        self._framed = 0  # samples given out for detection
        self._vad_state = VadState.initial(1)
        self._detecting: int | None = None  # number of the job under way
        self._heard = 0  # frames of which it is known how likely they are speech
        self._settling: deque[int] = deque()  # as many frames, after which somebody waits
        self._awaited = 0  # the frame of silence that would end a turn
        self._pauses: deque[int] = deque()  # samples at which what is said ends
        self._eof = self.finished = False

    @property
    def received(self) -> int:
        """Samples at 16 kHz so far."""
        return self._buffer.end

    @property
    def ruled(self) -> int:
        """Samples that spans have covered."""
        return self._buffer.start

    @property
    def waiting(self) -> bool:
        """Whether a detection is under way or could be."""
        return self._detecting is not None or self._due() > 0

    def receive_pcm(self, data: bytes) -> Float32:
        """Take in sound. Returns it decoded, for a meter. Raises ``AudioError``."""
        if self._eof:
            raise RuntimeError("the stream has ended: no sound can follow")
        samples = self._decoder.feed(data)
        self._buffer.append(samples)
        return samples

    def receive_eof(self) -> Iterator[Span]:
        """No more sound follows. Gives what the gate still held, if no detection is left."""
        if not self._eof:
            self._buffer.append(self._decoder.flush())
            self._eof = True
            yield from self._close()

    def pause(self) -> Iterator[Span]:
        """The sound that follows was said later: speech ends here, at the last whole frame.

        Gives what the gate still held, if no detection is left. The detector then begins anew.
        """
        self._pauses.append(self.paused)
        if self._detecting is None:
            yield from self._pause()

    def settle(self) -> Iterator[Span]:
        """Somebody waits for what is known of the sound so far: it is held back no longer.

        Gives what is known now. The frame in which that sound ends is the last that it takes.
        """
        frame = -(-self.received // FRAME_SAMPLES)
        if not self._settling or self._settling[-1] < frame:
            self._settling.append(frame)
        yield from self._spans(self._feed([]))

    def wait_for(self, place: int) -> None:
        """Silence up to media sample ``place`` ends a turn, for whose verdict somebody waits."""
        self._awaited = self._gate.frames_for(-(-place // FRAME_SAMPLES))

    @property
    def paused(self) -> int:
        """The sample at which a pause would be now."""
        return self.received - self.received % FRAME_SAMPLES

    def job(self, number: int) -> VadJob | None:
        """The next frames to detect speech in, as job ``number``, unless one is under way."""
        count = min(self._due(), FRAMES_PER_JOB)
        if self._detecting is not None or not count:
            return None
        start, end = self._framed, min(self._framed + count * FRAME_SAMPLES, self.received)
        frames = self._buffer.slice(start, end)
        if len(frames) < count * FRAME_SAMPLES:  # the last frame of the stream is filled up
            frames = np.concatenate([frames, np.zeros(count * FRAME_SAMPLES - len(frames), "f4")])
        urgent = bool(self._settling) or self._waits(count)
        self._framed, self._detecting = start + count * FRAME_SAMPLES, number
        quiet = self._gate.quiet and not self._eof
        frames = frames.reshape(count, FRAME_SAMPLES)
        return VadJob(number, frames, self._vad_state, quiet, urgent)

    def detecting(self, number: int) -> bool:
        """Whether this job is the one under way."""
        return number == self._detecting

    def receive_result(self, result: VadResult) -> Iterator[Span]:
        """The answer to the job, and the spans that are known with it."""
        self._detecting, self._vad_state = None, result.state
        yield from self._spans(self._feed(result.probabilities.tolist()))
        yield from self._pause()
        if self._eof:
            yield from self._close()

    def _due(self) -> int:
        """How many frames to give out now. At the end of the stream a torn one counts."""
        if self._pauses:
            return (self._pauses[0] - self._framed) // FRAME_SAMPLES
        rest = self.received - self._framed
        if self._eof:
            return -(-rest // FRAME_SAMPLES)
        ready = rest // FRAME_SAMPLES
        gathers = self._gate.quiet and not self._settling and not self._waits(ready)
        return ready if ready >= FRAMES_IN_SILENCE or not gathers else 0

    def _waits(self, count: int) -> bool:
        """Whether that which would end a turn is among the next frames."""
        begun = self._framed // FRAME_SAMPLES
        return begun < self._awaited <= begun + count

    def _feed(self, probabilities: list[float]) -> Iterator[FrameSpan]:
        while self._settling and self._settling[0] <= self._heard + len(probabilities):
            count = self._settling.popleft() - self._heard
            yield from self._gate.feed(probabilities[:count])
            yield from self._gate.settle()
            self._heard, probabilities = self._heard + count, probabilities[count:]
        yield from self._gate.feed(probabilities)
        self._heard += len(probabilities)

    def _pause(self) -> Iterator[Span]:
        while self._pauses and self._framed == self._pauses[0]:
            self._pauses.popleft()
            self._vad_state = VadState.initial(1)
            yield from self._spans(self._gate.flush())

    def _close(self) -> Iterator[Span]:
        if not self.waiting and not self.finished:
            self.finished = True
            yield from self._spans(self._gate.flush())

    def _spans(self, frame_spans: Iterable[FrameSpan]) -> Iterator[Span]:
        for frame_span in frame_spans:
            # Not beyond the sound, where the last frame was filled up.
            start = min(frame_span.start * FRAME_SAMPLES, self.received)
            end = min(frame_span.end * FRAME_SAMPLES, self.received)
            first = -(-(start + 1) // self._period) * self._period
            edges = [start, *range(first, end, self._period), end]
            for a, b in pairwise(edges):
                yield Span(
                    frame_span.kind == "speech",
                    a,
                    b,
                    self._buffer.slice(a, b),
                    frame_span.started and a == start,
                    frame_span.ended and b == end,
                )
            self._buffer.forget(end)
