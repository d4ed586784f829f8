"""Voiceprints: what is kept of a person's voice, and all that is compared with it later."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.scoring.scorer import PreparedEmbeddings, Scorer

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Prototype:
    """One enrolment of a voice: unit embedding ``(D,)`` and the net speech behind it."""

    embedding: Float32 = field(repr=False)  # never in a log
    speech_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Voiceprint:
    """A person's prototypes. They stay apart: a test is scored by the nearest of them."""

    name: str
    prototypes: tuple[Prototype, ...]

    def __post_init__(self) -> None:
        if not self.prototypes:
            raise ValueError("a voiceprint needs at least one prototype")

    def prepare(self, scorer: Scorer) -> PreparedEmbeddings:
        """The prototypes ready to be compared. Raises ``ValueError`` for another model's size."""
        embeddings = np.stack([prototype.embedding for prototype in self.prototypes])
        return scorer.prepare(embeddings, np.array([p.speech_s for p in self.prototypes]))
