"""A candidate is asked by itself whether sound may be kept."""

from __future__ import annotations

import pytest

from tests.web.candidate_page import MARKS, PHONE, arrive, ask, listened_to
from tests.web.conftest import Open, Sound, Visitor
from tests.web.mock_seat import question
from tests.web.test_candidate_languages import CUT, LANGUAGES

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


def test_who_is_heard_takes_back_clips_alone_and_is_heard_on(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = listened_to(visit, mock, sound("good"), clips=question("agreed"))
    page = visitor.page
    visitor.sees("#heard-title", "You are being heard")
    page.click("#rights summary")
    visitor.sees("#rights-clips", "You allowed that sound")
    page.click("#withdraw-clips")
    visitor.sees("#confirm-text", "Your exam goes on as before")
    page.click("#confirm-yes")
    visitor.sees("#rights-said", "none is kept from now on")
    assert not page.is_visible("#rights-clips")
    told = ask(visitor, type="seat")["clips"]
    assert (told["answer"], told["to"]["clips"]) == ("refused", True)
    visitor.sees("#heard-title", "You are being heard")
    assert len(ask(visitor, type="starts")["starts"]) == 1, "it is the same stream"
    assert visitor.complaints == []


def test_who_thinks_better_of_it_keeps_the_clips(mock: str, visit: Open, sound: Sound) -> None:
    visitor = listened_to(visit, mock, sound("good"), clips=question("agreed"))
    visitor.page.click("#rights summary")
    visitor.page.click("#withdraw-clips")
    visitor.sees("#confirm-title", "Keep no more sound of you?")
    visitor.page.keyboard.press("Escape")
    assert ask(visitor, type="seat")["clips"]["answer"] == "agreed"
    assert visitor.page.is_visible("#rights-clips")


@pytest.mark.parametrize("answer", ["refused", "unanswered"])
def test_who_allowed_nothing_has_nothing_to_take_back(
    mock: str, visit: Open, sound: Sound, answer: str
) -> None:
    visitor = arrive(visit, mock, sound("good"), enrolled=True, clips=question(answer))
    visitor.page.check("#agree-clips input[value=no]")
    visitor.page.click("#agree button")
    visitor.page.click("#rights summary")
    visitor.sees("#withdraw", "Take my consent back")
    assert not visitor.page.is_visible("#rights-clips")


def test_clips_are_taken_back_in_every_language(mock: str, visit: Open, sound: Sound) -> None:
    visitor = listened_to(visit, mock, sound("good"), clips=question("agreed"))
    page, said = visitor.page, set()
    page.set_viewport_size(PHONE)
    page.click("#rights summary")
    for language in LANGUAGES:
        page.select_option("#language", value=language)
        page.wait_for_function("lang => document.documentElement.lang === lang", arg=language)
        page.click("#withdraw-clips")
        said.add(page.inner_text("#rights-clips") + page.inner_text("#confirm"))
        assert page.evaluate(CUT) == [], language
        assert visitor.overflow() <= 0, language
        page.keyboard.press("Escape")
    assert len(said) == len(LANGUAGES)
