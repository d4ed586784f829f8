"""The wall of candidates in a real browser, against a server that speaks from a script."""

# ruff: noqa: RUF001 - the page writes an en dash, as English does

# Long: one page, and a test for each thing that is on it; starting the browser is shared.

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import DIST, WAIT_MS, Open, Visitor, playwright_api
from tests.web.test_dashboard import FAINT_TEXT, ask

pytestmark = pytest.mark.slow

EXAM = "#exam=e7a1b2c3d4e5f607"
TAKEN = "Quentin Eriksen"
LONG = 26  # place of the candidate with the longest name in wall_scenes.py
SIZES = {"wide": (1440, 900), "phone": (390, 844)}

Server = Callable[..., str]


@pytest.fixture(scope="module")
def servers() -> Iterator[Server]:
    """Scripted servers by how many candidates they have and their token, each started once."""
    started: dict[tuple[int, str], str] = {}
    with ExitStack() as stack:

        def serve(many: int, token: str = "") -> str:
            if (many, token) not in started:
                script = str(Path(__file__).with_name("wall_server.py"))
                command = [sys.executable, script, "0", str(DIST), "--candidates", str(many)]
                command += ["--token", token] if token else []
                process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                stack.enter_context(process)
                stack.callback(process.terminate)
                assert process.stdout is not None
                started[many, token] = f"http://127.0.0.1:{int(process.stdout.readline())}/"
            return started[many, token]

        yield serve


@pytest.fixture
def wall(servers: Server, visit: Open) -> Callable[..., Visitor]:
    """Open the wall of an exam that has just been set up anew."""

    def opened(many: int = 30, size: str = "wide", **context: Any) -> Visitor:
        address = servers(many)
        with urllib.request.urlopen(f"{address}mock/reset") as answer:
            assert answer.status == 200
        width, height = SIZES[size]
        viewport = {"width": width, "height": height}
        visitor = visit(f"{address}monitor{EXAM}", viewport=viewport, **context)
        visitor.sees("#count", "attention")
        return visitor

    return opened


# Elements whose whole box is inside of the window, as somebody sees it who has not scrolled.
SEEN = """elements => elements.filter(element => {
    const box = element.getBoundingClientRect();
    return element.checkVisibility() && box.top >= 0 && box.bottom <= innerHeight
        && box.left >= 0 && box.right <= innerWidth;
}).map(element => element.innerText)"""


def seen(visitor: Visitor, selector: str) -> list[str]:
    """The texts of those elements that are wholly in the first screen."""
    texts: list[str] = visitor.page.eval_on_selector_all(selector, SEEN)
    return texts


def counts(visitor: Visitor, selector: str, many: int) -> None:
    """Wait until there are so many."""
    found = playwright_api.expect(visitor.page.locator(selector))
    found.to_have_count(many, timeout=WAIT_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("many", [30, 200])
def test_who_was_taken_over_and_when_is_in_the_first_screen(
    wall: Callable[..., Visitor], many: int, size: str, scheme: str
) -> None:
    visitor = wall(many, size, color_scheme=scheme)
    began = visitor.page.evaluate("""async () => {
        const socket = new WebSocket(new URL("v1/control", location.href.replace("http", "ws")));
        await new Promise(open => { socket.onopen = open; });
        socket.send(JSON.stringify({id: 1, type: "incidents"}));
        const told = await new Promise(hear => { socket.onmessage = hear; });
        const one = JSON.parse(told.data).result.find(({kind}) => kind === "takeover");
        return new Date(1000 * one.since_at).toTimeString().slice(0, 8);
    }""")
    assert seen(visitor, "#count") == ["3 need attention"]
    first = seen(visitor, ".tile")[0]
    assert TAKEN in first
    assert "Another voice took over" in first
    assert f"at {began}" in first
    # It has a shape of its own and a colour of its own: no other tile has either.
    looks = visitor.page.eval_on_selector_all(
        ".tile", "tiles => tiles.map(t => [t.querySelector('.badge').dataset.shape,"
        " getComputedStyle(t).backgroundColor])",
    )  # fmt: skip
    shapes, grounds = zip(*looks, strict=True)
    assert shapes.count(shapes[0]) == grounds.count(grounds[0]) == 1
    assert visitor.overflow() <= 0
    assert visitor.complaints == []


@pytest.mark.parametrize("many", [30, 200])
def test_twenty_candidates_are_seen_at_once(wall: Callable[..., Visitor], many: int) -> None:
    visitor = wall(many)
    assert len(seen(visitor, ".tile")) >= 20
    assert visitor.page.locator(".tile").count() == many


# Texts of tiles that lie over another one or reach out of their tile.
COVERED = """() => [...document.querySelectorAll("#needing .tile")].flatMap(tile => {
    const box = element => element.getBoundingClientRect();
    const parts = [...tile.querySelectorAll(".who b, .word, .moment, .more, .facts, .acknowledge")]
        .filter(part => part.checkVisibility() && box(part).width > 0);
    const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1
        || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
    const inside = (a, b) => a.left >= b.left && a.right <= b.right && a.bottom <= b.bottom;
    return parts.filter(part => !inside(box(part), box(tile)) || parts.some(other =>
        other !== part && !apart(box(part), box(other)))).map(part => part.className);
})"""


@pytest.mark.parametrize("size", SIZES)
def test_nothing_lies_over_anything_with_long_names_and_many_incidents(
    wall: Callable[..., Visitor], size: str
) -> None:
    visitor = wall(size=size)
    for place in (LONG, LONG, LONG, 16, 5, 23):
        ask(visitor, "mock", do="incident", place=place, what="overlap")
    visitor.sees("#count", "4 need attention")
    counts(visitor, "#needing .more", 4)
    assert visitor.page.evaluate(COVERED) == []
    assert visitor.overflow() <= 0


# Words of small tiles that are cut off.
CUT = """() => [...document.querySelectorAll("#others .word")]
    .filter(word => word.scrollWidth > word.clientWidth).map(word => word.textContent)"""


@pytest.mark.parametrize("size", SIZES)
def test_small_tiles_say_all_of_their_words(wall: Callable[..., Visitor], size: str) -> None:
    visitor = wall(size=size)
    visitor.sees("#others", "interpreter")
    assert visitor.page.evaluate(CUT) == []


def test_the_order_is_that_of_need(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    ask(visitor, "mock", do="incident", place=2, what="mismatch")
    ask(visitor, "mock", do="incident", place=3, what="dropped")
    visitor.sees("#count", "5 need attention")
    kinds = visitor.page.eval_on_selector_all(
        "#needing .tile", "tiles => tiles.map(t => t.dataset.kind)"
    )
    assert kinds == ["takeover", "mismatch", "other-voice", "silent", "dropped"]
    # What was acknowledged and goes on stands before those who are fine.
    others = visitor.page.eval_on_selector_all(
        "#others .tile", "tiles => tiles.map(t => t.dataset.kind)"
    )
    assert others[0] == "noisy"
    assert others[-2:] == ["absent", "absent"]


def test_what_is_allowed_calls_nobody(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    tile = visitor.page.locator(".tile", has_text="Mireille Dvorak")
    assert tile.locator("xpath=..").get_attribute("id") == "others"
    tile.locator(".open").click()
    visitor.sees("#incidents", "A note only")


def test_an_incident_stays_until_it_is_acknowledged_by_keyboard(
    wall: Callable[..., Visitor],
) -> None:
    visitor = wall()
    page = visitor.page
    page.keyboard.press("n")
    focused = "document.activeElement.closest('.tile')?.innerText ?? ''"
    assert TAKEN in page.evaluate(focused)
    page.keyboard.press("a")
    visitor.sees("#count", "2 need attention")
    assert TAKEN in page.evaluate(focused)  # it has moved, and the focus with it
    visitor.sees("#others", TAKEN)
    page.keyboard.press("n")
    assert "Fatou Garcia" in page.evaluate(focused)
    page.keyboard.press("ArrowRight")
    assert "Ximena Brandt" in page.evaluate(focused)
    page.keyboard.press("Enter")
    visitor.sees("#candidate-name", "Ximena Brandt")
    page.keyboard.press("a")
    visitor.sees("#count", "1 needs attention")
    page.keyboard.press("Escape")
    visitor.sees_no_more("#candidate")
    assert "Ximena Brandt" in page.evaluate(focused)
    page.reload()
    visitor.sees("#count", "1 needs attention")
    assert visitor.complaints == []


def test_another_desk_s_acknowledgement_is_seen(wall: Callable[..., Visitor], visit: Open) -> None:
    visitor = wall()
    other = visit(visitor.page.url)
    other.sees("#count", "3 need attention")
    other.page.click("#needing .acknowledge >> nth=0")
    visitor.sees("#count", "2 need attention")


def test_the_record_is_shown_from_the_first_second_also_after_a_reload(
    wall: Callable[..., Visitor],
) -> None:
    visitor = wall()
    page = visitor.page
    page.click(f"#needing .open:has-text('{TAKEN}')")
    page.fill("#note-text", "Asked to show the room.")
    page.press("#note-text", "Enter")
    visitor.sees("#notes", "Asked to show the room.")
    page.check("#verdict input[value=needs-review]", force=True)
    page.fill("#verdict-text", "Two voices on the line")
    page.click("#verdict button")
    visitor.sees("#verdict-now", "Needs review, by desk 2")
    page.reload()
    visitor.sees("#candidate-name", TAKEN)
    visitor.sees("#record-words", "From the record, since")
    visitor.sees("#events", f"Another voice took over from {TAKEN}")
    visitor.sees("#events", f"Match – {TAKEN}")  # of the first seconds
    visitor.sees("#notes", "Asked to show the room.")
    visitor.sees("#verdict-now", "Needs review, by desk 2")
    # Three notices of one outage are one line.
    lines = page.locator("#events li")
    assert lines.filter(has_text="The server was behind for 9.0 s").count() == 1
    assert lines.count() == 4
    assert visitor.complaints == []


def test_an_incident_can_be_looked_at_over_time(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    page = visitor.page
    page.click(f"#needing .open:has-text('{TAKEN}')")
    visitor.sees("#record-words", "From the record")
    assert page.locator("#lane .mark").count() == 2
    page.click("#incidents [data-act=show] >> nth=0")
    counts(visitor, "#lane .mark", 1)
    page.check("#range input[value='0']", force=True)
    counts(visitor, "#lane .mark", 2)


# Whether the sound is as long as it should be, and goes on.
PLAYS = """() => {
    const audio = document.querySelector("#clip audio");
    return audio && Math.abs(audio.duration - 10) < 0.1 && audio.currentTime > 0.2;
}"""


def test_the_sound_of_an_incident_is_listened_to(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    page = visitor.page
    page.click(f"#needing .open:has-text('{TAKEN}')")
    visitor.sees("#incidents", "Two people spoke at once")  # of which there is no sound
    listen = page.get_by_role("button", name="Listen to Another voice took over")
    listen.click()
    page.wait_for_function(PLAYS, timeout=WAIT_MS)
    visitor.sees("#clip", "Sound around ")
    assert page.locator("#incidents [data-act=listen]").count() == 1
    assert page.evaluate("document.activeElement.tagName") == "AUDIO"
    address = page.get_attribute("#clip audio", "src")
    page.keyboard.press("Escape")
    visitor.sees_no_more("#candidate")
    # Nothing of it is left in the page.
    assert page.locator("#clip audio").count() == 0
    gone = "address => fetch(address).then(() => false, () => true)"
    assert page.evaluate(gone, address)


def test_sound_that_was_deleted_is_offered_no_more(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    page = visitor.page
    page.click(f"#needing .open:has-text('{TAKEN}')")
    page.click("#incidents [data-act=listen]")
    page.wait_for_function(PLAYS, timeout=WAIT_MS)
    assert "was deleted" not in page.inner_text("#incidents")
    ask(visitor, "mock", do="erase")
    # The stream goes on: its record is read again by itself, and what plays ends.
    visitor.sees("#incidents", "Its sound was deleted.")
    counts(visitor, "#incidents [data-act=listen]", 0)
    assert page.locator("#clip audio").count() == 0
    page.reload()
    visitor.sees("#incidents", "Its sound was deleted.")
    assert page.locator("#incidents [data-act=listen]").count() == 0


def test_who_wants_to_hear_what_was_deleted_is_told_so(wall: Callable[..., Visitor]) -> None:
    """The record was read before, and is not read again by itself just then."""
    visitor = wall()
    page = visitor.page
    page.click(f"#needing .open:has-text('{TAKEN}')")
    page.wait_for_selector("#incidents [data-act=listen]", timeout=WAIT_MS)
    page.route("**/clips/*.ogg", lambda route: route.fulfill(status=404, body="no sound"))
    page.click("#incidents [data-act=listen]")
    visitor.sees("#toast", "That sound was deleted.")
    page.unroute("**/clips/*.ogg")
    page.route("**/clips/*.ogg", lambda route: route.fulfill(status=503, body="busy"))
    page.click("#incidents [data-act=listen]")
    visitor.sees("#toast", "The sound cannot be had just now.")
    assert page.locator("#clip audio").count() == 0


def test_who_takes_consent_back_is_told_so(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    ask(visitor, "mock", do="withdraw", place=2)
    tile = ".tile[data-kind=withdrawn]"
    visitor.sees(tile, "Took consent back")
    assert tile_texts(visitor)[3].startswith(visitor.page.inner_text(f"{tile} b"))
    visitor.page.click(f"{tile} .open")
    visitor.sees("#candidate-state", "Took consent back")
    visitor.page.reload()
    visitor.sees(tile, "Took consent back")


def tile_texts(visitor: Visitor) -> list[str]:
    """Of all tiles, in order."""
    return [str(text).strip() for text in visitor.page.locator(".tile .who").all_inner_texts()]


def test_enter_in_the_search_leads_to_who_was_found(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    page = visitor.page
    page.keyboard.press("/")
    page.keyboard.type("Fatou Garcia")
    counts(visitor, ".tile", 1)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    visitor.sees("#candidate-name", "Fatou Garcia")


def test_the_sound_ends_where_another_candidate_is_opened(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    page = visitor.page
    page.click(f"#needing .open:has-text('{TAKEN}')")
    page.click("#incidents [data-act=listen]")
    page.wait_for_function(PLAYS, timeout=WAIT_MS)
    page.click("#needing .open:has-text('Fatou Garcia')")
    visitor.sees("#candidate-name", "Fatou Garcia")
    assert page.locator("#clip audio").count() == 0


def test_filter_and_search(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    page = visitor.page
    page.keyboard.press("/")
    page.keyboard.type("2026112")
    counts(visitor, ".tile", 1)
    visitor.sees(".tile", TAKEN)
    visitor.sees("#count", "3 need attention")  # what needs somebody is counted whoever is shown
    page.keyboard.press("Escape")
    counts(visitor, ".tile", 30)
    page.click("#kinds button:has-text('Not here yet')")
    counts(visitor, ".tile", 2)
    page.click("#kinds button:has-text('Not here yet')")
    counts(visitor, ".tile", 30)
    page.fill("#search", "nobody of that name")
    visitor.sees("#nobody", "Nobody like that.")


def test_another_exam_has_its_own_candidates(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    visitor.page.select_option("#exam", label="Law I, oral")
    visitor.sees("#count", "Nobody is here yet")
    visitor.page.select_option("#exam", label="All streams")
    visitor.sees("#count", "3 need attention")


def test_incidents_are_said_politely_and_once(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    page = visitor.page
    assert page.get_attribute("#announce", "aria-live") == "polite"
    assert visitor.text("#announce") == ""  # what was there before is read, not called out
    for place in range(4):
        ask(visitor, "mock", do="incident", place=place, what="takeover")
    visitor.sees("#announce", "Amelia Abadi: Another voice took over, at ")
    said = page.eval_on_selector_all("#announce p", "all => all.map(p => p.innerText)")
    assert said[0].endswith("And 1 more.") or "And" not in said[0]
    assert page.title().startswith("(7)")


def test_what_a_screen_reader_is_told_of_a_tile(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    name = f"{TAKEN} Another voice took over at"
    tile = visitor.page.get_by_role("list", name="Need attention").get_by_role("button", name=name)
    assert tile.get_attribute("aria-expanded") == "false"
    acknowledge = visitor.page.get_by_role("button", name=f"Acknowledge: {TAKEN}")
    assert acknowledge.count() == 1
    # One stop for Tab on the whole wall, however many tiles there are.
    assert visitor.page.locator(".tile .open[tabindex='0']").count() == 1
    tile.click()
    counts(visitor, ".tile .open[aria-expanded=true]", 1)
    assert tile.get_attribute("aria-expanded") == "true"
    assert visitor.page.evaluate("document.activeElement.id") == "candidate-name"


def test_a_lost_connection_is_said_and_mended(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    ask(visitor, "mock", do="stop")
    visitor.sees("#problem", "Not connected. What you see was so at")
    visitor.sees("#count", "Not connected: 3 needed attention")
    ask(visitor, "mock", do="return")
    visitor.sees("#connection", "Connected")
    visitor.sees_no_more("#problem")
    visitor.sees("#count", "3 need attention")


def test_a_server_that_says_nothing_any_more_is_not_connected(wall: Callable[..., Visitor]) -> None:
    """As where the network goes away without a word: no connection ends by it."""
    visitor = wall()
    ask(visitor, "mock", do="hang")
    visitor.sees("#count", "Not connected: 3 needed attention")
    ask(visitor, "mock", do="wake")
    visitor.sees("#connection", "Connected")
    ask(visitor, "mock", do="incident", place=3, what="takeover")
    visitor.sees("#count", "4 need attention")


def test_sound_and_notifications_are_optional(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    page = visitor.page
    for button in ("#chime", "#desktop"):
        assert page.get_attribute(button, "aria-pressed") == "false"
    page.context.grant_permissions(["notifications"])
    page.keyboard.press("s")
    page.keyboard.press("d")
    page.wait_for_selector("#chime[aria-pressed=true]", timeout=WAIT_MS)
    page.wait_for_selector("#desktop[aria-pressed=true]", timeout=WAIT_MS)
    page.evaluate("""() => {
        window.shown = [];
        window.Notification = class { constructor(_, {body}) { window.shown.push(body); } };
        document.hasFocus = () => false;
    }""")
    ask(visitor, "mock", do="incident", place=0, what="takeover")
    visitor.sees("#count", "4 need attention")
    assert "Amelia Abadi: Another voice took over" in page.evaluate("window.shown[0]")


def test_a_browser_that_lets_no_page_notify_costs_the_notification_alone(
    wall: Callable[..., Visitor],
) -> None:
    visitor = wall()
    page = visitor.page
    page.context.grant_permissions(["notifications"])
    page.click("#desktop")
    page.wait_for_selector("#desktop[aria-pressed=true]", timeout=WAIT_MS)
    # As Chrome does on Android.
    page.evaluate("""() => {
        window.Notification = class { constructor() { throw new TypeError("Illegal"); } };
        document.hasFocus = () => false;
    }""")
    ask(visitor, "mock", do="incident", place=0, what="takeover")
    visitor.sees("#count", "4 need attention")
    visitor.sees("#toast", "Notifications are off.")
    assert page.get_attribute("#desktop", "aria-pressed") == "false"
    assert visitor.complaints == []


def test_the_title_counts_while_the_page_is_out_of_sight(wall: Callable[..., Visitor]) -> None:
    visitor = wall()
    visitor.page.evaluate("""() => {
        Object.defineProperty(document, "hidden", {get: () => true});
        window.requestAnimationFrame = () => 0;  // as of a page in the background
    }""")
    ask(visitor, "mock", do="incident", place=0, what="takeover")
    page = playwright_api.expect(visitor.page)
    page.to_have_title("(4) voxwatch: candidates", timeout=WAIT_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(wall: Callable[..., Visitor], scheme: str) -> None:
    visitor = wall(color_scheme=scheme)
    visitor.page.click("#needing .open >> nth=0")
    visitor.sees("#record-words", "From the record")
    assert visitor.page.evaluate(FAINT_TEXT) == []


def test_a_token_is_asked_for_or_taken_from_the_address(servers: Server, visit: Open) -> None:
    address = servers(30, "s3cret")
    visitor = visit(f"{address}monitor")
    visitor.sees("#token", "This server needs a token")
    visitor.page.keyboard.press("Escape")
    visitor.sees("#problem", "Nothing is shown without a token")
    visitor.page.reload()
    visitor.page.fill("#token-value", "s3cret")
    visitor.page.press("#token-value", "Enter")
    visitor.sees("#count", "3 need attention")
    other = visit(f"{address}monitor{EXAM}&token=s3cret")
    other.sees("#count", "3 need attention")
    assert other.page.url == f"{address}monitor{EXAM}"
    other.page.reload()
    other.sees("#count", "3 need attention")


def test_the_dashboard_links_to_the_wall(servers: Server, visit: Open) -> None:
    visitor = visit(servers(30))
    visitor.page.click("a:has-text('Candidates')")
    visitor.sees("#count", "need attention")  # how many depends on the tests before
