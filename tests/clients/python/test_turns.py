"""What is known of a span of speech: nothing is said of it while a turn may still be to come."""

from __future__ import annotations

from typing import Any

import pytest

from voxwatch_client.messages import Event, Quality, Utterance, Vad
from voxwatch_client.turns import Turns

BEGAN_S = 100.0  # of the caller's time: the stream began later than what it heard


def vad(at: float, speech: bool) -> Event:
    return Vad(t=at, speech=speech, at=at)


def silence(t: float) -> Event:
    return Quality(t=t, level_dbfs=None, clipped=0.0, snr_db=None, speech_share=0.0, problems=())


def turn(start: float, end: float, t: float, state: Any = "match") -> Event:
    return Utterance(
        t=t,
        start=start,
        end=end,
        speech_s=end - start,
        state=state,
        speaker=None,
        llr=None,
        voice=None,
        posterior=None,
        evidence=None,
        accept_llr=4.0,
        reject_llr=-4.0,
        problems=(),
        reason="",
    )


def told(*events: Event, muted: tuple[float, ...] = ()) -> Turns:
    """``muted``: where it was muted, and where no longer, in turn."""
    turns = Turns(BEGAN_S, 4.0, -4.0)
    for i, at in enumerate(muted):
        turns.mute(BEGAN_S + at, i % 2 == 0)
    for event in events:
        turns.receive(event)
    return turns


def on(turns: Turns, since_s: float, until_s: float) -> list[tuple[float, str]] | None:
    found = turns.on(BEGAN_S + since_s, BEGAN_S + until_s)
    return None if found is None else [(one.start - BEGAN_S, one.state) for one in found]


FIRST = (vad(0.0, True), vad(2.0, False), turn(0.0, 2.0, 2.6))


@pytest.mark.parametrize(
    ("events", "span"),
    [
        pytest.param((vad(0.0, True),), (0, 1), id="it is being said"),
        pytest.param((vad(0.0, True), vad(1.0, False)), (0, 1), id="it has not been judged"),
        pytest.param(
            (vad(0.0, True), vad(1.0, False), vad(1.4, True), silence(2.0)),
            (0, 1.2),
            id="the turn goes on after a short pause",
        ),
        pytest.param(
            (vad(0.0, True), turn(0.0, 2.0, 2.0), silence(4.5)), (2, 4), id="cut in the middle"
        ),
        pytest.param(
            (vad(0.0, True), turn(0.0, 2.0, 3.5), vad(4.0, False), silence(4.5)),
            (0, 4),
            id="another voice took over, whose part has not been judged",
        ),
        pytest.param((*FIRST, silence(4.0)), (0, 4.5), id="the server has not heard all of it"),
        pytest.param((*FIRST, vad(3.0, True), silence(6.0)), (0, 5), id="somebody else speaks"),
    ],
)
def test_nothing_is_said_while_a_turn_is_to_come(
    events: tuple[Event, ...], span: tuple[float, float]
) -> None:
    assert on(told(*events), *span) is None


@pytest.mark.parametrize(
    ("events", "span", "found"),
    [
        pytest.param(FIRST, (0, 2.2), [(0.0, "match")], id="it ended there"),
        pytest.param((*FIRST, vad(5.0, False)), (0, 5), [(0.0, "match")], id="nobody speaks since"),
        pytest.param((silence(4.0),), (0, 4), [], id="nobody spoke"),
        pytest.param((*FIRST, vad(3.0, True), silence(4.0)), (0, 3), [(0.0, "match")], id="later"),
        pytest.param(
            (vad(0.0, True), turn(0.0, 2.0, 2.0), vad(2.0, True), vad(2.05, False), silence(4.0)),
            (0, 4),
            [(0.0, "match")],
            id="what is too short to be a turn",
        ),
        pytest.param(
            (vad(0.0, True), turn(0.0, 2.0, 3.5), turn(2.0, 4.0, 4.6, "mismatch")),
            (0, 4),
            [(0.0, "match"), (2.0, "mismatch")],
            id="each part of a turn",
        ),
    ],
)
def test_the_turns_of_a_span_once_all_of_it_was_heard(
    events: tuple[Event, ...], span: tuple[float, float], found: list[tuple[float, str]]
) -> None:
    assert on(told(*events), *span) == found


def test_for_what_is_muted_nobody_waits_and_for_what_follows_it_one_does() -> None:
    speaker = (*FIRST, vad(3.0, True))
    assert on(told(*speaker, silence(6.0), muted=(2.5,)), 0, 6) == [(0.0, "match")]
    assert on(told(*speaker, silence(6.0), muted=(2.5, 5.0)), 0, 6) is None
    ended = told(*speaker, vad(5.0, False), silence(6.0), muted=(2.5, 5.0))
    assert on(ended, 0, 6) == [(0.0, "match")]


def test_who_says_twice_that_it_is_muted_unmutes_it_once() -> None:
    turns = told(*FIRST, vad(3.0, True), silence(6.0), muted=(2.5,))
    turns.mute(BEGAN_S + 2.7, True)
    turns.mute(BEGAN_S + 4.0, False)
    assert on(turns, 0, 6) is None
