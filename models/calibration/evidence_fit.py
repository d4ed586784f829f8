"""Fits what decisions over time need into a bundle: `scripts/fit_evidence.py`.

On streams of held-out speakers (``models.calibration.evidence_streams``):

- the evidence is ``slope`` times the log odds that somebody speaks plus ``offset``, so
  that of strangers' streams as many are accepted as was stated (``models.calibration.rate_fit``);
  what error rates follow is measured on folds of speakers that the fit has not seen;
- alarms of another voice are fitted by ``models.calibration.alarm_fit``; how late and how
  often wrong they are is measured on the same folds. How often a match is given up is counted on
  streams of all kinds, those whose sound changes among them: on speakers of other corpora matches
  were given up 14 times an hour where streams of one sound had foretold one. Changes without a
  claim came as foretold by those.

There are minutes of most speakers of Common Voice and not hours: rates under a few false
alarms an hour are extrapolated, and the record says from how much speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.decisions.config import DecisionConfig, wald_bounds
from engine.model.bundle import Bundle, load_bundle, write_bundle
from engine.model.encoder import Encoder
from engine.model.manifest import DecisionFigures
from engine.scoring.expected_rates import MEASURED
from engine.scoring.scorer import CalibratedScorer
from models.calibration.alarm_fit import (
    BUDGETS,
    cross_fitted,
    delays,
    fit_rate,
    fit_weights,
)
from models.calibration.alarm_trials import continuations, traces
from models.calibration.calibrate import FEWEST_SPEAKERS
from models.calibration.cohort import foreign_cohort
from models.calibration.effective_speech import fit_effective
from models.calibration.errors import CalibrationError
from models.calibration.evidence_streams import (
    LEAST_STREAM_S,
    ONE_SOUND,
    Scorers,
    TakeoverStream,
    Talk,
    streams,
    talks,
)
from models.calibration.evidence_trials import EvidenceTrial, evidence_trials
from models.calibration.rate_fit import STATED, decided, enrolment_worth_s, fit_bounds
from models.sound.conditions import Degrade, TrainingConditions
from models.sound.corpus import Corpus

LEAST_S = DecisionConfig().decide_s  # of speech, under which nothing is decided
ALARM_TERMS = {"takeover": ("claim", "voice"), "change": ("voice",)}
LOOKS_S = (1.5, 2.0, 3.0, 5.0, 10.0)
LOOK_WITHIN_S = 0.25
FOLDS = 5  # of the cross-validation, by speakers

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]


def fit_runs(trials: Sequence[EvidenceTrial]) -> tuple[float, float]:
    """``slope`` and ``offset`` by which stated false accepts are those that are measured.

    A stream looks again and again, and a stranger comes in by the highest of the looks: the rate is
    of streams in which that happens. Whoever asks once lets in fewer. Sources and conditions weigh
    alike.
    """
    strangers: list[tuple[str, float]] = []
    for trial in trials:
        usable = trial.speech_s >= LEAST_S
        if not trial.target and usable.any():
            cell = repr((trial.source, trial.degraded))
            strangers.append((cell, float(trial.llr[usable].max())))
    _, cell_of = np.unique([name for name, _ in strangers], return_inverse=True)
    llr = np.array([llr for _, llr in strangers])
    return fit_bounds(llr, 1 / np.bincount(cell_of)[cell_of])


def _folds(speakers: int, seed: int) -> Ints:
    return np.random.default_rng(seed).permutation(speakers) % FOLDS


def _unseen_evidence(
    trials: Sequence[EvidenceTrial], speakers: int, seed: int
) -> dict[int, Float64]:
    """That of each trial, by a fit on the speakers of other folds."""
    fold = _folds(speakers, seed)
    evidence: dict[int, Float64] = {}
    for one in range(FOLDS):
        slope, offset = fit_runs([t for t in trials if fold[t.speaker] != one])
        held = [i for i, t in enumerate(trials) if fold[t.speaker] == one]
        fitted = DecisionFigures(slope=slope, offset=offset)
        evidence.update({i: fitted.evidence(trials[i].llr) for i in held})
    return evidence


def error_rates(trials: Sequence[EvidenceTrial], speakers: int, seed: int) -> list[dict[str, Any]]:
    """Decisions by bounds on the evidence, each fold by a fit on the others."""
    evidence, table = _unseen_evidence(trials, speakers, seed), []
    for source in sorted({trial.source for trial in trials}):
        rows = [i for i, trial in enumerate(trials) if trial.source == source]
        for false_accept, miss in STATED:
            figures = _decided([(trials[i], evidence[i]) for i in rows], false_accept, miss)
            asked = {"source": source, "false_accept": false_accept, "miss": miss}
            table.append({**asked, **figures})
    return table


def one_look(
    trials: Sequence[EvidenceTrial], speakers: int, seed: int, half_speech_s: float
) -> list[dict[str, Any]]:
    """What stated rates come to for who asks once, by source, condition and seconds of speech.

    By the evidence of :func:`error_rates`. What was said until a look is as long as its row says
    to the nearest half second; ``enrol_s`` is as in the rows of ``calibrate.stated_rates``.
    """
    evidence, table = _unseen_evidence(trials, speakers, seed), []
    for source in sorted({trial.source for trial in trials}):
        for degraded in (False, True):
            own = [
                (trial, evidence[i])
                for i, trial in enumerate(trials)
                if (trial.source, trial.degraded) == (source, degraded)
            ]
            for test_s in LOOKS_S:
                looks = [(trial, _look(trial, test_s), found) for trial, found in own]
                asked = [(t, found[at]) for t, at, found in looks if at is not None]
                target = np.array([trial.target for trial, _ in asked], bool)
                if not target.any() or target.all():
                    continue
                enrol_s = np.array([trial.enrol_s for trial, _ in asked])
                place = {
                    "source": source,
                    "condition": "degraded" if degraded else "clean",
                    "test_s": test_s,
                    "enrol_s": round(enrolment_worth_s(enrol_s, half_speech_s), 2),
                }
                every = np.array([found for _, found in asked])
                table += [place | row for row in decided(every, target)]
    return table


def _look(trial: EvidenceTrial, test_s: float) -> int | None:
    """Which of a trial's places has about so much speech."""
    nearest = int(np.abs(trial.speech_s - test_s).argmin())
    return nearest if abs(trial.speech_s[nearest] - test_s) <= LOOK_WITHIN_S else None


def _decided(
    rows: Sequence[tuple[EvidenceTrial, Float64]], false_accept: float, miss: float
) -> dict[str, Any]:
    upper, lower = wald_bounds(false_accept, miss)
    outcome: dict[bool, list[str]] = {True: [], False: []}
    accept_s = []
    for trial, evidence in rows:
        usable = trial.speech_s >= LEAST_S
        crossed = np.flatnonzero(usable & ((evidence >= upper) | (evidence <= lower)))
        said = "none" if not len(crossed) else "no" if evidence[crossed[0]] <= lower else "yes"
        outcome[trial.target].append(said)
        if trial.target and said == "yes":
            accept_s.append(float(trial.speech_s[crossed[0]]))
    targets, others = np.array(outcome[True]), np.array(outcome[False])
    return {
        "false_accepts": round(float(np.mean(others == "yes")), 4),
        "false_rejects": round(float(np.mean(targets == "no")), 4),
        "accepted": round(float(np.mean(targets == "yes")), 3),
        "rejected": round(float(np.mean(others == "no")), 3),
        "accept_s_p50": float(np.median(accept_s)) if accept_s else None,
        "accept_s_p95": float(np.percentile(accept_s, 95)) if accept_s else None,
    }


def fit_evidence(
    bundle: Path | None,
    cache: Path,
    heldout: Path,
    output: Path | None = None,
    *,
    degrade: Degrade | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: bool = True,
) -> Bundle:
    """Fit ``bundle``'s evidence (None: the default one) and write it to ``output`` (None: in
    place).

    ``cache`` and ``heldout`` are those of `voxwatch calibrate`, which comes first. Raises
    ``BundleError`` for a bundle that is not calibrated or is none, :class:`CalibrationError`
    where too few speakers have enough speech.
    """
    loaded = load_bundle(bundle)
    calibration = CalibratedScorer(loaded).calibration
    corpus = Corpus(cache)
    named = heldout.read_text().split()
    speakers = [name for name in named if len(corpus.by_speaker.get(name, ())) >= 2]
    scorers = foreign_scorers(loaded, {corpus.by_speaker[name][0].source for name in speakers})
    encoder = Encoder(loaded, "cpu", threads=threads)
    said = talks(corpus, speakers, encoder, scorers, seed)
    degrade = degrade or TrainingConditions(cache)
    heard = streams(said, encoder, degrade, seed, progress=progress)
    if len({stream.talk.speaker for stream in heard}) < FEWEST_SPEAKERS:
        raise CalibrationError(
            f"{heldout} has {len(heard)} streams of {LEAST_STREAM_S:g} s beside an enrolment: at"
            f" least {FEWEST_SPEAKERS} speakers are needed; hold out more in training"
        )
    evidence = evidence_of(scorers, said, heard, seed)
    found = msgspec.structs.replace(calibration, evidence=evidence)
    manifest = msgspec.structs.replace(loaded.manifest, calibration=found)
    return write_bundle(output or loaded.folder, manifest, loaded.model_files(), loaded.cohort)


def foreign_scorers(bundle: Bundle, sources: Iterable[str]) -> Scorers:
    """For each source a scorer whose cohort is without it, if the bundle says who is in it."""
    assert bundle.manifest.calibration is not None
    runs = bundle.manifest.calibration.fitted.get("cohort_sources", [])
    of_row = np.array([source for source, count in runs for _ in range(count)])
    if bundle.cohort is None or len(of_row) != len(bundle.cohort):
        return {source: CalibratedScorer(bundle) for source in sources}
    return {
        source: CalibratedScorer(
            replace(bundle, cohort=foreign_cohort(bundle.cohort, of_row != source))
        )
        for source in sources
    }


def evidence_of(
    scorers: Scorers, said: Sequence[Talk], heard: Sequence[TakeoverStream], seed: int
) -> DecisionFigures:
    """The figures that fit these streams, and how well."""
    plain = [stream for stream in heard if stream.talk.split in ONE_SOUND]
    tried = evidence_trials(scorers, plain, said, seed)
    half_speech_s = scorers[said[0].source].calibration.half_speech_s
    slope, offset = fit_runs(tried)
    effective = fit_effective(tried)
    compared = continuations(scorers, plain)
    weights = {name: fit_weights(compared, terms) for name, terms in ALARM_TERMS.items()}
    filtered = DecisionFigures(
        slope=slope, offset=offset, takeover=weights["takeover"], change=weights["change"]
    )
    followed = {"takeover": heard, "change": plain}
    measured = {
        name: traces(scorers, some, filtered, claimed=name == "takeover")
        for name, some in followed.items()
    }
    alarms = {name: fit_rate(weights[name], measured[name]) for name in ALARM_TERMS}
    speakers = 1 + max(talk.speaker for talk in said)
    folds = _folds(speakers, seed)
    unseen = {
        name: cross_fitted(
            weights[name], measured[name], [int(folds[one.talk.speaker]) for one in some]
        )
        for name, some in followed.items()
    }
    return DecisionFigures(
        slope=slope,
        offset=offset,
        takeover=alarms["takeover"],
        change=alarms["change"],
        fitted={
            "seed": seed,
            "streams": len(heard),
            "trials": len(tried),
            "targets": sum(trial.target for trial in tried),
            "effective_speech": None if effective is None else asdict(effective),
            "decisions_cross_validated": error_rates(tried, speakers, seed),
            MEASURED: one_look(tried, speakers, seed, half_speech_s),
            **{
                f"{name}_cross_validated": [
                    delays(measured[name], each, budget) for budget in BUDGETS
                ]
                for name, each in unseen.items()
            },
        },
    )
