"""What the voice of a stream is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from engine.model.manifest import Calibration
from engine.scoring.expected_rates import ExpectedRate, expected_rates
from engine.scoring.scorer import PreparedEmbeddings
from streamer.server.voiceprint_cache import alike
from streamer.wire.messages import Mode


@dataclass(frozen=True, slots=True)
class Claim:
    """``asked`` are the names claimed: an empty claim asks who of all ``enrolled`` it is.

    Where a claimed voiceprint is deleted the claim ends, and the voice never comes to be compared
    with people that nobody asked for: only its changes are told.
    """

    asked: tuple[str, ...]
    enrolled: Mapping[str, PreparedEmbeddings]

    @property
    def compared(self) -> frozenset[str]:
        """Those whose voiceprints the voice is compared with."""
        return frozenset(self.enrolled)

    @property
    def verified(self) -> tuple[str, ...]:
        """The names that are verified."""
        return tuple(name for name in self.asked if name in self.enrolled)

    @property
    def mode(self) -> Mode:
        """What is said of the voice."""
        if not self.enrolled:
            return "changes"
        return "verify" if self.asked else "identify"

    def rates(self, calibration: Calibration) -> tuple[ExpectedRate, ...]:
        """The error rates to be expected by the enrolment: of several people by the middle one."""
        if not self.enrolled:
            return ()
        enrolled_s = median(float(voice.speech_s.max()) for voice in self.enrolled.values())
        return expected_rates(calibration, enrolled_s)

    def like(self, other: Claim) -> bool:
        """Whether it is the same, voiceprints and all."""
        return self.asked == other.asked and alike(self.enrolled, other.enrolled)

    def among(self, everybody: Mapping[str, PreparedEmbeddings]) -> Claim:
        """The same where ``everybody`` are those enrolled now.

        A name that was claimed and deleted is not compared again, whoever has it now.
        """
        wanted = self.verified if self.asked else everybody
        return Claim(self.asked, {name: everybody[name] for name in wanted if name in everybody})
