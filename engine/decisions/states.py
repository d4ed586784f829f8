"""The five states of a stream, and every way from one to another.

The evidence is that the one meant speaks now (``engine.decisions.change_filter``), asked again at
every place in the speech. Wald's bounds hold the error rates all
the same: of a true likelihood ratio the chance that it *ever* exceeds ``1 / a`` where the other
hypothesis holds is at most ``a``, however its steps depend on each other (Wald, "Sequential Tests
of Statistical Hypotheses", 1945; Ville's inequality). For voices: Vogt, Sridharan and Mason,
"Making Confident Speaker Verification Decisions With Minimal Speech", IEEE TASLP 2010.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from engine.decisions.config import DecisionConfig
from engine.events import State
from engine.scoring.identify import Ranking

# What leads from one state to the next:
# little   The stream has less speech than a decision needs.
# between  The evidence lies between the bounds, and what was decided is still likely.
# doubt    The evidence lies between the bounds, and what was decided is not likely any more.
# accept   The evidence lies above the upper bound.
# reject   The evidence lies below the lower bound, and somebody was claimed.
# nobody   The evidence lies below the lower bound, and nobody was claimed.
# alarm    Another voice has begun.
# revised  The user asks for other error rates, by which nothing has been decided yet.
# lapse    What was known holds no longer, after long silence or with another claim.
Trigger = Literal[
    "little", "between", "doubt", "accept", "reject", "nobody", "alarm", "revised", "lapse"
]

STATES: tuple[State, ...] = get_args(State)
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)

# What the evidence proves, and what a lapse forgets, does not depend on the state before.
FROM_EVERY_STATE: Mapping[Trigger, State] = {
    "accept": "match",
    "reject": "mismatch",
    "nobody": "unknown",
    "lapse": "insufficient",
    "doubt": "uncertain",
}

# A decision holds until the other bound is crossed, it is in doubt, another voice begins or it
# lapses: evidence that wavers about a bound does not make it flicker. A match is given up only
# where the odds are beyond what the budget of false alarms allows. An alarm leaves `uncertain`
# of a decision and not `insufficient`: that the voice is another one is known already.
TRANSITIONS: Mapping[State, Mapping[Trigger, State]] = {
    "insufficient": {
        **FROM_EVERY_STATE,
        "little": "insufficient",
        "between": "uncertain",
        "alarm": "insufficient",
        "revised": "insufficient",
    },
    "uncertain": {
        **FROM_EVERY_STATE,
        "little": "uncertain",
        "between": "uncertain",
        "alarm": "uncertain",
        "revised": "uncertain",
    },
    "match": {
        **FROM_EVERY_STATE,
        "little": "match",
        "between": "match",
        "alarm": "uncertain",
        "revised": "uncertain",
    },
    "mismatch": {
        **FROM_EVERY_STATE,
        "little": "mismatch",
        "between": "mismatch",
        "alarm": "uncertain",
        "revised": "uncertain",
    },
    "unknown": {
        **FROM_EVERY_STATE,
        "little": "unknown",
        "between": "unknown",
        "alarm": "uncertain",
        "revised": "uncertain",
    },
}


def weigh(config: DecisionConfig, ranking: Ranking, *, claimed: bool) -> Trigger:
    """What the evidence says."""
    if ranking.evidence >= config.accept_llr:
        return "accept"
    if ranking.anybody <= config.reject_llr:
        return "reject" if claimed else "nobody"
    return "between"


def alike(config: DecisionConfig, ranking: Ranking, names: Sequence[str]) -> str:
    """The two between whom nothing is decided though it is one of them; otherwise nothing."""
    if ranking.runner_up is None or not ranking.evidence < config.accept_llr <= ranking.anybody:
        return ""
    return f"{names[ranking.speaker]} and {names[ranking.runner_up]}"


def words(
    config: DecisionConfig, signal: Trigger, evidence: float, speech_s: float, both: str = ""
) -> str:
    """The reason for a decision; ``both`` as :func:`alike` names them."""
    after = f"after {speech_s:.1f} s of speech"
    if signal == "little":
        return f"{speech_s:.1f} s of speech, {config.decide_s:.1f} s are needed"
    if signal == "accept":
        return f"evidence {evidence:.1f} is above the bound of {config.accept_llr:.1f} {after}"
    if signal in ("between", "doubt"):
        low, high = config.reject_llr, config.accept_llr
        between = f"evidence {evidence:.1f} lies between the bounds of {low:.1f} and {high:.1f}"
        return f"{both} have like voices: {between}" if both else between
    return f"evidence {evidence:.1f} is below the bound of {config.reject_llr:.1f} {after}"
