"""A candidate's page: from the link to the end of the exam, and whatever goes wrong between."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.web.candidate_page import DESK, MARKS, PHONE, arrive, ask, listened_to
from tests.web.conftest import Open, Sound, playwright_api

pytestmark = MARKS

# The page's sockets, and how many answers each has had.
SOCKETS = """() => {
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
        constructor(...given) {
            super(...given);
            this.heard = 0;
            this.addEventListener("message", () => { this.heard += 1; });
            sockets.push(this);
        }
    };
}"""
# A microphone that waits for its permission until `open_now` is called.
SLOW_TO_OPEN = """() => {
    const ask = navigator.mediaDevices.getUserMedia;
    const allowed = new Promise(allow => { window.open_now = allow; });
    navigator.mediaDevices.getUserMedia = async (wanted) => { await allowed; return ask(wanted); };
}"""


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_from_the_link_to_being_heard(
    mock: str, visit: Open, sound: Sound, viewport: dict[str, int]
) -> None:
    visitor = visit("about:blank", sound=sound("good"), viewport=viewport)
    visitor.page.goto(f"{mock}candidate#link")
    visitor.sees("#exam-name", "Algebra I")
    assert "link" not in visitor.page.url, "the secret stays in the address"
    first = visitor.text("#agree")
    assert first.index("Your voiceprint is kept") < first.index("What happens:")
    assert "30 days" in first
    assert "14 days" in first
    visitor.page.click("#agree button")
    visitor.sees("#problem", "tick the box")
    visitor.page.check("#agree-given")
    visitor.page.click("#agree button")

    visitor.sees("#steps [aria-current]", "Microphone")
    visitor.page.click("#try")
    visitor.sees("#try-words", "Be quiet, please")
    visitor.sees("#try-words", "Now say a sentence")
    visitor.sees("#try-words", "Your microphone is good.")
    visitor.sees("#try-found", "The room is quiet enough.")
    assert visitor.overflow() <= 0
    visitor.page.click("#mic-go")

    visitor.sees("#voice-prompt", "The North Wind")
    assert visitor.overflow() <= 0
    visitor.page.click("#voice-go")
    visitor.sees("#heard-title", "You are being heard")
    visitor.sees("#heard-announce", "You are being heard")
    enrolment, stream = ask(visitor, type="starts")["starts"]
    assert enrolment["consent"] == {
        "given": True, "text_version": "exam-2026-11", "text_sha256": "ab" * 32, "language": "en",
    }  # fmt: skip
    assert stream["claim"] == []
    for word in ("match", "Match", "mismatch", "evidence"):
        assert word not in visitor.text("main"), "nothing is told of what is decided"
    assert visitor.overflow() <= 0
    assert visitor.complaints == []


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        ("noisy", "There is much noise"),
        ("faint", "Quiet: come closer"),
        ("dead", "No sound at all comes from this microphone"),
    ],
)
def test_the_microphone_is_tested_before_it_is_used(
    mock: str, visit: Open, sound: Sound, heard: str, told: str
) -> None:
    visitor = arrive(visit, mock, sound(heard), enrolled=True)
    visitor.page.click("#agree button")
    visitor.page.click("#try")
    visitor.sees("#try-found", told)
    visitor.sees("#mic-go", "Go on as it is")
    assert ask(visitor, type="starts")["starts"] == [], "nothing is sent for a test"


def test_what_is_wrong_with_a_microphone_is_said_and_it_goes_on(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    for begin, end, title in (
        ("mute(true)", "mute(false)", "Microphone muted"),
        ("interrupt()", "ended()", "Sound interrupted"),
    ):
        visitor.page.evaluate(begin)
        visitor.sees("#heard-title", title)
        visitor.sees("#heard-text", "Until then you are not heard.")
        assert visitor.page.title().startswith("⚠")
        visitor.page.evaluate(end)
        visitor.sees("#heard-title", "You are being heard")
    assert len(ask(visitor, type="starts")["starts"]) == 1, "it is one session"


def test_a_microphone_with_nothing_in_it_is_told(mock: str, visit: Open, sound: Sound) -> None:
    visitor = listened_to(visit, mock, sound("dead"))
    visitor.sees("#heard-title", "Your microphone is silent")
    visitor.sees("#heard-text", "muted by a switch")


def test_a_network_that_is_lost_is_told_and_nothing_is(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    ask(visitor, type="mock", do="stop")
    visitor.sees("#heard-title", "The server cannot be reached")
    visitor.sees("#heard-text", "of your sound are kept")
    ask(visitor, type="mock", do="return")
    visitor.sees("#heard-title", "You are being heard")
    starts = ask(visitor, type="starts")["starts"]
    assert "session" in starts[-1], "the session goes on"


def test_sleep_and_a_page_that_is_loaded_anew_are_survived(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    browser = visitor.page.context.new_cdp_session(visitor.page)
    browser.send("Page.setWebLifecycleState", {"state": "frozen"})
    time.sleep(3)
    browser.send("Page.setWebLifecycleState", {"state": "active"})
    visitor.sees("#heard-title", "You are being heard")
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    visitor.page.reload()
    visitor.sees("#heard-title", "You are being heard")
    assert visitor.page.url.endswith("/candidate")


def test_who_opens_it_elsewhere_is_told_here(mock: str, visit: Open, sound: Sound) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    ask(visitor, type="mock", do="say", code="taken-over", close=True)
    visitor.sees("#notice-title", "This exam was opened elsewhere")
    visitor.page.click("#notice-go")
    visitor.sees("#heard-title", "You are being heard")


def test_the_end_of_the_exam_turns_the_microphone_off(mock: str, visit: Open, sound: Sound) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    ask(visitor, type="mock", do="say", code="exam-ended", close=False)
    visitor.sees("#notice-title", "The exam is over")
    assert visitor.page.evaluate("live()") == 0


def test_a_link_that_expires_in_the_exam_is_not_the_end_of_it(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    ask(visitor, type="mock", do="say", code="link-expired", close=False)
    visitor.sees("#notice-title", "Your link holds no more")
    visitor.sees("#notice-text", "If yours goes on, ask your examiners for a new one")
    assert visitor.page.evaluate("live()") == 0
    assert not visitor.page.locator("#notice-go").is_visible()


def test_a_stream_that_was_too_long_is_followed_by_another(
    mock: str, visit: Open, sound: Sound
) -> None:
    """It has a summary as every stream, which does not say that the exam is over."""
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    before = starts = ask(visitor, type="starts")["starts"]
    ask(visitor, type="mock", do="say", code="stream-too-long", close=True, summary=True)
    deadline_s = time.monotonic() + 20.0  # a page that takes it for the end starts nothing
    while len(starts) == len(before) and time.monotonic() < deadline_s:
        visitor.page.wait_for_timeout(50)
        starts = ask(visitor, type="starts")["starts"]
    visitor.sees("#heard-title", "You are being heard")
    assert visitor.page.evaluate("live()") == 1
    assert len(starts) == len(before) + 1
    assert "session" not in starts[-1]


def test_who_has_finished_is_not_heard_and_may_come_back(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    visitor.page.click("#leave")
    visitor.page.click("#confirm-yes")
    visitor.sees("#notice-title", "You have finished")
    assert visitor.page.evaluate("live()") == 0
    visitor.page.click("#notice-go")
    visitor.sees("#heard-title", "You are being heard")


def test_how_it_ended_stays_when_the_server_comes_and_goes(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    visitor.page.add_init_script(f"({SOCKETS})()")
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    visitor.page.reload()
    visitor.sees("#heard-title", "You are being heard")
    visitor.page.click("#leave")
    visitor.page.click("#confirm-yes")
    visitor.sees("#notice-title", "You have finished")
    # It is lost, connected again, and has answered who this is and whose seat it is.
    before = visitor.page.evaluate("sockets.length")
    visitor.page.evaluate("sockets.filter(one => one.url.endsWith('control')).at(-1).close()")
    visitor.page.evaluate(f"until(() => sockets.length > {before} && sockets.at(-1).heard > 1)")
    assert visitor.text("#notice-title") == "You have finished"


def test_who_leaves_while_the_microphone_is_opened_is_not_heard(
    mock: str, visit: Open, sound: Sound
) -> None:
    visitor = arrive(visit, mock, sound("good"), enrolled=True)
    visitor.page.click("#agree button")
    visitor.page.click("#try")
    visitor.page.evaluate(SLOW_TO_OPEN)
    visitor.page.click("#mic-go")
    visitor.sees("#heard-title", "One moment")
    visitor.page.click("#leave")
    visitor.page.click("#confirm-yes")
    visitor.sees("#notice-title", "You have finished")
    visitor.page.evaluate("open_now()")
    visitor.page.evaluate("until(() => streams.length === 2 && live() === 0)")
    assert visitor.text("#notice-title") == "You have finished"
    assert ask(visitor, type="starts")["starts"] == []


def test_consent_can_be_taken_back_while_one_is_heard(mock: str, visit: Open, sound: Sound) -> None:
    visitor = listened_to(visit, mock, sound("good"))
    visitor.sees("#heard-title", "You are being heard")
    visitor.page.click("#rights summary")
    visitor.sees("#rights", "30 days")
    visitor.page.click("#withdraw")
    visitor.page.click("#confirm-yes")
    visitor.sees("#notice-title", "You took your consent back")
    assert visitor.page.evaluate("live()") == 0
    visitor.page.click("#notice-go")
    visitor.page.click("#agree button")
    visitor.sees("#problem", "tick the box")


def test_what_is_wrong_is_in_sight_of_the_button_that_it_is_about(
    mock: str, visit: Open, sound: Sound
) -> None:
    """On a phone the consent is longer than the screen."""
    visitor = arrive(visit, mock, sound("good"))
    visitor.page.set_viewport_size({"width": 390, "height": 420})
    visitor.page.click("#agree button")
    visitor.sees("#problem", "tick the box")
    for told in ("#problem", "#agree button"):
        playwright_api.expect(visitor.page.locator(told)).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize(
    ("seat", "title"),
    [
        ({"may_enrol": False}, "Your voice is not known here"),
        ({"ended_at": 1.0}, "The exam is over"),
        ({"withdrawn": True}, "You took your consent back"),
    ],
)
def test_who_cannot_sit_the_exam_is_told_why(
    mock: str, visit: Open, sound: Sound, seat: dict[str, Any], title: str
) -> None:
    visitor = arrive(visit, mock, sound("good"), **seat)
    visitor.sees("#notice-title", title)


def test_a_link_that_does_not_hold_is_told(mock: str, visit: Open, sound: Sound) -> None:
    wrong = arrive(visit, mock, sound("good"), token="another")
    wrong.sees("#notice-title", "Your link holds no more")
    wrong.page.goto(f"{mock}candidate#100%")
    wrong.sees("#notice-title", "Your link holds no more")
    cut = visit(f"{mock}candidate")
    cut.sees("#notice-title", "This link is not whole")
