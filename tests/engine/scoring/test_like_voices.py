"""Who sounds like somebody who is enrolled, by the bound that decides later."""

from __future__ import annotations

import numpy as np
import pytest
from fake_scorers import fake_scorer

from engine.scoring.like_voices import like_voices
from engine.scoring.scorer import PreparedEmbeddings

SCORER = fake_scorer(3)
ONE, TWO = np.eye(3, dtype=np.float32)[:2]


def voice(*embeddings: np.ndarray) -> PreparedEmbeddings:
    return SCORER.prepare(np.stack(embeddings), 20.0)


@pytest.mark.parametrize(("bound", "found"), [(4.9, ("near", "nearer")), (5.1, ()), (-6.0, None)])
def test_the_bound_says_who_is_named(bound: float, found: tuple[str, ...] | None) -> None:
    between = (ONE + 1e-3 * TWO) / np.linalg.norm(ONE + 1e-3 * TWO)
    others = {"far": voice(TWO), "near": voice(between), "nearer": voice(ONE)}
    told = like_voices(SCORER, voice(ONE), others, bound)
    assert set(told) == set(others if found is None else found)
    if told:
        assert told[0] == "nearer"


def test_one_prototype_that_is_alike_is_enough() -> None:
    assert like_voices(SCORER, voice(ONE, TWO), {"other": voice(TWO)}, 4.9) == ("other",)
    assert like_voices(SCORER, voice(ONE), {"other": voice(TWO, ONE)}, 4.9) == ("other",)
    assert like_voices(SCORER, voice(ONE), {}, 4.9) == ()
