"""The cohort of a bundle: speakers of training by whom scores are normalised.

It holds one embedding of each, spread over sources and languages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby, zip_longest

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.format import SAMPLE_RATE_HZ, unit
from engine.model.encoder import Encoder, embed_speech
from models.calibration.errors import CalibrationError
from models.sound.corpus import Corpus

Float32 = NDArray[np.float32]

COHORT_PER_SOURCE = 1000  # from each source that held-out speakers come from
COHORT_PER_OTHER = 100  # from any other, for breadth
COHORT_MIN_S = 4.0  # a speaker with less is placed too roughly to measure others by
COHORT_MAX_S = 10.0
FEWEST_FOREIGN = 100  # cohort speakers of other sources: with fewer, all normalise


def cohort_names(
    corpus: Corpus, heldout: Sequence[str], per_source: int, rng: np.random.Generator
) -> list[str]:
    """Speakers outside ``heldout``: up to ``per_source`` of each source that ``heldout`` has,
    and ``COHORT_PER_OTHER`` of any other, within a source from each language in turn."""
    excluded, known = set(heldout), {corpus.by_speaker[s][0].source for s in heldout}
    sources: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, utterances in corpus.by_speaker.items():
        if name not in excluded and corpus.span(name)[1] >= COHORT_MIN_S * SAMPLE_RATE_HZ:
            sources[utterances[0].source][utterances[0].language].append(name)
    chosen: list[str] = []
    for source, languages in sources.items():
        shuffled = [[str(name) for name in rng.permutation(own)] for own in languages.values()]
        in_turn = [name for turn in zip_longest(*shuffled) for name in turn if name is not None]
        chosen += in_turn[: per_source if source in known else COHORT_PER_OTHER]
    return chosen


def embed_cohort(
    corpus: Corpus, encoder: Encoder, names: Sequence[str], *, progress: bool = True
) -> Float32:
    """Unit embeddings ``(N, D)`` of the cohort's speakers, in the precision they are stored in."""
    if len(names) < 2:
        raise CalibrationError(
            f"the corpus has {len(names)} speakers for a cohort, who are not held out and have"
            f" {COHORT_MIN_S:g} s of speech: use more training data"
        )
    longest = round(COHORT_MAX_S * SAMPLE_RATE_HZ)
    bar = tqdm(names, unit="speaker", desc="cohort", disable=None if progress else True)
    rows = [embed_speech(encoder, corpus.speech(name)[:longest]) for name in bar]
    stored = np.stack(rows).astype(np.float16).astype(np.float32)
    return unit(stored)


def cohort_runs(sources: NDArray[np.str_]) -> list[tuple[str, int]]:
    """The source of each row of the cohort, as runs of rows."""
    return [(str(name), len(list(rows))) for name, rows in groupby(sources)]


def foreign_cohort(cohort: Float32, foreign: NDArray[np.bool_]) -> Float32:
    """The ``foreign`` ``(N,)`` of the cohort, or all of it where they are too few."""
    return cohort[foreign] if int(foreign.sum()) >= min(FEWEST_FOREIGN, len(cohort)) else cohort
