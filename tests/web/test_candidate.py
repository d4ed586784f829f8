"""A candidate's page: from the link to the end of the exam, and whatever goes wrong between."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from tests.web.conftest import Open, Visitor
from tests.web.mock_seat import question
from tests.web.test_microphone import BROWSER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize(
        "mock", [("--token", "link", "--roles", "stream,enrol")], indirect=True
    ),
]

RATE_HZ = 48_000
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
# A request on a control connection of our own, beside the page's.
ASK = """async (request) => {
    const socket = new WebSocket(new URL("/v1/control", location.href.replace("http", "ws")));
    await new Promise(resolve => { socket.onopen = resolve; });
    const ask = (fields) => new Promise(resolve => {
        socket.onmessage = event => resolve(JSON.parse(event.data).result);
        socket.send(JSON.stringify({id: 1, ...fields}));
    });
    await ask({type: "authenticate", token: "link"});
    const answer = await ask(request);
    socket.close();
    return answer;
}"""
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

Sound = Callable[[str], Path]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """What a microphone hears: three seconds of the room, and then a voice, over and over."""
    folder = tmp_path_factory.mktemp("sounds")
    random = np.random.default_rng(1)

    def make(name: str) -> Path:
        path = folder / f"{name}.wav"
        if path.exists():
            return path
        room_db, voice_db = {
            "good": (-65, -20), "noisy": (-28, -20), "faint": (-75, -46), "dead": (-200, -200),
            "mute-room": (-200, -200),
        }[name]  # fmt: skip
        samples = random.standard_normal(15 * RATE_HZ)
        gains = np.full(len(samples), 10 ** (voice_db / 20))
        gains[: round(3.6 * RATE_HZ)] = 10 ** (room_db / 20)
        sf.write(path, np.clip(samples * gains, -1, 1), RATE_HZ, subtype="PCM_16")
        return path

    return make


def arrive(visit: Open, mock: str, sound: Path, *, token: str = "link", **seat: Any) -> Visitor:
    """Open the link; the seat is as the test wants it."""
    visitor = visit("about:blank", sound=sound)
    visitor.page.add_init_script(f"({BROWSER})()")
    if seat:
        visitor.page.goto(f"{mock}mock/nothing")
        ask(visitor, type="mock", do="seat", seat=seat)
        visitor.complaints.clear()  # that page is a 404
    visitor.page.goto(f"{mock}candidate#{token}")
    return visitor


def ask(visitor: Visitor, **request: Any) -> Any:
    """Ask the scripted server, from within the page."""
    return visitor.page.evaluate(ASK, request)


def listened_to(visit: Open, mock: str, sound: Path, **seat: Any) -> Visitor:
    """A candidate who is enrolled, and is being heard."""
    visitor = arrive(visit, mock, sound, enrolled=True, **seat)
    visitor.page.click("#agree button")
    visitor.page.click("#try")
    visitor.page.click("#mic-go")
    return visitor


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


LANGUAGES = ("de", "en", "es", "fr", "it", "ko", "pt", "tr")
AGREED_IN_GERMAN = {
    "given": True, "text_version": "exam-2026-11", "text_sha256": "de" * 32, "language": "de",
}  # fmt: skip


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


# Texts that do not fit into their element.
CUT = """() => [...document.querySelectorAll("h2, p, li, button, label, legend, summary, select")]
    .filter(one => one.checkVisibility() && !one.matches(".hidden"))
    .filter(one => getComputedStyle(one).display !== "inline")
    .filter(one => one.scrollWidth > one.clientWidth + 1)
    .map(one => one.innerText)"""
