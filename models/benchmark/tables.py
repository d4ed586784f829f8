"""The tables of a benchmark: results in, rows of figures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.decisions.config import DecisionConfig
from engine.events import State
from models.benchmark.estimates import Draws, percent, quantile, rate
from models.benchmark.outcomes import (
    NO,
    STATES,
    FirstDecision,
    FollowedClaim,
    States,
    first_decision,
    follow_claim,
)
from models.benchmark.plans import Kind
from models.benchmark.results import ConversationResult
from models.evaluation.report import Estimate

PER_HOUR = 3600.0  # seconds
LEAVING: frozenset[State] = frozenset({"uncertain", "mismatch", "unknown"})

Cells = dict[str, str | int | Estimate]
StatesOf = Callable[[ConversationResult], States | None]


@dataclass(frozen=True, slots=True)
class System:
    """Something that follows a claim: its states in each conversation that it heard.

    ``alarms`` are the states that, after a match, say that somebody else speaks.
    """

    name: str
    states: StatesOf
    alarms: frozenset[State] = NO


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of named figures under a title, with a note on how to read them."""

    name: str
    title: str
    note: str
    rows: list[Cells] = field(default_factory=list)


def similarity(result: ConversationResult) -> str:
    """Of a conversation with a stranger: how the voices' pitch compares."""
    return "similar pitch" if result.truth.similar else "other pitch"


def decisions_table(
    results: Sequence[ConversationResult], systems: Sequence[System], draws: Draws
) -> Table:
    """Who was accepted and rejected first, and how fast."""
    table = Table(
        "decisions",
        "Decisions on one voice",
        "First decision of a stream: clean, one voice, the claimed speaker's or an impostor's."
        " Seconds of net speech and on the clock; a stream that never came to a decision counts"
        " as infinitely slow. `ever` are impostors accepted at any time of the stream.",
    )
    for system in systems:
        groups: dict[str, list[ConversationResult]] = {}
        for result in results:
            kind = result.truth.kind
            if kind == "single":
                groups.setdefault("claimed speaker", []).append(result)
            elif kind == "impostor":
                groups.setdefault("impostor", []).append(result)
                groups.setdefault(f"impostor, {similarity(result)}", []).append(result)
        for name, group in groups.items():
            heard = [(r, s) for r in group if (s := system.states(r)) is not None]
            if heard:
                wrong = "mismatch" if name == "claimed speaker" else "match"
                cells: Cells = {"system": system.name, "who speaks": name, "streams": len(heard)}
                table.rows.append(cells | _decided(heard, wrong, draws))
    return table


def _decided(heard: list[tuple[ConversationResult, States]], wrong: str, draws: Draws) -> Cells:
    firsts = [first_decision(result.truth, states) for result, states in heard]
    weights = draws.weights([result.truth for result, _ in heard])
    ones = [1.0] * len(heard)
    right = [first if _is_right(first, wrong) else None for first in firsts]
    speech_s = [first.speech_s if first else np.inf for first in right]
    wall_s = [first.wall_s if first else np.inf for first in right]
    errors = [float(first is not None and not _is_right(first, wrong)) for first in firsts]
    ever = [float(any(s == "match" for _, s in states)) for _, states in heard]
    cells: Cells = {
        "wrong %": percent(rate(errors, ones, weights)),
        "undecided %": percent(rate([float(f is None) for f in firsts], ones, weights)),
        "speech p50 s": quantile(speech_s, weights, 0.5),
        "speech p95 s": quantile(speech_s, weights, 0.95),
        "clock p50 s": quantile(wall_s, weights, 0.5),
        "clock p95 s": quantile(wall_s, weights, 0.95),
    }
    if wrong == "match":
        cells["ever %"] = percent(rate(ever, ones, weights))
    return cells


def _is_right(first: FirstDecision | None, wrong: str) -> bool:
    return first is not None and (first.state in NO) == (wrong == "match")


WATCHED = {
    "clean, similar pitch": ("takeover", True),
    "clean, other pitch": ("takeover", False),
    "degraded": ("degraded-takeover", None),
}
CLEAN_GENUINE: tuple[Kind, ...] = ("single", "takeover")
DEGRADED_GENUINE: tuple[Kind, ...] = ("switch", "silence", "degraded-takeover")


def takeover_table(
    results: Sequence[ConversationResult], systems: Sequence[System], draws: Draws
) -> Table:
    """Takeover delay and, on the same speakers, false alarms."""
    table = Table(
        "takeovers",
        "Takeovers of an accepted claim",
        "Delay in the stranger's net speech, from the takeover to the alarm; `missed`: no alarm"
        " until the end, infinitely slow. Only takeovers that found the claim accepted count, and"
        " `accepted` says how many: who accepts few watches the easy ones."
        " False alarms per hour of the claimed speaker's net speech once accepted: in clean"
        " streams with one voice and before takeovers; for `degraded`, in streams whose"
        " condition changes or that fall silent, and before degraded takeovers. An alarm of"
        " voxwatch is a change of voice, or the end of a match otherwise than by silence; of a"
        " system with bounds a score under the lower one.",
    )
    for system in systems:
        watched = follow_all(results, system)
        for name, (kind, similar) in WATCHED.items():
            some = [
                (r, w)
                for r, w in watched
                if r.truth.kind == kind and (similar is None or r.truth.similar is similar)
            ]
            if some:
                kinds = DEGRADED_GENUINE if name == "degraded" else CLEAN_GENUINE
                genuine = [(r, w) for r, w in watched if r.truth.kind in kinds]
                cells: Cells = {"system": system.name, "takeovers": name}
                table.rows.append(cells | takeover_cells(some, genuine, draws))
    return table


def follow_all(
    results: Sequence[ConversationResult], system: System
) -> list[tuple[ConversationResult, FollowedClaim]]:
    """How a system watched every conversation that it heard, impostors' aside."""
    return [
        (result, follow_claim(result.truth, states, system.alarms))
        for result in results
        if result.truth.kind != "impostor" and (states := system.states(result)) is not None
    ]


def takeover_cells(
    takeovers: list[tuple[ConversationResult, FollowedClaim]],
    genuine: list[tuple[ConversationResult, FollowedClaim]],
    draws: Draws,
) -> Cells:
    """Delays of the takeovers that found an accepted claim; alarms in genuine speech."""
    some = [(result, followed) for result, followed in takeovers if followed.stood]
    weights = draws.weights([result.truth for result, _ in some])
    delays = [followed.delay_s for _, followed in some]
    missed = [float(np.isinf(delay)) for delay in delays]
    hours = [followed.accepted_s / PER_HOUR for _, followed in genuine]
    alarms = [float(followed.false_alarms) for _, followed in genuine]
    return {
        "accepted": f"{len(some)} of {len(takeovers)}",
        "delay p50 s": quantile(delays, weights, 0.5),
        "delay p95 s": quantile(delays, weights, 0.95),
        "clock p50 s": quantile([followed.wall_s for _, followed in some], weights, 0.5),
        "missed %": percent(rate(missed, [1.0] * len(some), weights)),
        "false alarms /h": rate(alarms, hours, draws.weights([r.truth for r, _ in genuine])),
        "hours": f"{sum(hours):.2f}",
    }


def commands_table(results: Sequence[ConversationResult], draws: Draws) -> Table:
    """How the turns of one command are judged, after the claimed speaker's turn and a pause."""
    table = Table(
        "commands",
        "Commands of 2 s after the claimed speaker's turn and a pause of 0.8 to 20 s",
        "What `utterance` says, in per cent of the commands; a command in several turns counts as"
        " a match where any of a stranger's is one, and where all of the claimed speaker's are.",
    )
    heard = [r for r in results if r.truth.kind == "command" and r.claimed is not None]
    for own in (False, True):
        found = [(r, judged) for r in heard if (judged := _judged(r, own=own))]
        if not found:
            continue
        weights, ones = draws.weights([r.truth for r, _ in found]), [1.0] * len(found)
        row: Cells = {
            "who speaks": "claimed speaker" if own else "stranger",
            "commands": len(found),
        }
        told = [_told(judged, own=own) for _, judged in found]
        for state in STATES:
            row[f"{state} %"] = percent(rate([float(s == state) for s in told], ones, weights))
        table.rows.append(row)
    return table


def _judged(result: ConversationResult, *, own: bool) -> list[State]:
    """The verdicts on the one command of the stranger, or on that of the claimed speaker after."""
    assert result.claimed is not None
    turns = [t for t in result.truth.turns if t[2] is own]
    start, end, _ = turns[-1]
    verdicts = result.claimed.verdicts
    return [v.state for v in verdicts if start <= (v.start_s + v.end_s) / 2 <= end]


def _told(states: list[State], *, own: bool) -> State:
    """One state for a command that was heard as several turns: the worst of them."""
    order = STATES if not own else STATES[::-1]
    return min(states, key=order.index)


def points_table(
    results: Sequence[ConversationResult],
    points: Sequence[tuple[str, DecisionConfig]],
    draws: Draws,
) -> Table:
    """Stated error rates against measured ones; ``points`` name variants."""
    table = Table(
        "points",
        "Stated and measured error rates",
        "Wrong first decisions on one voice, clean, in per cent; of all streams, undecided ones"
        " among them.",
    )
    for name, config in points:
        row: Cells = {"stated": name}
        for kind, what, asked in (
            ("impostor", "false accepts", config.false_accept),
            ("single", "false rejects", config.miss),
        ):
            heard = [
                (r, r.variants[name])
                for r in results
                if r.truth.kind == kind and name in r.variants
            ]
            cells = _decided(heard, "match" if kind == "impostor" else "mismatch", draws)
            row[f"{what}, stated %"] = f"{100 * asked:g}"
            row[f"{what} %"] = cells["wrong %"]
            row[f"{what}, undecided %"] = cells["undecided %"]
            row[f"{what}, decided p50 s"] = cells["speech p50 s"]
        table.rows.append(row)
    return table
