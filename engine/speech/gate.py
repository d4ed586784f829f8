"""Speech probabilities to speech spans: hysteresis, a shortest span, and padding.

Feed and flush, one probability a frame; what comes out depends on the frames alone,
not on how they were grouped. Silero's own post-processing has the same parts
(https://github.com/snakers4/silero-vad): two thresholds, a minimum of speech before a
span opens, a hangover before it closes, and padding on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["speech", "silence"]


@dataclass(frozen=True, slots=True)
class GateConfig:
    """Thresholds on the probability of speech, and lengths in frames of 32 ms."""

    open_probability: float = 0.5
    close_probability: float = 0.35
    open_frames: int = 2
    close_frames: int = 8
    padding_frames: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.close_probability <= self.open_probability < 1:
            raise ValueError("the gate needs 0 < close_probability <= open_probability < 1")
        if self.open_frames < 1 or self.close_frames < self.padding_frames:
            raise ValueError("the gate needs open_frames >= 1 and close_frames >= padding_frames")


class FrameSpan(NamedTuple):
    """Frames that are all speech or all silence, from ``start`` up to but without ``end``.

    Frames are counted from the start of the stream. ``started`` and ``ended`` mark the first
    and the last part of a span of speech.
    """

    kind: Kind
    start: int
    end: int
    started: bool = False
    ended: bool = False


class Gate:
    """One stream's gate. The spans it gives are contiguous and cover every frame exactly once."""

    def __init__(self, config: GateConfig | None = None) -> None:
        self._config = config or GateConfig()
        self._frame = 0  # frames fed
        self._told = 0  # frames covered by spans
        self._run = 0  # consecutive frames that speak for a change of state
        self.open = False

    @property
    def quiet(self) -> bool:
        """Whether the last frame was silence amid silence."""
        return not self.open and not self._run

    def frames_for(self, frame: int) -> int:
        """How many frames have to be fed until silence is told up to ``frame``."""
        return frame + self._config.padding_frames

    def feed(self, probabilities: Iterable[float]) -> Iterator[FrameSpan]:
        """Spans that these frames settle, in order: between two edges one of them."""
        for probability in probabilities:
            self._frame += 1
            if self._turns(probability):
                yield from self._edge()
        yield from self._settled()

    def flush(self) -> Iterator[FrameSpan]:
        """Spans of the frames that are still undecided, as at the end of the stream."""
        if self.open:
            speech_end = max(self._frame - self._run + self._config.padding_frames, self._told)
            yield self._tell("speech", min(speech_end, self._frame), ended=True)
            self.open = False
        if self._told < self._frame:
            yield self._tell("silence", self._frame)
        self._run = 0

    def settle(self) -> Iterator[FrameSpan]:
        """Spans of the frames that are held back, where these are silence.

        For whoever waits: the hangover ends here, and an onset is padded with none of them.
        """
        if self._run > self._config.padding_frames if self.open else not self._run:
            yield from self.flush()

    def _turns(self, probability: float) -> bool:
        """Whether the gate opens or closes with this frame."""
        config = self._config
        if self.open:
            self._run = self._run + 1 if probability < config.close_probability else 0
            return self._run >= config.close_frames
        self._run = self._run + 1 if probability >= config.open_probability else 0
        return self._run >= config.open_frames

    def _edge(self) -> Iterator[FrameSpan]:
        yield from self._settled()
        if self.open:
            # Frames of the hangover beyond the padding were held back: they are silence.
            speech_end = self._frame - self._config.close_frames + self._config.padding_frames
            yield self._tell("speech", speech_end, ended=True)
        else:
            yield self._tell("speech", self._frame, started=True)
        self.open, self._run = not self.open, 0

    def _settled(self) -> Iterator[FrameSpan]:
        """What no later frame can change: all but an onset and its padding, or a hangover."""
        padding = self._config.padding_frames
        held = max(self._run - padding, 0) if self.open else self._run + padding
        if self._frame - held > self._told:
            yield self._tell("speech" if self.open else "silence", self._frame - held)

    def _tell(
        self,
        kind: Kind,
        end: int,
        *,
        started: bool = False,
        ended: bool = False,
    ) -> FrameSpan:
        frame_span = FrameSpan(kind, self._told, end, started, ended)
        self._told = end
        return frame_span
