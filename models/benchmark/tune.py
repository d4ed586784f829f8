"""`voxwatch tune`: settings that keep a user's error rates on the user's own recordings.

The recordings are made into streams as in the benchmark, and the engine hears them at several
settings of its error rates. A setting keeps what was asked for when the *upper* end of its
interval does: of three in a hundred wrong seen once, nobody knows that one in a hundred is kept.
Of no error in N tries no less than 3/N can be said, so that few recordings support no strict
claim; it is refused then, with what would support it.

Who picks the best of many settings also picks the luckiest, and its interval no longer holds. So
the settings stand in one order, strictest first, and only those before the first that fails may
be chosen: the interval then holds for whichever it is (fixed-sequence testing; Angelopoulos et
al., "Learn then Test", 2021, arXiv 2110.01052).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from scipy.stats import beta, chi2

from engine.decisions.config import DecisionConfig
from engine.errors import VoxwatchError
from engine.model.bundle import load_bundle
from engine.model.encoder import ProviderChoice
from models.benchmark.engine import EngineUnderTest
from models.benchmark.estimates import RULE_OF_THREE, Draws, rate
from models.benchmark.outcomes import NO, States, first_decision, follow_claim
from models.benchmark.plans import Kind, Plan, Planner
from models.benchmark.results import ConversationResult, Variant
from models.benchmark.run import Benchmark
from models.benchmark.speakers import DecodedSpeaker, decode, load_speakers
from models.benchmark.tables import LEAVING
from models.sound.conditions import Degradation

CONFIDENCE = 0.95  # of the one-sided intervals
FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # of what was asked for, in this order
GENUINE: tuple[Kind, ...] = ("single", "silence")
KINDS: tuple[Kind, ...] = (*GENUINE, "impostor")
LARGEST_RATE = 0.45  # of false accepts and of misses, that is tried
HIGHEST_RATE = 60.0  # alarms an hour: beyond it they crowd


class TuneError(VoxwatchError):
    """What was asked for cannot be had, or cannot be shown with these recordings."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What the user allows: wrong first decisions, and alarms per hour of genuine speech."""

    false_accept: float = 0.01
    miss: float = 0.05
    false_alarms_h: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.false_accept < 0.5 and 0 < self.miss < 0.5):
            raise TuneError("false accepts and misses are shares between 0 and 0.5, as 0.01")
        if self.false_alarms_h is not None and self.false_alarms_h <= 0:
            raise TuneError("false alarms per hour must be more than none: 0.04 is one a day")


@dataclass(frozen=True, slots=True)
class Bounded:
    """Events that were seen in so many tries or hours; up to ``upper`` of them are credible.

    ``upper`` is the end of a one-sided 95 % interval: Clopper and Pearson's for tries,
    Garwood's for hours, or the bootstrap's over speakers where that is wider.
    """

    events: int
    exposure: float
    value: float
    upper: float


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting and what came of it on the recordings."""

    decisions: DecisionConfig
    false_accepts: Bounded
    misses: Bounded
    false_alarms_h: Bounded
    accept_p50_s: float  # net speech; infinite where most were never accepted

    def keeps(self, costs: Costs) -> bool:
        """Whether it credibly keeps what was asked for."""
        return (
            self.false_accepts.upper <= costs.false_accept
            and self.misses.upper <= costs.miss
            and (costs.false_alarms_h is None or self.false_alarms_h.upper <= costs.false_alarms_h)
        )


@dataclass(frozen=True, slots=True)
class Tuning:
    """All that was tried, strictest first, on so many speakers."""

    costs: Costs
    tried: tuple[Tried, ...]
    speakers: int

    def chosen(self) -> Tried:
        """The quickest setting that keeps the costs, of those before the first that does not.

        Raises ``TuneError`` that says what lacks.
        """
        kept = list(takewhile(lambda tried: tried.keeps(self.costs), self.tried))
        if not kept:
            raise TuneError(self._lacking())
        best = min(kept, key=lambda tried: (tried.accept_p50_s, -tried.decisions.false_accept))
        if math.isinf(best.accept_p50_s):
            raise TuneError(
                "the settings that keep this accept fewer than half of the speakers themselves:"
                " allow more, enrol longer or use a better microphone"
            )
        return best

    def _lacking(self) -> str:
        first = self.tried[0]
        hours = max(tried.false_alarms_h.exposure for tried in self.tried)
        return too_few(self.costs, first.false_accepts.exposure, first.misses.exposure, hours) or (
            "no setting keeps this on these recordings: even the strictest has false accepts up"
            f" to {100 * first.false_accepts.upper:.2g} %, misses up to"
            f" {100 * first.misses.upper:.2g} % and {first.false_alarms_h.upper:.2g} false alarms"
            " per hour; allow more, enrol longer or use a better microphone"
        )


def too_few(costs: Costs, strange: float, own: float, hours: float) -> str:
    """Why no result at all could support ``costs``, or nothing.

    ``strange`` and ``own``: streams of impostors and of the claimed speakers; ``hours``: of
    genuine speech.
    """
    lacking = []
    for what, asked, found, unit in (
        ("false accepts", costs.false_accept, strange, "streams of impostors"),
        ("misses", costs.miss, own, "streams of their own speakers"),
    ):
        if RULE_OF_THREE / max(found, 1e-9) > asked:
            lacking.append(
                f"{100 * asked:g} % {what} need {math.ceil(RULE_OF_THREE / asked)} {unit}"
                f" without one error, there are {found:.0f}"
            )
    if costs.false_alarms_h is not None and costs.false_alarms_h * hours < RULE_OF_THREE:
        lacking.append(
            f"{costs.false_alarms_h:g} false alarms per hour need"
            f" {RULE_OF_THREE / costs.false_alarms_h:.0f} h of genuine speech without one,"
            f" there are {hours:.2f}"
        )
    if not lacking:
        return ""
    return f"the recordings cannot support this: {'; '.join(lacking)}; record more speakers"


def tune(
    speakers: Path,
    costs: Costs,
    *,
    bundle: Path | None = None,
    streams: int = 400,
    seed: int = 0,
    provider: ProviderChoice = "cpu",
    threads: int = 1,
    progress: bool = True,
) -> Tuning:
    """Try settings around ``costs`` on a folder or list of ``speakers``.

    ``streams``: at most so many of their own speakers; twice as many of impostors. Raises
    subclasses of ``VoxwatchError``.
    """
    engine = EngineUnderTest(load_bundle(bundle), provider)
    voices, _ = decode(load_speakers(speakers), engine.vad, threads=threads, progress=progress)
    planner = Planner(voices, seed)
    plans = planner.plans(streams, KINDS)
    _check_enough(costs, plans, voices)  # before the long work
    settings = _settings(costs)
    bench = Benchmark(
        engine,
        voices,
        planner,
        Degradation(seed=seed),
        seed=seed,
        variants=[Variant(_name(one), one, frozenset(KINDS)) for one in settings],
    )
    results = bench.run(plans, threads=threads, progress=progress).conversations
    draws = Draws(len(voices), 1000, seed)
    return Tuning(
        costs,
        tuple(_tried(results, one, draws) for one in settings),
        len({result.truth.claimed for result in results}),
    )


def _check_enough(costs: Costs, plans: Sequence[Plan], voices: Sequence[DecodedSpeaker]) -> None:
    kinds = Counter(plan.kind for plan in plans)
    if not (kinds["single"] and kinds["impostor"]):
        raise TuneError(
            "there is too little to try: at least two speakers are needed with 10 s of speech"
            " each, in several recordings"
        )
    # No more than all of the genuine speech can be accepted, and alarms can only come there.
    genuine_s = sum(
        min(piece.most_s, voices[piece.voice].utterances[piece.utterance].speech_s)
        for plan in plans
        if plan.kind in GENUINE
        for piece in plan.pieces
    )
    if lacking := too_few(costs, kinds["impostor"], kinds["single"], genuine_s / 3600):
        raise TuneError(lacking)


def _settings(costs: Costs) -> list[DecisionConfig]:
    usual = DecisionConfig().false_alarms_per_hour
    settings = (
        DecisionConfig(
            false_accept=min(LARGEST_RATE, factor * costs.false_accept),
            miss=min(LARGEST_RATE, factor * costs.miss),
            false_alarms_per_hour=usual
            if costs.false_alarms_h is None
            else min(HIGHEST_RATE, factor * costs.false_alarms_h),
        )
        for factor in FACTORS
    )
    return list(dict.fromkeys(settings))  # the loosest may all be the loosest there is


def _name(config: DecisionConfig) -> str:
    return f"{config.false_accept:g} {config.miss:g} {config.false_alarms_per_hour:g}"


def _tried(results: Sequence[ConversationResult], config: DecisionConfig, draws: Draws) -> Tried:
    states = [(result, result.variants[_name(config)]) for result in results]
    own = [one for one in states if one[0].truth.kind == "single"]
    strange = [one for one in states if one[0].truth.kind == "impostor"]
    genuine = [one for one in states if one[0].truth.kind in GENUINE]
    watched = [follow_claim(result.truth, told, LEAVING) for result, told in genuine]
    first = [first_decision(result.truth, told) for result, told in own]
    accepted = [f.speech_s if f is not None and f.state == "match" else math.inf for f in first]
    return Tried(
        config,
        _share(strange, frozenset({"match"}), draws),
        _share(own, NO, draws),
        _hourly(
            [followed.false_alarms for followed in watched],
            [followed.accepted_s / 3600 for followed in watched],
            draws.weights([result.truth for result, _ in genuine]),
        ),
        float(np.quantile(accepted, 0.5, method="inverted_cdf")),
    )


def _share(
    streams: list[tuple[ConversationResult, States]], wrong: frozenset[str], draws: Draws
) -> Bounded:
    first = [first_decision(result.truth, told) for result, told in streams]
    errors = [float(one is not None and one.state in wrong) for one in first]
    weights = draws.weights([result.truth for result, _ in streams])
    events, tries = int(sum(errors)), len(errors)
    exact = float(beta.ppf(CONFIDENCE, events + 1, tries - events)) if events < tries else 1.0
    drawn = rate(errors, [1.0] * tries, weights).high if events else 0.0
    return Bounded(events, tries, events / tries, max(exact, drawn))


def _hourly(alarms: list[int], hours: list[float], weights: np.ndarray) -> Bounded:
    events, total = sum(alarms), sum(hours)
    if total <= 0:
        return Bounded(0, 0.0, math.nan, math.inf)
    exact = float(chi2.ppf(CONFIDENCE, 2 * (events + 1))) / 2 / total
    drawn = rate([float(a) for a in alarms], hours, weights).high if events else 0.0
    return Bounded(events, total, events / total, max(exact, drawn))
