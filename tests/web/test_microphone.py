"""Microphones that are interrupted, muted, unplugged or odd, in real Chromium and real Firefox.

What a browser does in a phone call is played by the page's own objects; devices that come and go
in Firefox are real ones of a sound server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from tests.web import firefox, pulse
from tests.web.conftest import Open, Visitor

pytestmark = pytest.mark.slow

# Everything that the page opens, and what a browser would do with it. `only`: the one rate at
# which a microphone can be connected, as in Firefox; `stereo`: its channels of opposite phase;
# `slow`: the milliseconds after which its sound begins to run.
BROWSER = """() => {
    if (!navigator.mediaDevices) return;  // about:blank
    Object.assign(window, {contexts: [], streams: [], only: null, stereo: false, slow: 0});
    const Own = window.AudioContext;
    window.AudioContext = class extends Own {
        constructor(options) { super(options); contexts.push(this); if (slow) this.dawdle(slow); }
        dawdle(ms) {
            const [begun, run] = [performance.now(), this.resume.bind(this)];
            const late = () => performance.now() - begun < ms;
            Object.defineProperty(this, "state", {configurable: true,
                get: () => late() ? "suspended" : super.state});
            this.resume = async () => { await Promise.all([until(() => !late()), run()]); };
        }
        createMediaStreamSource(stream) {
            if (window.only && this.sampleRate !== window.only) {
                throw new DOMException("other rate", "NotSupportedError");
            }
            return super.createMediaStreamSource(stream);
        }
    };
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        const stream = window.stereo ? opposite() : await ask(wanted);
        streams.push(stream);
        return stream;
    };
    const opposite = () => {
        const context = new Own();
        const [tone, merger, negative] = [new OscillatorNode(context),
            new ChannelMergerNode(context, {numberOfInputs: 2}), new GainNode(context, {gain: -1})];
        const end = new MediaStreamAudioDestinationNode(context, {channelCount: 2});
        tone.connect(merger, 0, 0);
        tone.connect(negative).connect(merger, 0, 1);
        merger.connect(end);
        tone.start();
        return end.stream;
    };
    window.interrupt = () => {
        const context = contexts.at(-1);
        Object.defineProperty(context, "state", {configurable: true, get: () => "interrupted"});
        context.resume = () => new Promise(() => {});
        context.dispatchEvent(new Event("statechange"));
    };
    window.ended = () => {
        const context = contexts.at(-1);
        delete context.state;
        delete context.resume;
        context.dispatchEvent(new Event("statechange"));
    };
    window.mute = (on) => {
        const track = streams.at(-1).getAudioTracks()[0];
        Object.defineProperty(track, "muted", {configurable: true, get: () => on});
        track.dispatchEvent(new Event(on ? "mute" : "unmute"));
    };
    window.live = () =>
        streams.flatMap(s => s.getTracks()).filter(t => t.readyState === "live").length;
    window.heard = () => new DOMMatrix(
        getComputedStyle(document.getElementById("meter-bar")).transform).a;
    window.named = () => document.querySelectorAll("#microphone-choice option").length > 1;
    window.told = () => new Promise(resolve => {
        const socket = new WebSocket(new URL("v1/control", location.href.replace("http", "ws")));
        socket.onopen = () => socket.send(JSON.stringify({id: 1, type: "starts"}));
        socket.onmessage = event => {
            resolve(JSON.parse(event.data).result.starts);
            socket.close();
        };
    });
    window.until = async (holds) => {
        while (!holds()) await new Promise(resolve => setTimeout(resolve, 50));
        return true;
    };
}"""


class Tab(Protocol):
    """A page of either browser."""

    complaints: list[str]

    def goto(self, url: str) -> None: ...
    def click(self, selector: str) -> None: ...
    def evaluate(self, expression: str) -> Any: ...
    def sees(self, selector: str, text: str) -> None: ...


class Chromium:
    """A page of Chromium, with the methods of Firefox's."""

    def __init__(self, visitor: Visitor) -> None:
        self.goto, self.click = visitor.page.goto, visitor.page.click
        self.evaluate, self.sees = visitor.page.evaluate, visitor.sees
        self.complaints = visitor.complaints
        visitor.page.add_init_script(f"({BROWSER})()")


@pytest.fixture
def chromium(visit: Open) -> Tab:
    return Chromium(visit("about:blank"))


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pulse.Devices]:
    if not pulse.PROGRAM or not firefox.PROGRAM:
        pytest.skip("needs firefox-esr and pulseaudio")
    with pulse.devices(tmp_path_factory.mktemp("pulse")) as found:
        yield found


@pytest.fixture(scope="module")
def one_firefox(
    devices: pulse.Devices, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[firefox.Page]:
    folder = tmp_path_factory.mktemp("firefox")
    with firefox.firefox(folder, devices.environment) as page:
        page.preload(BROWSER)
        yield page


@pytest.fixture
def fox(one_firefox: firefox.Page, devices: pulse.Devices) -> Iterator[firefox.Page]:
    devices.plug("built_in", 48_000)
    one_firefox.complaints.clear()
    yield one_firefox
    one_firefox.goto("about:blank")
    devices.unplug_all()


@pytest.fixture(params=["chromium", "fox"])
def tab(request: pytest.FixtureRequest) -> Tab:
    found: Tab = request.getfixturevalue(request.param)
    return found


def listen(tab: Tab, url: str) -> None:
    """Open the page and start the microphone."""
    tab.goto(url)
    tab.sees("#people", "Alice")
    tab.click("#microphone")
    tab.sees("#hero-title", "Match \N{EN DASH} Alice")


def test_an_interruption_is_told_and_the_session_goes_on(mock: str, tab: Tab) -> None:
    listen(tab, mock)
    tab.evaluate("interrupt()")
    tab.sees("#hero-title", "Sound interrupted")
    tab.sees("#source-words", "Waiting for the microphone.")
    assert tab.evaluate("live()") == 0, "the microphone is not let go of"
    tab.evaluate("ended()")
    tab.sees("#hero-title", "Another voice took over at 0:04")
    assert tab.evaluate("live()") == 1
    assert len(tab.evaluate("told()")) == 1
    tab.click("#microphone")
    tab.sees("#hero-title", "Ended")
    assert tab.evaluate("live()") == 0
    assert tab.complaints == []


def test_a_browser_whose_sound_begins_slowly_is_waited_for(mock: str, chromium: Tab) -> None:
    chromium.goto(mock)
    chromium.evaluate("window.slow = 1500")
    chromium.sees("#people", "Alice")
    chromium.click("#microphone")
    chromium.sees("#hero-title", "Match \N{EN DASH} Alice")
    chromium.evaluate("interrupt()")
    chromium.evaluate("ended()")
    chromium.sees("#hero-title", "Another voice took over at 0:04")
    assert len(chromium.evaluate("contexts.map(context => context.state)")) == 2


def test_a_muted_microphone_is_told_and_heard_again(mock: str, tab: Tab) -> None:
    listen(tab, mock)
    tab.evaluate("mute(true)")
    tab.sees("#hero-title", "Microphone muted")
    tab.evaluate("mute(false)")
    tab.sees("#hero-title", "Another voice took over at 0:04")
    assert len(tab.evaluate("told()")) == 1


def test_channels_of_opposite_phase_are_heard(mock: str, tab: Tab) -> None:
    tab.goto(mock)
    tab.sees("#people", "Alice")
    tab.evaluate("window.stereo = true")
    tab.click("#microphone")
    assert tab.evaluate("until(() => heard() > 0.9)")


def test_the_level_is_shown_before_the_start(mock: str, tab: Tab) -> None:
    tab.goto(mock)
    tab.click("#microphone-choice button")
    tab.sees("#microphone-choice .trial", ".")
    assert tab.evaluate("until(named)"), "names of microphones"
    assert tab.evaluate("told()") == []
    tab.click("#microphone-choice button")
    assert tab.evaluate("live()") == 0


def test_a_page_that_slept_or_whose_sound_was_paused_goes_on(mock: str, visit: Open) -> None:
    visitor = visit("about:blank")
    tab = Chromium(visitor)
    listen(tab, mock)
    browser = visitor.page.context.new_cdp_session(visitor.page)
    browser.send("Page.setWebLifecycleState", {"state": "frozen"})
    time.sleep(3)
    browser.send("Page.setWebLifecycleState", {"state": "active"})
    tab.evaluate("contexts.at(-1).suspend()")
    assert tab.evaluate("until(() => contexts.length === 2 && contexts[1].state === 'running')")
    tab.sees("#hero-title", "Another voice took over at 0:04")
    assert tab.evaluate("live()") == 1
    assert len(tab.evaluate("told()")) == 1


def test_a_browser_of_one_rate_is_given_it_and_a_session_of_each(mock: str, chromium: Tab) -> None:
    chromium.goto(mock)
    chromium.sees("#people", "Alice")
    chromium.evaluate("window.only = 44100")
    chromium.click("#microphone")
    chromium.sees("#hero-title", "Match")
    chromium.evaluate("window.only = 16000")
    chromium.evaluate("interrupt()")
    chromium.evaluate("ended()")
    chromium.sees("#events", "The microphone has another rate; a new session began")
    chromium.sees("#hero-title", "Match")
    assert [start["sample_rate"] for start in chromium.evaluate("told()")] == [44100, 16000]


def test_firefox_goes_on_when_a_headset_is_plugged_in_again_at_another_rate(
    mock: str, fox: firefox.Page, devices: pulse.Devices
) -> None:
    devices.unplug_all()
    devices.plug("headset", 44_100)
    listen(fox, mock)
    devices.unplug_all()
    fox.sees("#hero-title", "Microphone gone")
    devices.plug("headset", 16_000)
    fox.sees("#hero-title", "Another voice took over at 0:04")
    assert len(fox.evaluate("told()")) == 1
    fox.sees("#events", "the microphone was gone")
