"""The systems of a benchmark: the engine, our own cosine with a fixed threshold, and rivals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from engine.events import State
from models.benchmark.curves import (
    CURVE_KINDS,
    Curve,
    cosine_of,
    engine_curve,
    fixed,
    rival_of,
    threshold_curve,
)
from models.benchmark.estimates import Draws
from models.benchmark.outcomes import States
from models.benchmark.results import ConversationResult
from models.benchmark.rivals import Rival, RunningScore
from models.benchmark.tables import LEAVING, System

OURS = "voxwatch"
COSINE = "voxwatch's cosine"


def systems_of(rivals: Sequence[Rival], cosine: float | None) -> list[System]:
    """The engine, our cosine with a fixed threshold, and the rivals with their own bounds."""
    systems = [System(OURS, _our_states, LEAVING)]
    if cosine is not None:

        def states(result: ConversationResult, bound: float = cosine) -> States | None:
            return fixed(cosine_of(result), bound, bound)

        systems.append(System(f"{COSINE} at {cosine:.2f}", states))
    for rival in rivals:
        about = rival.about
        name = f"{about.name} at {about.accept:g}/{about.reject:g}"
        systems.append(System(name, partial(_rival_states, rival)))
    return systems


def in_the_end() -> System:
    """The engine by its verdicts on turns, which come afterwards, and not by its live state."""
    return System(f"{OURS}, by `utterance`", _verdicts)


def _verdicts(result: ConversationResult) -> States | None:
    if result.claimed is None:
        return None
    states: list[tuple[float, State]] = []
    for one in result.claimed.verdicts:
        states += [(one.start_s, one.state), (one.end_s, "insufficient")]
    return states


def _our_states(result: ConversationResult) -> States | None:
    return None if result.claimed is None else result.claimed.states


def _rival_states(rival: Rival, result: ConversationResult) -> States | None:
    about = rival.about
    return fixed(rival_of(about.name, result), about.accept, about.reject)


def curves_of(
    results: Sequence[ConversationResult], rivals: Sequence[Rival], draws: Draws
) -> list[Curve]:
    """Takeover delay against false alarms, of every system, on what all of them heard."""
    some = [r for r in results if r.truth.kind in CURVE_KINDS and (r.rivals or not rivals)]
    scored: dict[str, Callable[[ConversationResult], RunningScore | None]] = {COSINE: cosine_of}
    scored |= {rival.about.name: partial(rival_of, rival.about.name) for rival in rivals}
    curves = [engine_curve(some, OURS, draws)]
    for name, running_of in scored.items():
        running = {r.truth.name: one for r in some if (one := running_of(r)) is not None}
        curves.append(threshold_curve(some, name, running, draws))
    return [curve for curve in curves if curve.points]
