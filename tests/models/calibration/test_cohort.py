from __future__ import annotations

import numpy as np
import pytest

from engine.format import unit
from models.calibration import cohort as of_bundle
from models.calibration.cohort import cohort_names, cohort_runs, foreign_cohort
from models.sound.corpus import Corpus

pytestmark = pytest.mark.slow

SPEAKERS = 24


def test_the_cohort_leaves_out_the_held_out_and_spreads_over_languages(corpus: Corpus) -> None:
    heldout = ["s00", "s01", "s02"]  # of both sources
    names = cohort_names(corpus, heldout, 4, np.random.default_rng(0))
    assert len(set(names)) == 8
    assert not set(heldout) & set(names)
    first = [corpus.by_speaker[name][0] for name in names]
    groups = [(u.source, u.language) for u in first]
    assert {group: groups.count(group) for group in groups} == dict.fromkeys(groups, 2)
    assert len(set(groups)) == 4


def test_the_cohort_has_a_few_of_sources_that_nobody_is_held_out_of(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_bundle, "COHORT_PER_OTHER", 1)
    names = cohort_names(corpus, ["s00"], 100, np.random.default_rng(0))
    sources = [corpus.by_speaker[name][0].source for name in names]
    assert (sources.count("blue"), sources.count("red")) == (SPEAKERS // 2 - 1, 1)


def test_nobody_is_normalised_by_a_cohort_of_their_own_source() -> None:
    cohort = unit(np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32))
    sources = np.repeat(["red", "blue"], [200, 100])
    assert cohort_runs(sources) == [("red", 200), ("blue", 100)]
    assert np.array_equal(foreign_cohort(cohort, sources != "red"), cohort[200:])
    # Of fewer than a hundred foreign ones nothing can be said: then all measure.
    assert len(foreign_cohort(cohort, np.arange(300) < 99)) == 300
