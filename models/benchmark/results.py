"""What a benchmark found: one record for each conversation, from which the figures are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.decisions.config import DecisionConfig
from models.benchmark.engine import SessionRecord
from models.benchmark.outcomes import States
from models.benchmark.plans import Kind
from models.benchmark.rivals import RunningScore
from models.benchmark.truth import Truth
from models.evaluation.rttm import Turns


@dataclass(frozen=True, slots=True)
class Variant:
    """Another setting of the decisions, and the kinds of conversation it is tried on."""

    name: str
    decisions: DecisionConfig
    kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True, eq=False)
class ConversationResult:
    """One conversation, with what every system said of it.

    ``claimed`` and ``unclaimed`` are what the engine said with and without a claim, ``variants``
    its states at other settings by name, ``rivals`` the running score of each rival by name.
    """

    truth: Truth
    turns: Turns
    claimed: SessionRecord | None
    unclaimed: SessionRecord | None
    variants: dict[str, States]
    rivals: dict[str, RunningScore]


@dataclass(slots=True)
class BenchmarkResults:
    """All conversations that were streamed, and the enrolments that could not be used."""

    conversations: list[ConversationResult] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)  # how many, by the engine's reason
    enrol_s: list[float] = field(
        default_factory=list
    )  # net seconds of the voiceprints that were made
