"""`voxwatch calibrate`: gives a bundle its cohort and its likelihood ratios.

The cohort is that of :mod:`models.calibration.cohort`. The calibration is fitted on speakers that
training held out; how large a part of the cohort normalises, and whether the cosine speaks beside
the normalised score, is decided by cross-validation over those speakers. Nothing of the evaluation
is touched.

Whoever the bundle will hear comes from none of the sources, so that trials are scored by a cohort
without their own, whose sound they share. On speechocean762 one stranger in a hundred is 1.4
deviations above the cohort with it, and 3.7 without: a fit that has seen only the first lets
strangers in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import Bundle, check_output, load_bundle, write_bundle
from engine.model.encoder import Encoder, ProviderChoice
from engine.model.manifest import Calibration, DecisionFigures, Normalisation
from engine.scoring.scorer import CohortStats, as_norm, cohort_stats
from models.calibration import ratio_fit
from models.calibration.cohort import (
    COHORT_PER_SOURCE,
    cohort_names,
    cohort_runs,
    embed_cohort,
    foreign_cohort,
)
from models.calibration.errors import CalibrationError
from models.calibration.heldout_trials import (
    WHOLE,
    Pairs,
    Segment,
    cut_segments,
    embed_segments,
    pair_segments,
    weigh,
)
from models.calibration.rate_fit import decided, enrolment_worth_s, fit_bounds
from models.calibration.ratio_fit import CrossValidated, ScoredTrials
from models.sound.conditions import Degrade, TrainingConditions
from models.sound.corpus import Corpus

# People speak in more noise than speech is usually trained or measured in.
LIVE_SNR_DB = (-5.0, 20.0)
TOPS = (40, 100, 250)  # cohort speakers nearest to a side, whose scores normalise: tried
FEWEST_SPEAKERS = 10  # with fewer, a fold of the cross-validation has hardly a pair

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to score, and what it gives on speakers that the fit had not seen."""

    top: int
    raw_cosine: bool
    found: CrossValidated


def calibrate(
    bundle: Path | None,
    cache: Path,
    heldout: Path,
    output: Path | None = None,
    *,
    degrade: Degrade | None = None,
    cohort_per_source: int = COHORT_PER_SOURCE,
    seed: int = 0,
    provider: ProviderChoice = "cpu",
    threads: int = 1,
    progress: bool = True,
) -> Bundle:
    """Calibrate ``bundle`` (None: the default one) and write it to ``output`` (None: in place).

    ``cache`` is the prepared corpus of training, ``heldout`` the list of speakers that
    training left out, one a line; cohort speakers come from the others. ``degrade`` makes
    the noisy half of the test segments, by default from the noise and rooms in ``cache``.
    Raises :class:`CalibrationError` when the data do not serve, ``BundleError`` for the rest.
    """
    loaded = load_bundle(bundle)
    output = output or loaded.folder
    check_output(output)
    corpus = _corpus(cache)
    speakers = _heldout(heldout, corpus)
    encoder = Encoder(loaded, provider, threads=threads)
    rng = np.random.default_rng(seed)
    names = cohort_names(corpus, speakers, cohort_per_source, rng)
    cohort_source = np.array([corpus.by_speaker[name][0].source for name in names])
    cohort = embed_cohort(corpus, encoder, names, progress=progress)
    degrade = degrade or TrainingConditions(cache, LIVE_SNR_DB)
    segments = cut_segments(corpus, speakers, encoder.min_samples, rng)
    found = embed_segments(corpus, encoder, segments, degrade, rng, progress=progress)
    pairs = pair_segments(segments, corpus, speakers, rng)
    first = [corpus.by_speaker[name][0] for name in speakers]
    sources, source = np.unique([u.source for u in first], return_inverse=True)
    foreign = [foreign_cohort(cohort, cohort_source != name) for name in sources]
    trials = {
        top: score_trials(segments, found, pairs, foreign, top, source)
        for top in sorted({min(top, *map(len, foreign)) for top in TOPS})
    }
    folds = ratio_fit.deal_folds([(u.source, u.language) for u in first], rng)
    choices = try_choices(trials, folds, progress=progress)
    best = min(choices, key=lambda choice: choice.found.cllr)
    facts = {
        "speakers": len(speakers),
        "cohort_speakers": len(cohort),
        "cohort_sources": cohort_runs(cohort_source),
        "segments": len(segments),
        "trials": len(pairs.target),
        "targets": int(pairs.target.sum()),
        "seed": seed,
    }
    # What was measured with another calibration is not true of this one.
    manifest = msgspec.structs.replace(
        loaded.manifest,
        calibration=_fitted(trials[best.top], best, choices, list(sources), facts),
        normalisation=Normalisation(top=best.top),
        evaluation={},
    )
    return write_bundle(output, manifest, loaded.model_files(), cohort)


def _fitted(
    trials: ScoredTrials,
    best: Choice,
    choices: Sequence[Choice],
    sources: Sequence[str],
    facts: dict[str, Any],
) -> Calibration:
    """The calibration by the ``best`` of all ``choices``, and how it was come by."""
    found = ratio_fit.fit(trials, raw_cosine=best.raw_cosine)
    strangers = ratio_fit.ratios(found.calibration, trials)[~trials.target]
    slope, offset = fit_bounds(strangers, ratio_fit.stranger_weights(trials))
    rates = stated_rates(best.found, trials, sources, found.calibration.half_speech_s)
    mislabelled = zip(sources, found.mislabelled, strict=True)
    return msgspec.structs.replace(
        found.calibration,
        evidence=DecisionFigures(slope=slope, offset=offset),
        fitted={
            **facts,
            "mislabelled": {str(name): round(rate, 4) for name, rate in mislabelled},
            "cross_validated": best.found.table,
            "stated_rates_cross_validated": rates,
            "tried": [
                {"top": c.top, "raw_cosine": c.raw_cosine, "cllr": round(c.found.cllr, 4)}
                for c in choices
            ],
        },
    )


def stated_rates(
    found: CrossValidated, trials: ScoredTrials, sources: Sequence[str], half_speech_s: float
) -> list[dict[str, Any]]:
    """What stated rates come to on unseen speakers, by source, condition and duration.

    ``enrol_s`` is the enrolment that is worth as much as those of the trials in the mean.
    """
    kept, rows = trials.where(found.scored), []
    for number, source in enumerate(sources):
        for degraded in (False, True):
            for label in np.unique(kept.label_s):
                here = (kept.source == number) & (kept.degraded == degraded)
                here &= kept.label_s == label
                target = kept.target[here]
                if not target.any() or target.all():
                    continue
                place = {
                    "source": str(source),
                    "condition": "degraded" if degraded else "clean",
                    "test_s": "utterance" if label == WHOLE else float(label),
                    "enrol_s": round(enrolment_worth_s(kept.enrol_s[here], half_speech_s), 2),
                }
                rows += [place | row for row in decided(found.evidence[here], target)]
    return rows


def _corpus(cache: Path) -> Corpus:
    try:
        return Corpus(cache)
    except OSError as error:
        raise CalibrationError(
            f"{cache} is not a prepared corpus ({error.strerror}): name the cache that"
            " `voxwatch train` made"
        ) from error


def _heldout(path: Path, corpus: Corpus) -> list[str]:
    try:
        named = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(
            f"cannot read the list of held-out speakers {path}: `voxwatch train` writes it as"
            " heldout.txt beside its checkpoint"
        ) from error
    unknown = [s for s in named if s not in corpus.by_speaker]
    if unknown:
        raise CalibrationError(
            f"{path} names {len(unknown)} speakers that the corpus does not have, such as"
            f" {unknown[0]!r}: use the list and the corpus of one training run"
        )
    usable = [s for s in dict.fromkeys(named) if len(corpus.by_speaker[s]) >= 2]
    if len(usable) < FEWEST_SPEAKERS:
        raise CalibrationError(
            f"{path} has {len(usable)} speakers with two utterances or more: at least"
            f" {FEWEST_SPEAKERS} are needed; hold out more in training"
        )
    return usable


def try_choices(
    trials: Mapping[int, ScoredTrials], folds: Ints, *, progress: bool = True
) -> list[Choice]:
    """Each way to score, cross-validated on the same folds; ``trials`` by size of the top."""
    choices = []
    for top, raw in tqdm(
        list(product(trials, (False, True))), desc="fit", disable=None if progress else True
    ):
        found = ratio_fit.cross_validate(trials[top], folds, raw_cosine=raw)
        choices.append(Choice(top, raw, found))
    return choices


def score_trials(
    segments: Sequence[Segment],
    found: tuple[Float32, Float32],
    pairs: Pairs,
    cohorts: Sequence[Float32],
    top: int,
    source: Ints,
) -> ScoredTrials:
    """The trials of ``pairs``, normalised by the ``top`` nearest of the cohort of their source.

    ``found`` are embeddings of the segments and how those were heard, ``source`` has the number of
    each speaker's corpus, ``cohorts`` the cohort of each corpus.
    """
    embeddings, heard = found
    speaker = np.array([s.speaker for s in segments])
    stats = CohortStats(np.empty(len(segments)), np.empty(len(segments)))
    for number, cohort in enumerate(cohorts):
        own = source[speaker] == number
        of_source = cohort_stats(embeddings[own], cohort, top)
        stats.mean[own], stats.std[own] = of_source.mean, of_source.std
    cosine = (embeddings[pairs.enrol] * embeddings[pairs.test]).sum(axis=1, dtype=np.float64)
    seconds = np.array([s.samples for s in segments]) / SAMPLE_RATE_HZ
    return ScoredTrials(
        norm=as_norm(cosine, stats.take(pairs.enrol), stats.take(pairs.test)),
        cosine=cosine,
        enrol_s=seconds[pairs.enrol],
        test_s=seconds[pairs.test],
        label_s=np.array([s.label_s for s in segments])[pairs.test],
        degraded=np.array([s.degraded for s in segments])[pairs.test],
        target=pairs.target,
        weight=weigh(segments, pairs),
        speakers=np.stack([speaker[pairs.enrol], speaker[pairs.test]], axis=1),
        source=source[speaker[pairs.test]].astype(np.intp),
        heard=heard[pairs.test].astype(np.float64),
    )
