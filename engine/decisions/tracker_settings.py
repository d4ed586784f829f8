"""What the speech of a stream is decided by."""

from __future__ import annotations

from dataclasses import dataclass

from engine.audio.suspicion import Suspicion
from engine.decisions.config import DecisionConfig
from engine.scoring.identify import EnrolledVoiceprints


@dataclass(frozen=True, slots=True, eq=False)
class TrackerSettings:
    """What speech is decided by: whom it is compared with, what is asked, and how strictly.

    ``claimed``: one of ``enrolled`` is claimed to be speaking; otherwise, who of them is it?
    While there is a ``suspicion`` that the sound is not what was declared, nothing is decided.
    """

    enrolled: EnrolledVoiceprints
    claimed: bool
    decisions: DecisionConfig
    suspicion: Suspicion | None = None
