"""Speech that needs no model: who speaks when is known, and an embedding is who was heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ, unit
from engine.scoring.worth import UNKNOWN
from engine.spans.interface import BlockHeads, Mark
from engine.spans.timeline import Timeline

Float32 = NDArray[np.float32]
HOP_S = 0.5


@dataclass(frozen=True, slots=True)
class Said:
    """One voice's speech, by its number, after a pause; a pause of 0.6 s begins a turn."""

    voice: int
    speech_s: float
    pause_s: float = 0.0


class FakeSpeech:
    """The spans of a conversation whose voices have the embeddings ``voices`` ``(V, D)``.

    A span with several voices has the embedding between theirs. ``how`` all of it is
    heard: SNR, C50 and magnitude.
    """

    grain = SAMPLE_RATE_HZ // 10
    how: tuple[float, ...] = UNKNOWN

    def __init__(self, voices: Float32, *said: Said) -> None:
        self._voices = voices
        self.timeline = Timeline()
        self.turns: list[tuple[int, int]] = []
        self.with_margins: list[tuple[int, int]] = []  # spans that were asked for so,
        self.without_margins: list[tuple[int, int]] = []  # and those that were not
        self._edges = [0]
        self._who = [part.voice for part in said]
        media, begun = 0.0, 0
        for part in said:
            media += part.pause_s
            if part.pause_s >= 0.6 and self.timeline.position:
                self.turns.append((begun, self.timeline.position))
                begun = self.timeline.position
            self.timeline.push(_samples(media), _samples(part.speech_s))
            media += part.speech_s
            self._edges.append(self.timeline.position)
        self.turns.append((begun, self.timeline.position))

    def marks(self) -> Iterator[Mark]:
        """Every half second of a turn, and its end."""
        for start, end in self.turns:
            for place in range(start + _samples(HOP_S), end, _samples(HOP_S)):
                yield Mark(start, place, self.timeline.ends(place))
            yield Mark(start, end, self.timeline.ends(end) + _samples(0.6), ends_turn=True)

    def failure(self, start: int, end: int) -> str | None:
        return None

    def heard(
        self, spans: Sequence[tuple[int, int]], *, margins: bool = False
    ) -> tuple[Float32, Float32]:
        (self.with_margins if margins else self.without_margins).extend(spans)
        embeddings = np.stack([self._embedding(start, end) for start, end in spans])
        return embeddings, np.tile(np.float32(self.how), (len(spans), 1))

    def heads(self, start: int, end: int) -> BlockHeads:
        return BlockHeads((), (), (), np.zeros((0, 0), np.float32))

    def _embedding(self, start: int, end: int) -> Float32:
        heard = np.zeros(self._voices.shape[1], np.float32)
        for who, a, b in zip(self._who, self._edges, self._edges[1:], strict=False):
            heard += self._voices[who] * np.float32(max(0, min(b, end) - max(a, start)))
        return unit(heard)


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
