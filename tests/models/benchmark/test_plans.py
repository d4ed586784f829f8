from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from engine.format import SAMPLE_RATE_HZ
from models.benchmark.plans import (
    COMMAND_AFTER_S,
    COMMAND_S,
    ENROL_S,
    KINDS,
    SHARES,
    Plan,
    Planner,
    divide,
    is_similar,
)
from models.benchmark.speakers import DecodedSpeaker, TrimmedUtterance

RATE = SAMPLE_RATE_HZ


def made(name: str, utterances: int, f0_hz: float | None, source: str = "red") -> DecodedSpeaker:
    """Utterances of 2 s of noise, 1.8 of them speech."""
    rng = np.random.default_rng(len(name))
    some = [(3000 * rng.standard_normal(2 * RATE)).astype(np.int16) for _ in range(utterances)]
    return DecodedSpeaker(
        name, source, tuple(TrimmedUtterance(one, 1.8, 0.1, 0.1) for one in some), f0_hz
    )


VOICES = [
    *(made(f"low{i}", 20, 110 + 2 * i) for i in range(4)),
    *(made(f"high{i}", 20, 210 + 2 * i) for i in range(4)),
    made("brief", 4, 120),  # a stranger only
    made("silent", 2, 120),  # too little even for that
    made("apart", 20, 115, "blue"),
]


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner(VOICES, 0)


@pytest.fixture(scope="module")
def plans(planner: Planner) -> list[Plan]:
    return planner.plans(10)


def test_the_seed_decides_everything(plans: list[Plan]) -> None:
    assert Planner(VOICES, 0).plans(10) == plans
    assert Planner(VOICES, 1).plans(10) != plans


def test_there_are_as_many_of_each_kind_as_were_asked_for(plans: list[Plan]) -> None:
    counts = Counter(plan.kind for plan in plans)
    for kind in KINDS:
        wanted = round(SHARES[kind] * 10)
        assert counts[kind] == (min(wanted, 9) if kind in ("single", "switch") else wanted)
    assert len({plan.name for plan in plans}) == len(plans)


def test_no_utterance_is_heard_twice_or_enrols_and_is_heard(
    planner: Planner, plans: list[Plan]
) -> None:
    for plan in plans:
        heard = [(piece.voice, piece.utterance) for piece in plan.pieces]
        assert len(set(heard)) == len(heard)
        enrolled = planner.divisions[plan.claim].enrol
        assert not {number for voice, number in heard if voice == plan.claim} & set(enrolled)


def test_strangers_share_the_source_and_the_pitch_is_as_it_says(plans: list[Plan]) -> None:
    assert {plan.similar for plan in plans} == {True, False, None}
    for plan in plans:
        if plan.stranger is not None:
            claimed, stranger = VOICES[plan.claim], VOICES[plan.stranger]
            assert claimed.source == stranger.source
            assert is_similar(claimed, stranger) is plan.similar
            assert stranger.name != "silent"


def test_who_speaks_in_each_kind(plans: list[Plan]) -> None:
    for plan in plans:
        voices = [piece.voice for piece in plan.pieces]
        order = [v for i, v in enumerate(voices) if i == 0 or voices[i - 1] != v]
        if plan.kind in ("single", "switch", "silence"):
            assert order == [plan.claim]
        elif plan.kind == "impostor":
            assert order == [plan.stranger]
        elif plan.kind in ("takeover", "degraded-takeover"):
            assert order == [plan.claim, plan.stranger]
        elif plan.kind == "command":
            assert order == [plan.claim, plan.stranger, plan.claim]
            for piece in plan.pieces[-2:]:
                assert COMMAND_AFTER_S[0] <= piece.pause_s <= COMMAND_AFTER_S[1]
                assert piece.most_s == COMMAND_S
        elif plan.kind in ("interjection", "alternation"):
            assert len(order) >= 3
            assert set(order) == {plan.claim, plan.stranger}
    assert max(len({p.voice for p in plan.pieces}) for plan in plans if plan.kind == "meeting") == 3


def test_conditions_befall_what_they_should(plans: list[Plan]) -> None:
    for plan in plans:
        assert (plan.condition != "clean") == (plan.kind in ("switch", "degraded-takeover"))
        assert (plan.from_piece > 0) == (plan.kind == "switch")
    silences = [max(p.pause_s for p in plan.pieces) for plan in plans if plan.kind == "silence"]
    assert min(silences) >= 5


def test_enrolment_takes_half_at_most() -> None:
    division = divide(made("a", 20, 100), np.random.default_rng(0))
    assert division is not None
    assert 10 <= len(division.enrol) <= 11  # of 36 s the half, in utterances of 1.8
    assert sorted([*division.enrol, *division.test]) == list(range(20))
    long = divide(made("a", 50, 100), np.random.default_rng(0))
    assert long is not None
    assert len(long.enrol) * 1.8 == pytest.approx(ENROL_S[1], abs=1.8)
    assert divide(made("a", 5, 100), np.random.default_rng(0)) is None


def test_a_voice_without_a_pitch_is_like_nobody() -> None:
    assert not is_similar(made("a", 1, None), made("b", 1, 100))
    assert is_similar(made("a", 1, 100), made("b", 1, 120))
    assert not is_similar(made("a", 1, 100), made("b", 1, 121))
