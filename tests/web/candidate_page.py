"""A candidate's page as its tests open it, with a microphone that hears what they want."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Open, Visitor
from tests.web.test_microphone import BROWSER

# Of every module of tests that opens this page.
MARKS = [
    pytest.mark.slow,
    pytest.mark.parametrize(
        "mock", [("--token", "link", "--roles", "stream,enrol")], indirect=True
    ),
]
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
