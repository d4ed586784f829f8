"""A candidate is asked by itself whether sound may be kept."""

from __future__ import annotations

import pytest

from tests.web.candidate_page import MARKS, arrive, ask
from tests.web.conftest import Open, Sound, Visitor
from tests.web.mock_seat import question

pytestmark = MARKS


def asked_about_sound(visitor: Visitor, choice: str) -> None:
    visitor.sees("#agree-clips", "10 seconds of sound are stored")
    visitor.sees("#clips-kept", "as long as the record")
    visitor.page.click("#agree button")
    visitor.sees("#problem", "Say whether sound may be kept")
    visitor.page.check(f"#agree-clips input[value={choice}]")
    visitor.page.click("#agree button")


@pytest.mark.parametrize(("choice", "answer"), [("yes", "agreed"), ("no", "refused")])
def test_who_is_enrolled_already_is_asked_whether_sound_may_be_kept(
    mock: str, visit: Open, sound: Sound, choice: str, answer: str
) -> None:
    clips = question("unanswered")
    visitor = arrive(visit, mock, sound("good"), enrolled=True, clips=clips)
    asked_about_sound(visitor, choice)
    visitor.page.click("#try")
    visitor.page.click("#mic-go")
    visitor.sees("#heard-title", "You are being heard")
    told = ask(visitor, type="seat")["clips"]
    assert told["answer"] == answer
    assert told["to"]["text_sha256"] == "c1" * 32
    assert told["to"]["language"] == "en"


def test_who_enrols_answers_about_sound_once_their_voice_is_known(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = arrive(visit, mock, sound("good"), clips=question("unanswered"))
    visitor.page.check("#agree-given")
    asked_about_sound(visitor, "no")
    visitor.sees("#mic-title", "Your microphone")
    assert ask(visitor, type="seat")["clips"]["answer"] == "unanswered"
    visitor.page.click("#try")
    visitor.page.click("#mic-go")
    visitor.page.click("#voice-go")
    visitor.sees("#heard-title", "You are being heard")
    assert ask(visitor, type="seat")["clips"]["answer"] == "refused"


def test_who_has_answered_is_not_asked_again_but_may_think_better_of_a_no(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = arrive(visit, mock, sound("good"), enrolled=True, clips=question("agreed"))
    visitor.sees("#agree-title", "Before you begin")
    assert not visitor.page.is_visible("#agree-clips")
    again = arrive(visit, mock, sound("good"), enrolled=True, clips=question("refused"))
    again.sees("#agree-clips", "10 seconds of sound are stored")
    assert again.page.is_checked("#agree-clips input[value=no]")
    again.page.select_option("#language", label="Deutsch")
    again.sees("#agree-clips", "10 Sekunden Ton werden gespeichert.")
    assert not again.page.is_checked("#agree-clips input[value=no]"), "that was another text"
    again.page.click("#agree button")
    again.sees("#problem", "Sagen Sie, ob Ton aufbewahrt werden darf")
