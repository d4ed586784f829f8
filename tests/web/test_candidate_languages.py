"""A candidate's page in eight languages: of the browser, chosen, and of what was agreed to."""

from __future__ import annotations

import pytest

from tests.web.candidate_page import DESK, MARKS, PHONE, arrive, ask, listened_to
from tests.web.conftest import Open, Sound
from tests.web.mock_seat import question

pytestmark = MARKS

LANGUAGES = ("de", "en", "es", "fr", "it", "ko", "pt", "tr")
AGREED_IN_GERMAN = {
    "given": True, "text_version": "exam-2026-11", "text_sha256": "de" * 32, "language": "de",
}  # fmt: skip
# Texts that do not fit into their element.
CUT = """() => [...document.querySelectorAll("h2, p, li, button, label, legend, summary, select")]
    .filter(one => one.checkVisibility() && !one.matches(".hidden"))
    .filter(one => getComputedStyle(one).display !== "inline")
    .filter(one => one.scrollWidth > one.clientWidth + 1)
    .map(one => one.innerText)"""


def test_the_page_and_the_text_are_in_the_browsers_language(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = visit("about:blank", sound=sound("good"), locale="de-CH", viewport=PHONE)
    page = visitor.page
    page.goto(f"{mock}candidate#link")
    visitor.sees("#agree-title", "Bevor Sie beginnen")
    visitor.sees("#agree-kept", "Ihr Stimmabdruck wird aufbewahrt")
    assert page.get_attribute("html", "lang") == page.get_attribute("#agree-text", "lang") == "de"
    page.click("#agree button")
    visitor.sees("#problem", "Setzen Sie das Häkchen")
    page.check("#agree-given")
    page.click("#agree button")
    page.click("#try")
    visitor.sees("#try-words", "Bitte still sein")
    visitor.sees("#try-found", "Der Raum ist ruhig genug.")
    page.click("#mic-go")
    visitor.sees("#voice-prompt", "Der Nordwind und die Sonne")
    page.click("#voice-go")
    visitor.sees("#heard-title", "Sie werden gehört")
    (enrolment, _) = ask(visitor, type="starts")["starts"]
    assert enrolment["consent"] == AGREED_IN_GERMAN
    assert visitor.overflow() <= 0
    assert visitor.complaints == []


def test_a_language_that_is_chosen_is_spoken_at_once_and_kept(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    page = visitor.page
    visitor.sees("#heard-title", "You are being heard")
    page.select_option("#language", label="한국어")
    visitor.sees("#heard-title", "목소리가 들리고 있습니다")
    visitor.sees("#steps [aria-current]", "시험")
    visitor.sees("#heard-device", "브라우저 기본값")
    assert page.get_attribute("#language", "aria-label") == "언어"
    assert page.get_attribute("html", "lang") == "ko"
    page.evaluate("mute(true)")
    visitor.sees("#heard-title", "마이크가 음소거됨")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    visitor.sees("#heard-title", "목소리가 들리고 있습니다")
    assert len(ask(visitor, type="starts")["starts"]) == 2, "choosing begins no other session"


def test_who_has_ticked_another_text_ticks_anew(mock: str, visit: Open, sound: Sound) -> None:
    visitor = arrive(visit, mock, sound("good"))
    page = visitor.page
    page.check("#agree-given")
    page.select_option("#language", label="Deutsch")
    visitor.sees("#agree-text", "Was geschieht:")
    assert not page.is_checked("#agree-given")
    page.check("#agree-given")
    page.select_option("#language", label="Français")  # in which the server has no text here
    visitor.sees("#agree-text", "What happens:")
    visitor.sees("#agree-title", "Avant de commencer")
    assert page.get_attribute("#agree-text", "lang") == "en"
    assert not page.is_checked("#agree-given")


def test_what_was_agreed_to_is_what_was_shown_then(mock: str, visit: Open, sound: Sound) -> None:
    visitor = arrive(visit, mock, sound("good"))
    page = visitor.page
    page.select_option("#language", label="Deutsch")
    visitor.sees("#agree-text", "Was geschieht:")
    page.check("#agree-given")
    page.click("#agree button")
    page.click("#try")
    page.select_option("#language", label="English")
    visitor.sees("#try-found", "The room is quiet enough.")
    page.select_option("#language", label="Türkçe")
    visitor.sees("#try-found", "Oda yeterince sessiz.")
    page.click("#mic-go")
    page.click("#voice-go")
    visitor.sees("#heard-title", "Sesiniz duyuluyor")
    (enrolment, _) = ask(visitor, type="starts")["starts"]
    assert enrolment["consent"] == AGREED_IN_GERMAN


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_every_language_fits(
    mock: str, visit: Open, sound: Sound, viewport: dict[str, int]
) -> None:
    visitor = arrive(visit, mock, sound("good"), clips=question("unanswered"))
    page = visitor.page
    page.set_viewport_size(viewport)
    visitor.sees("#agree-title", "Before you begin")

    def fits(screen: str) -> None:
        for language in LANGUAGES:
            page.select_option("#language", language)
            assert visitor.overflow() <= 0, (screen, language)
            assert page.evaluate(CUT) == [], (screen, language)

    fits("agree")
    page.check("#agree-given")
    page.check("#agree-clips input[value=no]")
    page.click("#agree button")
    fits("mic")
    page.click("#try")
    page.click("#mic-go")
    fits("voice")
    page.click("#voice-go")
    page.wait_for_selector("#heard:not([hidden])")
    fits("heard")
    page.click("#leave")
    assert visitor.overflow() <= 0


def test_the_terms_beside_an_own_text_are_read_in_the_language_of_the_page(
    mock: str, visit: Open, sound: Sound
) -> None:
    own = {
        "text_version": "7", "text": "Akkoord?", "text_sha256": "0e" * 32, "language": "nl",
        "languages": ["nl"],
        "kept": [{"what": "Your voiceprint is kept", "how_long": "30 days"}],
    }  # fmt: skip
    visitor = arrive(visit, mock, sound("good"), consent=own)
    visitor.sees("#agree-text", "Akkoord?")
    assert visitor.page.get_attribute("#agree-text", "lang") == "nl"
    assert visitor.page.get_attribute("#agree-kept", "lang") == "en"
