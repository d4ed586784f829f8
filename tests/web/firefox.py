"""A real Firefox, driven by WebDriver BiDi.

Firefox serves that protocol itself (https://w3c.github.io/webdriver-bidi/), so that no driver is
needed beside it. Only what the tests want of a page is here.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
WAIT_S = 60.0  # for what takes a moment on a busy machine

# Firefox's own scripts say this of an audio context that is closed, now and then on a busy machine:
# an error of the page would have the place in the page's script that it comes from.
OWN_FAULT = "Permission denied to access property"

PREFERENCES = {
    "media.navigator.permission.disabled": True,  # nobody is asked
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class Page:
    """The one tab, and everything that its console complained of."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.complaints: list[str] = []
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        tree = self._ask("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    def preload(self, function: str) -> None:
        """Run this function in each page before its own scripts."""
        self._ask("script.addPreloadScript", functionDeclaration=function)

    def goto(self, url: str) -> None:
        """Open an address and wait until it has loaded."""
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, by way of JSON; a promise is waited for. As by a click."""
        answer = self._ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})) ?? 'null')()",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        if answer["type"] == "exception":
            raise AssertionError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def click(self, selector: str) -> None:
        """Click an element."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def text(self, selector: str) -> str:
        """The visible text of an element."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def sees(self, selector: str, text: str) -> None:
        """Wait until an element says this."""
        until = time.monotonic() + WAIT_S
        while text not in (said := self.text(selector)):
            assert time.monotonic() < until, f"{selector} says {said!r}, not {text!r}"
            time.sleep(0.1)

    def _ask(self, method: str, **parameters: Any) -> Any:
        """A command and its result; events that come before it are dealt with."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(WAIT_S))
            if message.get("method") == "log.entryAdded":
                entry = message["params"]
                if entry["level"] in ("warn", "error"):
                    frames = (entry.get("stackTrace") or {}).get("callFrames", [])
                    places = [f"{frame['url']}:{frame['lineNumber']}" for frame in frames]
                    if places or OWN_FAULT not in entry["text"]:
                        self.complaints.append(" ".join([str(entry["text"]), *places]))
            elif message.get("id") == number:
                if message["type"] == "error":
                    raise AssertionError(f"{method}: {message['message']}")
                return message["result"]


@contextmanager
def firefox(profile: Path, environment: Mapping[str, str]) -> Iterator[Page]:
    """A fresh Firefox without a window."""
    assert PROGRAM is not None
    lines = PREFERENCES.items()
    settings = "".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in lines)
    (profile / "user.js").write_text(settings)
    command = [PROGRAM, "--headless", "--no-remote", "--profile", str(profile)]
    command += ["--remote-debugging-port", "0", "about:blank"]
    environment = {**environment, "HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"}
    with (profile / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        with connect(f"{_address(profile, process)}/session", max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(WAIT_S)


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Where it listens; it says so on its standard error."""
    marker = "WebDriver BiDi listening on "
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        for line in (profile / "log").read_text(errors="replace").splitlines():
            if marker in line:
                return line.partition(marker)[2].strip()
        assert process.poll() is None, "Firefox ended before it was ready"
        time.sleep(0.1)
    raise AssertionError("Firefox did not start")
