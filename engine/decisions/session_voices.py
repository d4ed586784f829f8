"""The voices of one session, each with a label that stays with it.

Labels count up: `voice-1` spoke first. A voice that comes back is known again by an LLR above
zero, at which it is as likely the old one as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.format import unit
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

MOST_VOICES = 24  # A session remembers so many; the one longest unheard is forgotten first.
LONGEST_S = 60.0  # A voice's earlier speech weighs at most a minute when more of it comes.


@dataclass(slots=True, eq=False)
class Voice:
    """A voice of this session: its label, its name once it was matched, and what it is like.

    ``denied_s`` is the net speech of its turns that were judged to be of nobody enrolled.
    """

    label: str
    sum: Float64  # of unit embeddings ``(D,)``, weighted by seconds
    speech_s: float
    name: str | None = None
    denied_s: float = 0.0

    @property
    def called(self) -> str:
        """The name, or the label of somebody unknown."""
        return self.name or self.label

    def prepare(self, scorer: CalibratedScorer) -> PreparedEmbeddings:
        """The voice ready to be compared."""
        return scorer.prepare(unit(self.sum)[None].astype(np.float32), self.speech_s)

    def add(self, embedding: Float32, speech_s: float) -> None:
        """More speech of this voice."""
        self.sum = self.sum + embedding * np.float64(speech_s)
        self.speech_s += speech_s
        if self.speech_s > LONGEST_S:
            self.sum *= LONGEST_S / self.speech_s
            self.speech_s = LONGEST_S


class SessionVoices:
    """All the voices of a session so far, the last to have spoken at the end."""

    def __init__(self, scorer: CalibratedScorer) -> None:
        self._scorer = scorer
        self._voices: list[Voice] = []
        self._labels = 0

    def enter(self, embedding: Float32, speech_s: float, but: Voice | None = None) -> Voice:
        """The voice that this speech is of, known or new, and not ``but``.

        Its own speech is not yet counted in: :meth:`Voice.add` does that once the run is over.
        """
        known = [voice for voice in self._voices if voice is not but]
        found = self._nearest(known, embedding, speech_s)
        if found is None:
            self._labels += 1
            found = Voice(f"voice-{self._labels}", np.zeros(len(embedding)), 0.0)
        else:
            self._voices.remove(found)
        self._voices = [*self._voices[1 - MOST_VOICES :], found]
        return found

    def forget_people(self) -> None:
        """Others are enrolled from now on: of them no voice was denied to be any."""
        for voice in self._voices:
            voice.denied_s = 0.0

    def named(self, name: str | None) -> Voice | None:
        """The voice that was matched as this person, if one was: that of the most speech."""
        matched = [voice for voice in self._voices if name and voice.name == name]
        return max(matched, key=lambda voice: voice.speech_s, default=None)

    def forget(self) -> None:
        """Whoever speaks from here on is new, by a label that nobody had."""
        self._voices = []

    def _nearest(self, known: list[Voice], embedding: Float32, speech_s: float) -> Voice | None:
        heard = [voice for voice in known if voice.speech_s > 0]
        if not heard:
            return None
        rows = unit(np.stack([voice.sum for voice in heard])).astype(np.float32)
        lengths = np.array([voice.speech_s for voice in heard])
        test = self._scorer.prepare(embedding[None], speech_s)
        llr = self._scorer.compare(self._scorer.prepare(rows, lengths), test).llr
        best = int(np.argmax(llr))
        return heard[best] if llr[best] > 0 else None
