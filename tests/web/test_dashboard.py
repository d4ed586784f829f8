"""The dashboard in a real browser, against a server that speaks from a script."""

# ruff: noqa: RUF001 - the page writes an en dash, as English does

# Long: one page, and a test for each thing that is on it; starting the browser is shared.

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.conftest import WAIT_MS, Open, Visitor

pytestmark = pytest.mark.slow

HANGS_MS = 60_000  # the page takes up to 20 s to see it where nothing else is to be done
PHONE = {"viewport": {"width": 390, "height": 844}}

# Stream of the mock: what must be read in the largest letters.
HEADLINES = {
    "takeover": "Another voice took over at 0:42",
    "match": "Match – Alice",
    "mismatch": "Not Alice",
    "unknown": "Unknown voice",
    "unsure": "Unsure",
    "insufficient": "Not enough speech yet – 0.7 s more",
    "waiting": "Waiting for sound",
    "mute": "Waiting for sound",
    "stalled": "No sound comes",
    "never": "No sound comes",
    "strangers": "Another voice took over at 0:18",
    "midway": "Not Alice",
}


def ask(visitor: Visitor, kind: str, **fields: Any) -> Any:
    """A request on a control connection of its own, and its result."""
    script = """request => new Promise(resolve => {
        const socket = new WebSocket(new URL("v1/control", location.href.replace("http", "ws")));
        socket.onopen = () => socket.send(JSON.stringify({id: 1, ...request}));
        socket.onmessage = event => { resolve(JSON.parse(event.data).result); socket.close(); };
    })"""
    return visitor.page.evaluate(script, {"type": kind} | fields)


def enrol(visitor: Visitor, name: str) -> None:
    """Fill in the form and start to record."""
    page = visitor.page
    page.click("#enrol-open")
    page.fill("#enrol-name", name)
    page.check("#enrol-consent")
    page.click("#enrol-form button[type=submit]")


def test_every_state_is_told_in_words(mock: str, visit: Open) -> None:
    visitor = visit(mock, **PHONE)
    for scene, headline in HEADLINES.items():
        visitor.page.goto("about:blank")
        visitor.page.goto(f"{mock}#watch={scene}")
        visitor.sees("#hero-title", headline)
        assert visitor.overflow() <= 0, scene
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(mock: str, visit: Open, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for text of any size here."""
    visitor = visit(mock, color_scheme=scheme)
    for scene in HEADLINES:
        visitor.page.goto("about:blank")
        visitor.page.goto(f"{mock}#watch={scene}")
        visitor.sees("#hero-title", HEADLINES[scene])
        visitor.page.wait_for_timeout(400)  # the ground changes over a quarter of a second
        assert visitor.page.evaluate(FAINT_TEXT) == [], scene


FAINT_TEXT = """() => {
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = element => {
        for (let e = element; e; e = e.parentElement) {
            const colour = parse(getComputedStyle(e).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const faint = [];
    for (const e of document.querySelectorAll("#page *")) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        const inactive = e.matches(":disabled") || e.closest(":disabled");
        if (!own || !e.checkVisibility() || inactive || e.matches("option, canvas")) continue;
        const [a, b] = [parse(getComputedStyle(e).color), ground(e)].map(light);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) faint.push(`${e.id || e.className || e.tagName}: ${ratio.toFixed(2)}`);
    }
    return faint;
}"""


def test_own_microphone_from_too_little_speech_to_a_takeover(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.page.select_option("#claim", "Alice")
    visitor.page.click("#microphone")
    visitor.sees("#hero-title", "Match – Alice")
    visitor.sees("#hero-title", "Another voice took over at 0:04")
    visitor.sees("#hero-detail", "The voice since then is not Alice.")
    visitor.page.click("#microphone")
    visitor.sees("#hero-title", "Ended")
    [start] = ask(visitor, "starts")["starts"]
    rate = visitor.page.evaluate("new AudioContext().sampleRate")
    told = (start["encoding"], start["sample_rate"], start["claim"])
    assert told == ("pcm_s16le", rate, ["Alice"])
    assert visitor.complaints == []


def test_a_dropped_connection_is_resumed_without_losing_anything(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.page.click("#microphone")
    visitor.sees("#hero-title", "Match – Alice")
    ask(visitor, "mock", do="drop")
    visitor.sees("#hero-title", "Disconnected")
    visitor.sees("#hero-title", "Match – Alice")
    visitor.sees("#hero-title", "Another voice took over at 0:04")
    first, second = ask(visitor, "starts")["starts"]
    assert "session" not in first
    assert second["session"] == "secret-1"
    visitor.sees("#counters", "Sound lost\n0.0 s")
    visitor.sees("#counters", "Reconnected\n1")


def test_a_server_that_forgot_the_session_gets_a_new_one(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.page.click("#microphone")
    visitor.sees("#hero-title", "Match – Alice")
    ask(visitor, "mock", do="forget")
    visitor.sees("#counters", "1, 1 anew")
    visitor.sees("#hero-title", "Match – Alice")
    visitor.sees("#events", "Match – Alice")
    lines = visitor.page.locator("#events b").all_inner_texts()
    divider = lines.index("The server no longer had the session; a new session began")
    assert "Match – Alice" in lines[:divider]  # newest first
    assert "Match – Alice" in lines[divider:]
    with visitor.page.expect_download() as saved:
        visitor.page.click("#report-save")
    report = json.loads(saved.value.path().read_text())
    (earlier,) = report["earlier"]
    assert "match" in [line["state"] for line in earlier["timeline"]]
    assert "secret" not in json.dumps(report)


def test_the_header_and_the_headline_tell_the_same_of_the_connection(
    mock: str, visit: Open
) -> None:
    visitor = visit(mock)
    visitor.page.click("#microphone")
    visitor.sees("#hero-title", "Match – Alice")
    visitor.sees("#connection", "Connected")
    ask(visitor, "mock", do="stop")  # the streams only: control connections are still answered
    visitor.sees("#hero-title", "Disconnected – trying again")
    assert visitor.text("#connection").strip() == "Not connected"
    ask(visitor, "mock", do="return")
    visitor.sees("#hero-title", "Match – Alice")
    assert visitor.text("#connection").strip() == "Connected"


def test_a_stream_joined_in_its_middle_is_shown_as_it_stands(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=midway")
    visitor.sees("#hero-title", "Not Alice")
    visitor.sees("#facts", "0:21, 19 s of speech")
    visitor.sees("#facts", "3 s, each 0.5 s")
    # Speech is going on: its ribbon is drawn under the waveform at the right end.
    ribbon = """() => {
        const canvas = document.getElementById("wave");
        const at = canvas.height - 6 * devicePixelRatio;
        const row = canvas.getContext("2d").getImageData(0, at, canvas.width, 1).data;
        const colours = new Set();
        for (let x = 60 * devicePixelRatio; x < canvas.width; x += 1) {
            colours.add([...row.slice(4 * x, 4 * x + 3)].join());
        }
        return colours.size;
    }"""
    visitor.page.wait_for_function(f"({ribbon})() > 1", timeout=WAIT_MS)


def test_turns_stand_below_the_state_with_their_own_evidence(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=match")
    visitor.sees("#facts", "Match – Alice, +")
    visitor.sees("#legend-note", "Bars: each turn by itself.")
    # Blocks of speech with pauses between them: the strip changes its colour at each.
    edges = """() => {
        const canvas = document.getElementById("timeline"), ratio = devicePixelRatio;
        const row = canvas.getContext("2d").getImageData(0, 52 * ratio, canvas.width, 1).data;
        let count = 0;
        for (let x = 60 * ratio; x < canvas.width; x += 1) {
            count += row[4 * x + 3] !== row[4 * x - 1];
        }
        return count;
    }"""
    visitor.page.wait_for_function(f"({edges})() >= 10", timeout=WAIT_MS)


def test_labels_of_strangers_are_explained(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=strangers")
    visitor.sees("#hero-title", "Another voice took over at 0:18")
    whole = "An unknown voice (voice 2) took over from an unknown voice (voice 1)"
    visitor.sees("#events", whole)
    # Who spoke before the second change was never decided.
    first = visitor.page.locator("#events b").first.inner_text()
    assert first == "An unknown voice (voice 1) took over"
    assert "Until then" not in visitor.text("#hero-detail")
    assert "voice-" not in visitor.text("#page")


def test_doubt_that_lasts_says_why_and_what_helps(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=unsure")
    visitor.sees("#hero-detail", "The sound is noisy: go somewhere quieter.")
    visitor.sees("#events", "The sound is noisy: go somewhere quieter.")
    visitor.sees("#legend-note", "Thick: all the speech so far, which decides.")


def test_a_stream_whose_sound_never_came_says_what_to_check(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=never", **PHONE)
    visitor.sees("#hero-detail", "Is the microphone on, and does the sender send?")
    visitor.sees("#streams", "no sound comes")
    visitor.page.goto("about:blank")
    visitor.page.goto(f"{mock}#watch=stalled")
    visitor.sees("#hero-detail", "It goes on when sound is back.")


def test_a_server_that_says_nothing_any_more_is_not_connected(mock: str, visit: Open) -> None:
    """As where it hangs, or the network goes away without a word: no connection ends by it."""
    visitor = visit(mock)
    visitor.sees("#connection", "Connected")
    ask(visitor, "mock", do="hang")
    visitor.sees("#connection", "Not connected", HANGS_MS)
    ask(visitor, "mock", do="wake")
    visitor.sees("#connection", "Connected")


def test_a_stream_that_is_watched_is_not_of_now_while_the_server_hangs(
    mock: str, visit: Open
) -> None:
    visitor = visit(f"{mock}#watch=match")
    visitor.sees("#hero-title", "Match")
    ask(visitor, "mock", do="hang")
    visitor.sees("#hero-title", "Disconnected", HANGS_MS)
    visitor.sees("#connection", "Not connected", HANGS_MS)
    ask(visitor, "mock", do="wake")
    visitor.sees("#hero-title", "Match")
    visitor.sees("#connection", "Connected")


def test_zeros_are_called_no_sound(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=mute")
    visitor.sees("#lights", "Level\nno sound")
    visitor.sees("#lights", "Noise\nno sound")


def test_a_microphone_that_is_not_allowed_is_explained(mock: str, visit: Open) -> None:
    visitor = visit(mock, allow=False)
    visitor.page.click("#microphone")
    visitor.sees("#problem", "The microphone is not allowed.")
    visitor.sees("#hero-title", "Waiting for sound")


def test_enrolment_needs_consent_and_a_name(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.page.click("#enrol-open")
    visitor.sees("#consent-text", "What is stored: a voiceprint.")
    visitor.sees("#consent-text", "The record of what is decided is kept: 30 days.")
    visitor.page.click("#enrol-form button[type=submit]")
    visitor.sees("#enrol-error", "Enter a name first.")
    visitor.page.fill("#enrol-name", "Carol")
    visitor.page.click("#enrol-form button[type=submit]")
    visitor.sees("#enrol-error", "Nothing is recorded without consent")
    assert visitor.page.evaluate("document.activeElement.id") == "enrol-consent"
    assert ask(visitor, "starts")["starts"] == []


def test_poor_sound_is_refused_in_words(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    enrol(visitor, "Noise")
    visitor.sees("#enrol-advice", "There is much noise: go somewhere quieter.")
    visitor.sees("#enrol-result-title", "Too much noise")
    visitor.sees("#enrol-result-text", "Nothing was stored.")
    visitor.page.click("#enrol-again")
    assert visitor.page.input_value("#enrol-name") == "Noise"


def test_everything_by_keyboard(mock: str, visit: Open) -> None:
    """Enrol, verify, change the question and end: no mouse."""
    visitor = visit(mock)
    press, page = visitor.page.keyboard.press, visitor.page
    visitor.sees("#people", "Alice")

    def tab_to(selector: str) -> None:
        for _ in range(40):
            press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                style = "getComputedStyle(document.activeElement).outlineStyle"
                assert page.evaluate(style) == "solid", selector
                return
        raise AssertionError(f"no way to {selector} by Tab")

    tab_to("#enrol-open")
    press("Enter")
    page.keyboard.type("Carol")
    tab_to("#enrol-consent")
    press("Space")
    tab_to("#enrol-form button[type=submit]")
    press("Enter")
    visitor.sees("#enrol-result-title", "Carol is enrolled")
    tab_to("#enrol-verify")
    press("Enter")
    visitor.sees("#hero-question", "Is it Carol?")
    visitor.sees("#hero-title", "Match – Alice")  # the mock's script knows nobody else
    press("w")
    page.keyboard.type("Bob")
    page.evaluate("document.activeElement.blur()")
    visitor.sees("#hero-question", "Is it Bob?")
    press("m")
    visitor.sees("#hero-title", "Ended")
    press("?")
    visitor.sees("#help", "Start or stop the microphone")
    press("Escape")
    visitor.sees_no_more("#help")
    assert [s.get("claim") for s in ask(visitor, "starts")["starts"]] == [None, ["Carol"]]
    assert visitor.complaints == []


def test_changes_of_state_are_spoken_once(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.page.evaluate("""() => {
        window.spoken = [];
        const place = document.getElementById("announce");
        new MutationObserver(() => window.spoken.push(place.textContent))
            .observe(place, {childList: true, characterData: true, subtree: true});
    }""")
    visitor.page.click("#microphone")
    visitor.sees("#announce", "Another voice took over at 0:04.")
    spoken = visitor.page.evaluate("window.spoken")
    assert spoken[-2:] == ["Match – Alice.", "Another voice took over at 0:04."]
    assert len(spoken) == len(set(spoken)) <= 5


def test_people_are_deleted_only_after_asking(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.page.click("[aria-label='Delete Bob']")
    visitor.sees("#confirm", "Delete Bob?")
    assert visitor.page.evaluate("document.activeElement.textContent") == "Keep"
    visitor.page.keyboard.press("Escape")
    assert len(ask(visitor, "profiles")) == 2
    visitor.page.click("[aria-label='Delete Bob']")
    visitor.page.click("#confirm-yes")
    visitor.sees("#toast", "The voiceprint of Bob was deleted.")
    assert [p["name"] for p in ask(visitor, "profiles")] == ["Alice"]
    visitor.sees_no_more("#people", "Bob")


def test_a_deletion_elsewhere_is_seen(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.sees("#people", "Bob")
    visitor.page.select_option("#claim", "Bob")
    ask(visitor, "delete", name="Bob")
    visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    visitor.sees_no_more("#people", "Bob")
    assert visitor.page.input_value("#claim") == ""


def test_profile_and_report_can_be_saved(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=takeover")
    with visitor.page.expect_download() as exported:
        visitor.page.click("[aria-label='Export Alice']")
    assert exported.value.suggested_filename == "voxwatch-Alice.json"
    assert json.loads(exported.value.path().read_text())["embeddings"]
    visitor.sees("#events", "Another voice took over from Alice")
    with visitor.page.expect_download() as saved:
        visitor.page.click("#report-save")
    report = json.loads(saved.value.path().read_text())
    assert report["changes"] == [
        {"at_s": 42, "detected_at_s": 43.5, "from": "Alice", "to": None},
    ]
    assert [line["state"] for line in report["timeline"]][-3:] == ["match", "changed", "mismatch"]


def test_the_report_can_be_printed(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=takeover")
    visitor.sees("#events", "Another voice took over from Alice")
    visitor.page.evaluate("window.print = () => {}")
    visitor.page.click("#report-print")
    visitor.page.emulate_media(media="print")
    visitor.sees("#print", "Who spoke")
    visitor.sees("#print", "0:42")
    assert not visitor.page.is_visible("#page")


def test_the_threshold_tells_what_it_costs_and_is_sent(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.page.click("#microphone")
    visitor.sees("#facts", "Who is it?")
    before = visitor.text("#rates")
    visitor.page.focus("#target")
    for _ in range(20):
        visitor.page.keyboard.press("ArrowLeft")
    # ln(0.95 / 0.003): seen only at the last of the twenty steps, unlike "0.3 %".
    visitor.sees("#rates > div:last-child dd", "5.8")
    visitor.sees("#target-words", "0.3 %")
    assert visitor.text("#rates") != before
    visitor.sees("#rates-note", "of clean speech with this enrolment")


def test_rates_are_said_of_no_enrolment_that_is_not_there(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.sees("#rates-note", "of clean speech with an enrolment of full length")
    visitor.page.click("#microphone")
    visitor.sees("#rates-note", "of clean speech with this enrolment")


def test_watching_leaves_the_watched_streams_target_alone(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=match")
    visitor.sees("#hero-title", "Match – Alice")
    assert visitor.page.is_disabled("#target")
    visitor.page.click("#unwatch")
    visitor.sees("#hero-title", "Waiting for sound")
    assert not visitor.page.is_disabled("#target")
    visitor.page.click("#streams button:has-text('Lobby')")
    visitor.sees("#hero-title", "Unknown voice")


def test_the_first_stream_is_watched_at_once(mock: str, visit: Open) -> None:
    visitor = visit(f"{mock}#watch=first")
    visitor.sees("#hero-title", "Another voice took over at 0:42")


@pytest.mark.parametrize("mock", [("--token", "open sesame")], indirect=True)
def test_a_token_is_asked_for_and_kept_out_of_the_address(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.sees("#token", "This server needs a token")
    visitor.page.fill("#token-value", "wrong")
    visitor.page.keyboard.press("Enter")
    visitor.sees("#token-error", "The server does not know this token.")
    visitor.page.fill("#token-value", "open sesame")
    visitor.page.keyboard.press("Enter")
    visitor.sees("#people", "Alice")
    visitor.page.click("#microphone")
    visitor.sees("#hero-title", "Match – Alice")

    other = visit(f"{mock}#watch=match&token=open%20sesame")
    other.sees("#hero-title", "Match – Alice")
    assert other.page.url == f"{mock}#watch=match"


@pytest.mark.parametrize("mock", [("--roles", "stream,monitor")], indirect=True)
def test_who_may_not_list_people_is_told_so(mock: str, visit: Open) -> None:
    visitor = visit(mock)
    visitor.sees("#people-empty", "This token may not see who is enrolled")
    visitor.sees("#claim", "Everyone enrolled")
    visitor.sees("#streams", "Front desk")
    assert "Nobody is enrolled" not in visitor.text("#page")


def test_theme_is_chosen_and_remembered(mock: str, visit: Open) -> None:
    visitor = visit(mock, color_scheme="light")
    theme = "document.documentElement.dataset.theme"
    for expected in ("light", "dark"):
        visitor.page.click("#theme")
        assert visitor.page.evaluate(theme) == expected
    visitor.page.reload()
    assert visitor.page.evaluate(theme) == "dark"
    ground = visitor.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == "rgb(14, 17, 22)"


def test_nothing_is_fetched_from_elsewhere(mock: str, visit: Open) -> None:
    visitor = visit("about:blank")
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.page.goto(mock)
    visitor.sees("#people", "Alice")
    assert asked
    assert all(url.startswith(mock) for url in asked)


def test_dialogs_fit_a_phone(mock: str, visit: Open) -> None:
    visitor = visit(mock, **PHONE)
    for button, dialog in (("#enrol-open", "#enrol"), ("#help-open", "#help")):
        visitor.page.click(button)
        box = visitor.page.locator(dialog).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        visitor.page.keyboard.press("Escape")
    visitor.sees_no_more("#help")


def test_a_recording_can_be_ended_without_scrolling_on_a_phone(mock: str, visit: Open) -> None:
    visitor = visit(mock, viewport={"width": 390, "height": 600})
    visitor.page.click("#enrol-open")
    visitor.sees("#consent-text code", "voxwatch profiles delete NAME")
    visitor.page.keyboard.press("Escape")
    enrol(visitor, "Carol")
    visitor.page.locator("#enrol-recording").wait_for()
    for button in ("#enrol-recording [data-close]", "#enrol-finish"):
        box = visitor.page.locator(button).bounding_box()
        assert box["y"] + box["height"] <= 600
        assert visitor.page.evaluate(
            "([x, y, s]) => document.elementFromPoint(x, y).closest('button')?.matches(s)",
            [box["x"] + 10, box["y"] + box["height"] / 2, button],
        )
