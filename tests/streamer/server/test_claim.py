"""What the voice of a stream is compared with, as people are enrolled and deleted."""

from __future__ import annotations

import numpy as np
import pytest

from engine.scoring.scorer import PreparedEmbeddings
from streamer.server.claim import Claim


def voice(seed: int) -> PreparedEmbeddings:
    embeddings = np.random.default_rng(seed).standard_normal((1, 4)).astype(np.float32)
    return PreparedEmbeddings(embeddings, np.full(1, 9.0), None)


EVERYBODY = {"anna": voice(1), "bert": voice(2), "cleo": voice(3)}


def claim(*asked: str, enrolled: str = "") -> Claim:
    return Claim(asked, {name: EVERYBODY[name] for name in enrolled.split()})


@pytest.mark.parametrize(
    ("stands", "mode"),
    [
        (claim(), "changes"),
        (claim(enrolled="anna bert"), "identify"),
        (claim("anna", enrolled="anna"), "verify"),
        (claim("anna"), "changes"),  # anna was deleted
    ],
)
def test_what_is_said_of_the_voice(stands: Claim, mode: str) -> None:
    assert stands.mode == mode


def test_an_empty_claim_is_compared_with_whoever_is_enrolled_by_now() -> None:
    assert claim(enrolled="anna").among(EVERYBODY).compared == EVERYBODY.keys()


def test_a_claim_is_compared_with_nobody_that_it_did_not_name() -> None:
    before = claim("anna", "bert", enrolled="anna bert")
    after = before.among({"bert": EVERYBODY["bert"], "cleo": EVERYBODY["cleo"]})
    assert (after.asked, after.verified) == (("anna", "bert"), ("bert",))


def test_a_name_that_was_deleted_is_not_compared_again() -> None:
    gone = claim("anna", enrolled="anna").among({})
    assert gone.among(EVERYBODY).compared == frozenset()


def test_a_name_given_to_another_voice_is_another_claim() -> None:
    before = claim("anna", enrolled="anna")
    assert before.like(claim("anna", enrolled="anna"))
    assert not before.like(before.among({"anna": voice(7)}))
    assert not before.like(claim("anna", "bert", enrolled="anna"))
