"""What the turns of a command come to, and whether it may be acted on. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import msgspec

from voxwatch_client.messages import Utterance

GateState = Literal["match", "mismatch", "uncertain", "unknown", "insufficient", "unavailable"]
WhenUnsure = Literal["drop", "pass"]

# Of several turns the first of these that one of them is decides. What is too short to be judged
# says nothing beside a turn that is not.
DECIDING: tuple[GateState, ...] = ("mismatch", "unknown", "uncertain", "match", "insufficient")
DENIED = ("mismatch", "unknown")


class GateVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of some speech, and whether what was said in it may be acted on.

    ``turns`` are its turns, oldest first; the state is that of the worst of them. ``unavailable``:
    the server has not said it in time. Of a turn that goes on ``heard_s`` is how far it was heard.
    """

    state: GateState
    allowed: bool
    speaker: str | None = None
    reason: str = ""
    turns: tuple[Utterance, ...] = ()
    heard_s: float | None = None

    @property
    def llr(self) -> float | None:
        """The ratio of the turn that decided, where the server tells figures."""
        told = [turn.llr for turn in self.turns if turn.state == self.state]
        return next((llr for llr in told if llr is not None), None)

    @classmethod
    def of_state(cls, state: GateState, when_unsure: WhenUnsure, **known: Any) -> Self:
        """``when_unsure`` says what becomes of what is neither a match nor somebody else."""
        passed = state == "match" or (state not in DENIED and when_unsure == "pass")
        return cls(state=state, allowed=passed, **known)


def verdict_of(turns: Sequence[Utterance], when_unsure: WhenUnsure) -> GateVerdict:
    """The verdict on some turns; a television far away is none of them."""
    near = [turn for turn in turns if not turn.background]
    if not near:
        return GateVerdict.of_state(
            "insufficient", when_unsure, reason="no speech was heard in it", turns=tuple(turns)
        )
    worst = min(near, key=lambda turn: DECIDING.index(turn.state))
    known = worst.speaker if worst.state == "match" else None  # a claim names nobody else
    return GateVerdict.of_state(
        worst.state, when_unsure, speaker=known, reason=worst.reason, turns=tuple(turns)
    )
