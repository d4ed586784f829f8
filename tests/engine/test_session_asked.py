"""What a client asks of a session while it goes on, and from which sample on that holds."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from fake_voices import SCORER, answer, enrolled, of, pcm, run, run_open
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decisions.config import DecisionConfig
from engine.events import AnyEvent, Change, Decision, Quality, Score, Summary, Utterance, Vad
from engine.format import SAMPLE_RATE_HZ
from engine.session import Session


def test_new_bounds_hold_from_where_they_were_asked_for() -> None:
    session = Session(SCORER, enrolled("anna"))
    before = run_open(session, pcm((0.2, 3.0)))
    assert of(Decision, before)[-1].state == "match"
    session.configure(DecisionConfig(false_accept=0.001))  # wants an LLR of 6.9, has 5
    after = run(session, [pcm((0.2, 1.0))])
    assert [d.state for d in of(Decision, after)] == ["uncertain"]


def test_another_claim_starts_without_a_decision() -> None:
    session = Session(SCORER, enrolled("anna"))
    run_open(session, pcm((0.2, 3.0)))
    session.claim(enrolled("berta"), True)
    decided = of(Decision, run(session, [pcm((0.2, 1.0))]))
    assert [(d.state, d.speaker) for d in decided] == [
        ("insufficient", None),
        ("mismatch", "berta"),
    ]
    assert decided[0].reason == "the claim was changed"


def test_what_was_said_before_another_claim_is_judged_by_the_claim_of_that_time() -> None:
    session = Session(SCORER, enrolled("anna"))
    session.receive_pcm(pcm((0.2, 3.0)))
    session.claim(enrolled("berta"), True)
    events = run(session, [pcm((0.2, 2.0))])
    spoken = of(Utterance, events)
    assert [(u.start, u.end, u.speaker) for u in spoken] == [(0, 3, "anna"), (3, 5, "berta")]
    assert [u.state for u in spoken] == ["match", "mismatch"]
    assert len(of(Vad, events)) == 2  # nobody asked when all before it has been heard


def test_a_turn_goes_on_where_the_store_has_changed() -> None:
    session = Session(SCORER, enrolled("anna"))
    session.receive_pcm(pcm((0.2, 3.0)))
    session.claim(enrolled("anna", "berta"), True, renewed=True)
    (spoken,) = of(Utterance, run(session, [pcm((0.2, 2.0))]))
    assert (spoken.start, spoken.end, spoken.state) == (0, 5, "match")


def test_a_turn_begins_where_the_client_says() -> None:
    session = Session(SCORER, enrolled("anna"))
    session.receive_pcm(pcm((0.2, 3.0)))
    session.turn()
    spoken = of(Utterance, run(session, [pcm((0.5, 2.0))]))
    assert [(u.start, u.end) for u in spoken] == [(0.0, 3.0), (3.0, 5.0)]
    assert [u.state for u in spoken] == ["match", "mismatch"]


@pytest.mark.parametrize(
    ("at_s", "speech"), [(0.3, False), (2.0, True), (3.02, True), (6.0, False)]
)
def test_at_a_turn_it_is_told_when_all_before_it_has_been_heard(at_s: float, speech: bool) -> None:
    session, sound = Session(SCORER, enrolled("anna")), pcm((0.0, 1.0), (0.2, 2.0), (0.0, 4.0))
    session.receive_pcm(sound[: 2 * round(at_s * SAMPLE_RATE_HZ)])
    session.turn()
    events = run(session, [sound[2 * round(at_s * SAMPLE_RATE_HZ) :]])
    asked = events.index(Vad(t=at_s, speech=speech, at=at_s))
    late = [vad.at for vad in of(Vad, events[asked + 1 :]) if vad.speech]
    assert all(at >= at_s for at in late)


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 32_000), max_size=4))
def test_what_is_asked_for_holds_from_its_sample_on_whatever_was_heard_by_then(
    cuts: list[int],
) -> None:
    """The same sound before the request and after it, in whatever pieces, is told the same of."""
    before, after = pcm((0.2, 2.0)), pcm((0.2, 1.0), (0.5, 2.0))

    def told(edges: list[int], *, at_once: bool) -> list[AnyEvent]:
        session = Session(SCORER, enrolled("anna"))
        for a, b in pairwise(edges):
            session.receive_pcm(before[2 * a : 2 * b])
            while not at_once and (jobs := session.jobs_to_run()):
                for job in jobs:
                    session.receive_result(answer(job))
        session.turn()
        session.configure(DecisionConfig(false_accept=0.001))
        session.claim(enrolled("berta"), True)
        return run(session, [after])

    whole = told([0, 32_000], at_once=True)
    pieces = told(sorted({0, 32_000, *cuts}), at_once=False)
    assert msgspec.to_builtins(pieces) == msgspec.to_builtins(whole)
    first, *rest = of(Utterance, whole)
    assert (first.speaker, first.state) == ("anna", "match")
    assert {utterance.speaker for utterance in rest} == {"berta"}


def test_after_a_reset_nothing_is_known_of_who_spoke() -> None:
    session = Session(SCORER, enrolled("anna"))
    before = run_open(session, pcm((0.2, 4.0)))
    assert of(Decision, before)[-1].state == "match"
    session.reset()
    events = run(session, [pcm((0.2, 1.0))])
    (lapse,) = of(Decision, events)
    assert (lapse.t, lapse.state) == (4.0, "insufficient")
    assert lapse.reason == "the speaker so far was forgotten"


@pytest.mark.parametrize("every_s", [0.02, 0.06, 0.2, 0.3])
def test_turns_that_come_sooner_than_anything_can_be_said_begin_none(every_s: float) -> None:
    session, told, count = Session(SCORER, enrolled("anna")), list[AnyEvent](), round(6.0 / every_s)
    for _ in range(count):
        told += run_open(session, pcm((0.2, every_s)))
        session.turn()
    told += run(session, [pcm((0.0, 1.0))])
    turns = of(Utterance, told)
    assert 8 <= len(turns) <= 16
    assert all(turn.state == "match" and turn.speech_s >= 0.39 for turn in turns[1:-1])
    # Each is answered all the same.
    assert len([vad for vad in of(Vad, told) if vad.speech]) >= count - 1


def test_a_turn_later_than_that_begins_one() -> None:
    session, told = Session(SCORER, enrolled("anna")), list[AnyEvent]()
    for _ in range(6):
        told += run_open(session, pcm((0.2, 0.4)))
        session.turn()
    told += run(session, [pcm((0.0, 1.0))])
    assert [turn.start for turn in of(Utterance, told)] == pytest.approx(
        [0.0, 0.4, 0.8, 1.2, 1.6, 2.0], abs=0.01
    )


@pytest.mark.parametrize("asked", ["claim", "reset"])
def test_a_turn_right_after_what_ended_one_begins_none(asked: str) -> None:
    session = Session(SCORER, enrolled("anna"))
    told = list(run_open(session, pcm((0.2, 2.0))))
    if asked == "claim":
        session.claim(enrolled("anna"), True)
    else:
        session.reset()
    told += run_open(session, pcm((0.2, 0.1)))
    session.turn()
    told += run(session, [pcm((0.2, 2.0), (0.0, 1.0))])
    turns = of(Utterance, told)
    assert [turn.start for turn in turns] == pytest.approx([0.0, 2.0], abs=0.01)
    assert turns[1].speech_s == pytest.approx(2.1, abs=0.1)


@pytest.mark.parametrize("asks", ["turn", "reset", "mute"])
@pytest.mark.parametrize("at_s", [1.99, 2.0, 2.04, 2.08, 2.9, 2.95, 3.0, 3.03])
def test_what_is_asked_at_the_edge_of_speech_makes_no_turn_of_a_moment(
    asks: str, at_s: float
) -> None:
    """The button is pressed just as somebody begins, or has ended."""
    session, sound = Session(SCORER, enrolled("anna")), pcm((0.2, 2.0), (0.0, 1.0), (0.2, 2.0))
    cut = 2 * round(at_s * SAMPLE_RATE_HZ)
    session.receive_pcm(sound[:cut])
    getattr(session, asks)(*([True] if asks == "mute" else []))
    events = run(session, [sound[cut:] + pcm((0.0, 1.0))])
    turns = of(Utterance, events)
    assert len(turns) == (1 if asks == "mute" else 2)
    assert all(turn.speech_s > 1.9 for turn in turns)


@pytest.mark.parametrize("again", [1, 3])
def test_a_muted_loudspeaker_says_nothing_of_the_sound_of_the_next_turn(again: int) -> None:
    """The loudspeaker clips, and the person after it does not."""
    session = Session(SCORER, enrolled("anna"))
    for _ in range(again):
        session.mute(True)
        session.receive_pcm(pcm((1.0, 1.5), (0.0, 1.0)))
        session.mute(False)
        session.receive_pcm(pcm((0.2, 2.0), (0.0, 1.0)))
    events = run(session, [])
    assert [turn.problems for turn in of(Utterance, events)] == [()] * again
    assert "clipped" in of(Quality, events)[0].problems  # it is heard all the same


def test_what_is_muted_is_heard_and_never_judged() -> None:
    session = Session(SCORER, enrolled("anna"))
    session.receive_pcm(pcm((0.2, 3.0)))
    session.mute(True)
    session.receive_pcm(pcm((0.5, 6.0)))
    session.mute(False)
    events = run(session, [pcm((0.2, 3.0))])
    assert [(u.start, u.end, u.state) for u in of(Utterance, events)] == [
        (0.0, 3.0, "match"),
        (9.0, 12.0, "match"),
    ]
    assert not [e for e in of(Score, events) if 3.1 < e.t < 9.9]
    assert of(Change, events) == []
    assert of(Summary, events)[0].speech_s == pytest.approx(6.0)
    assert [e.speech for e in of(Vad, events)] == [True, False]
