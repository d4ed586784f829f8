from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from models.benchmark.conversations import (
    END_S,
    START_S,
    RenderedConversation,
    enrolment_sound,
    render,
)
from models.benchmark.plans import Piece, Plan
from models.benchmark.speakers import DecodedSpeaker, TrimmedUtterance
from models.sound.conditions import Condition, Degradation

Float32 = NDArray[np.float32]
RATE = SAMPLE_RATE_HZ
PAUSES_S = (0.3, 0.2, 0.4, 0.25)


def flat(level: float) -> TrimmedUtterance:
    """A second of one level, all but its edges of 0.1 s speech."""
    return TrimmedUtterance(np.full(RATE, round(32767 * level), np.int16), 0.8, 0.1, 0.1)


def voice(name: str, *levels: float) -> DecodedSpeaker:
    return DecodedSpeaker(name, "red", tuple(flat(level) for level in levels), 100.0)


VOICES = [voice("anna", 0.1, 0.2, 0.3), voice("bert", 0.6, 0.7, 0.8)]
TAKEOVER = Plan(
    number=0,
    kind="takeover",
    claim=0,
    stranger=1,
    similar=True,
    pieces=tuple(
        Piece(*one, pause_s)
        for one, pause_s in zip([(0, 2), (0, 0), (1, 1), (0, 1)], PAUSES_S, strict=True)
    ),
)


class Inverted(Degradation):
    """Turns the sound upside down and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[str, int, str]] = []

    def __call__(self, condition: Condition, speech: Float32, path: str) -> Float32:
        self.given.append((condition, len(speech), path))
        return -speech


def sound_of(plan: Plan, seed: int = 0) -> RenderedConversation:
    return render(plan, VOICES, Inverted(), seed)


def at(sound: Float32, second: float) -> float:
    return float(sound[round(second * RATE)])


def test_utterances_and_pauses_follow_each_other_as_planned() -> None:
    made = sound_of(TAKEOVER)
    assert made.plan is TAKEOVER
    assert made.waveform.dtype == np.float32
    assert len(made.waveform) == round(RATE * (START_S + sum(PAUSES_S) + 4 + END_S))
    begins = START_S
    for pause_s, level in zip(PAUSES_S, (0.3, 0.1, 0.7, 0.2), strict=True):
        begins += pause_s
        assert at(made.waveform, begins + 0.5) == pytest.approx(level, abs=1e-3)
        begins += 1


def test_turns_are_the_speech_without_the_edges() -> None:
    turns = sound_of(TAKEOVER).turns
    assert [turn.speaker for turn in turns] == ["anna", "anna", "bert", "anna"]
    assert [turn.end_s - turn.start_s for turn in turns] == pytest.approx([0.8] * 4)
    assert turns[0].start_s == pytest.approx(START_S + PAUSES_S[0] + 0.1)


def test_the_stranger_comes_where_the_first_turn_of_another_begins() -> None:
    made = sound_of(TAKEOVER)
    assert made.stranger_at_s == made.turns[2].start_s
    own = replace(TAKEOVER, stranger=None, pieces=TAKEOVER.pieces[:2])
    assert sound_of(own).stranger_at_s is None
    impostor = replace(TAKEOVER, kind="impostor", pieces=TAKEOVER.pieces[2:3])
    assert sound_of(impostor).stranger_at_s is None  # there from the start: nobody comes


def test_pauses_are_a_line_that_is_open_and_joints_do_not_click() -> None:
    made = sound_of(TAKEOVER)
    begins = round(RATE * (START_S + PAUSES_S[0]))
    before = made.waveform[:begins]
    assert 1e-4 < before.std() < 3e-4  # -75 dB
    assert np.all(before[:100] != 0)
    assert made.waveform[begins] == made.waveform[begins + RATE - 1] == 0
    assert np.abs(np.diff(made.waveform)).max() < 0.01  # of levels up to 0.7
    assert at(made.waveform, begins / RATE + 0.006) == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize("most_s", [0.05, 0.5, 0.8, 5.0])
def test_an_utterance_is_cut_after_so_much_of_its_speech(most_s: float) -> None:
    whole, cut = (
        sound_of(replace(TAKEOVER, pieces=(Piece(1, 0, 0.3, most),))) for most in (math.inf, most_s)
    )
    (turn,) = cut.turns
    assert turn.start_s == whole.turns[0].start_s
    assert turn.end_s - turn.start_s == pytest.approx(min(0.8, most_s))
    lost_s = 0.9 - most_s if most_s < 0.8 else 0  # the edge after it goes too
    assert len(whole.waveform) - len(cut.waveform) == pytest.approx(RATE * lost_s, abs=1)
    assert at(cut.waveform, turn.end_s - 0.01) == pytest.approx(0.6, abs=1e-3)
    assert abs(at(cut.waveform, turn.end_s + 0.11)) < 1e-3


pieces = st.builds(
    Piece,
    st.integers(0, 1),
    st.integers(0, 2),
    st.floats(0, 1),
    st.one_of(st.floats(0.1, 1), st.just(math.inf)),
)


@settings(max_examples=25)
@given(st.lists(pieces, min_size=1, max_size=5))
def test_turns_lie_apart_by_the_pause_whatever_is_planned(some: list[Piece]) -> None:
    made = sound_of(replace(TAKEOVER, pieces=tuple(some)))
    assert len(made.turns) == len(some)
    for piece, turn in zip(some, made.turns, strict=True):
        assert turn.speaker == VOICES[piece.voice].name
    for (piece, turn), (following, after) in pairwise(zip(some, made.turns, strict=True)):
        edges_s = 0.1 if piece.most_s < 0.8 else 0.2
        assert after.start_s - turn.end_s == pytest.approx(following.pause_s + edges_s, abs=1e-4)


def test_the_seed_and_the_name_decide_the_sound() -> None:
    one = sound_of(TAKEOVER).waveform
    np.testing.assert_array_equal(sound_of(TAKEOVER).waveform, one)
    assert not np.array_equal(sound_of(TAKEOVER, seed=1).waveform, one)
    assert not np.array_equal(sound_of(replace(TAKEOVER, number=1)).waveform, one)


@pytest.mark.parametrize("piece", range(4))
def test_a_condition_befalls_the_sound_from_its_piece_on(piece: int) -> None:
    plan = replace(TAKEOVER, condition="noise", from_piece=piece)
    clean, turned = sound_of(TAKEOVER).waveform, Inverted()
    changed = render(plan, VOICES, turned, 0)
    first = round(RATE * (START_S + sum(PAUSES_S[: piece + 1]) + piece))
    np.testing.assert_array_equal(changed.waveform[:first], clean[:first])
    np.testing.assert_array_equal(changed.waveform[first:], -clean[first:])
    assert turned.given == [("noise", len(clean) - first, "takeover-000")]


def test_clean_sound_is_left_as_it_is() -> None:
    untouched = Inverted()
    render(TAKEOVER, VOICES, untouched, 0)
    assert not untouched.given


def test_a_real_condition_is_the_same_every_time() -> None:
    plan = replace(TAKEOVER, condition="noise", from_piece=2)
    one, again = (render(plan, VOICES, Degradation(seed=3), 0).waveform for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - sound_of(TAKEOVER).waveform).mean() > 1e-3


def test_an_enrolment_is_its_utterances_in_the_order_given() -> None:
    sound = enrolment_sound(VOICES[0], (2, 0), 0)
    assert sound.dtype == np.float32
    assert len(sound) == round(RATE * (START_S + 2 * 1.3 + END_S))
    for begins, level in ((START_S, 0.3), (START_S + 1.3, 0.1)):
        assert at(sound, begins + 0.5) == pytest.approx(level, abs=1e-3)
    assert 0 < np.abs(sound[-RATE // 4 :]).max() < 1e-2
    np.testing.assert_array_equal(enrolment_sound(VOICES[0], (2, 0), 0), sound)
    assert not np.array_equal(enrolment_sound(VOICES[0], (2, 0), 1), sound)


def test_an_enrolment_of_nothing_has_no_speech() -> None:
    assert len(enrolment_sound(VOICES[0], (), 0)) == round(RATE * (START_S + END_S))
