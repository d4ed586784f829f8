"""What is asked of a comparison of recordings, and its result, for programs and in words."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from engine.decisions.config import wald_bounds
from engine.errors import VoxwatchError

Decision = Literal["match", "mismatch", "uncertain", "insufficient"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Prior and tolerated error rates, each strictly between 0 and 1.

    Raises ``VoxwatchError`` when the thresholds that follow would cross.
    """

    prior: float = 0.5
    false_accept: float = 0.05
    miss: float = 0.05

    def __post_init__(self) -> None:
        for name in ("prior", "false_accept", "miss"):
            value = getattr(self, name)
            if not 0 < value < 1:
                option = name.replace("_", "-")
                raise VoxwatchError(f"--{option} must lie between 0 and 1, not at {value:g}")
        if self.false_accept + self.miss > 1:
            raise VoxwatchError(
                "--false-accept and --miss add up to more than 1: lower one of them"
            )

    @property
    def bounds(self) -> tuple[float, float]:
        """The evidence from which up it is a match, and that from which down it is a mismatch.

        Those of live decisions, less the log odds of the prior.
        """
        accept, reject = wald_bounds(self.false_accept, self.miss)
        prior_odds = math.log(self.prior / (1 - self.prior))
        return accept - prior_odds, reject - prior_odds

    def decide(self, evidence: float) -> Decision:
        """The decision where the ``evidence`` of the figures (``DecisionFigures``) is so much."""
        accept, reject = self.bounds
        if evidence >= accept:
            return "match"
        return "mismatch" if evidence <= reject else "uncertain"

    def __str__(self) -> str:
        accept, reject = self.bounds
        up, down = f"match from evidence {accept:+.2f} up", f"mismatch from {reject:+.2f} down"
        return f"{up}, {down}, else uncertain"


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What one file holds: seconds in all, share clipped (0 to 1), RMS level in dBFS.

    ``net_speech_s`` are the seconds of speech that were compared: of a recording to enrol those
    behind its voiceprint, 20 at most.
    """

    file: str
    duration_s: float
    net_speech_s: float
    clipped: float
    level_dbfs: float


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison, explained. Scores are ``None`` when there is too little speech to score.

    ``llr`` is a natural-log likelihood ratio, ``evidence`` what the rule decides by: the ratio,
    stretched so that stated rates are those measured. ``reason`` says in a line why the decision
    is ``insufficient``, or ``uncertain`` in spite of it.
    """

    decision: Decision
    rule: Rule
    enroll: tuple[Recording, ...]
    test: Recording
    model: str
    model_sha256: str
    provider: str
    cosine: float | None = None
    norm: float | None = None
    llr: float | None = None
    evidence: float | None = None
    posterior: float | None = None
    reason: str | None = None

    @property
    def enroll_speech_s(self) -> float:
        """Net speech behind the voiceprint, in seconds."""
        return sum(r.net_speech_s for r in self.enroll)


def as_text(result: Verification) -> str:
    """The result as a few aligned lines for a person."""
    count = len(result.enroll)
    speech = (
        f"enrolment {result.enroll_speech_s:.1f} s in {count} recording{'s' * (count != 1)}, "
        f"test {result.test.net_speech_s:.1f} s"
    )
    rows: list[tuple[str, str]] = [("decision", result.decision)]
    if result.posterior is not None:
        rows += [
            ("evidence", f"{result.evidence:+.2f}"),
            ("posterior", f"{result.posterior:.4f} at a prior of {result.rule.prior:g}"),
            ("LLR", f"{result.llr:+.2f} (natural log)"),
            ("score", f"cosine {result.cosine:.3f}, normalised {result.norm:.2f}"),
        ]
    rows += [
        ("net speech", speech),
        ("rule", str(result.rule)),
        ("model", f"{result.model} on {result.provider}"),
    ]
    return "\n".join(f"{name:<12}{value}" for name, value in rows)
