"""The client in Chromium: the built package, imported by a page of another origin."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from streamer.server.server import Server
from tests.clients.js.conftest import CLIENT, Serve, token_of
from voxwatch_client import control

pytestmark = pytest.mark.slow  # a microphone goes on in real time

CHROMIUM = shutil.which("chromium")
if not CHROMIUM:
    pytest.skip("needs chromium", allow_module_level=True)
playwright_api = pytest.importorskip("playwright.async_api", reason="needs playwright")

WAIT_MS = 30_000
TOKEN = "of the page's own server"
(SHOWN,) = re.findall(r"```html\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
MAP = '<script type="importmap">{"imports": {"voxwatch-client": "/client/dist/index.js"}}</script>'
# What a page of one's own does with a call's sound, which is played to the end here.
CALL = """
<script type="module">
  import { Voxwatch } from "voxwatch-client";
  const token = async () => (await fetch("/voxwatch-token")).text();
  const voxwatch = new Voxwatch({ url: "https://voxwatch.example", token });
  const context = new AudioContext();
  const sound = await context.decodeAudioData(await (await fetch("/call.wav")).arrayBuffer());
  const player = new AudioBufferSourceNode(context, { buffer: sound });
  const call = new MediaStreamAudioDestinationNode(context);
  player.connect(call);
  window.told = [];
  window.stream = voxwatch.stream({ claim: "alice", source: call.stream, label: "call" });
  stream.on("message", (message) => told.push(message));
  stream.on("ready", () => player.start());
  player.onended = () => setTimeout(() => call.stream.getTracks()[0].stop(), 1500);
  window.finalized = () => stream.finalize();
</script>
"""
# The same sound as a MediaRecorder makes Opus of it.
RECORDED = CALL.replace(
    'source: call.stream, label: "call"', 'encoding: "opus", label: "recorded"'
).replace(
    "player.onended = () => setTimeout(() => call.stream.getTracks()[0].stop(), 1500);",
    """
  const recorder = new MediaRecorder(call.stream, { mimeType: "audio/webm;codecs=opus" });
  recorder.ondataavailable = ({ data }) => void stream.send(data);
  recorder.onstop = () => void stream.finalize();
  recorder.start(200);
  player.onended = () => setTimeout(() => recorder.stop(), 1500);
""",
)


@dataclass
class Site:
    """A page's own server: the page, the package, a sound, and tokens for voxwatch."""

    package: Path
    pages: dict[str, bytes] = field(default_factory=dict)
    voxwatch: str = ""
    tokens: int = 0
    url: str = ""

    def token(self) -> bytes:
        async def ask() -> str:
            async with control(self.voxwatch, token=TOKEN) as asking:
                return str((await asking.request("url_token", role="stream"))["token"])

        self.tokens += 1
        return asyncio.run(ask()).encode()


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, site: Site, *args: Any) -> None:
        self.site = site
        super().__init__(*args, directory=str(site.package))

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/client/"):
            self.path = path.removeprefix("/client")
            super().do_GET()
            return
        body = self.site.token() if path == "/voxwatch-token" else self.site.pages.get(path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "text/html" if path == "/" else "application/octet-stream")
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: Any) -> None:
        """Nothing: a test's output is its own."""


@pytest.fixture
def site(package: Path) -> Iterator[Site]:
    found = Site(package, {"/favicon.ico": b""})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, found)) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@asynccontextmanager
async def opened(site: Site, server: Server, page: str, sound: Path) -> AsyncIterator[Any]:
    """A tab with this page, whose microphone hears the sound."""
    site.voxwatch = server.url
    site.pages["/"] = (MAP + page.replace("https://voxwatch.example", server.url)).encode()
    arguments = ["--no-sandbox", "--use-fake-device-for-media-stream"]
    arguments += ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={sound}"]
    arguments += ["--autoplay-policy=no-user-gesture-required"]
    async with playwright_api.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        tab = await browser.new_page()
        complaints: list[str] = []
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("console", lambda said: complaints.append(said.text))
        await tab.goto(site.url)
        yield tab
        assert complaints == []
        await browser.close()


@pytest.fixture
def sound(tmp_path: Path, voice: Callable[..., Any]) -> Path:
    """Anna for 6 s and a pause, at a browser's usual rate."""
    path = tmp_path / "call.wav"
    quiet = np.zeros(48_000, np.float32)
    sf.write(path, np.concatenate([voice("anna", 6.0, rate_hz=48_000), quiet]), 48_000)
    return path


def guarded(serve: Serve, site: Site) -> Any:
    """A server that lets the page of that site in, with a token."""
    return serve(name="alice", origins=(site.url,), tokens=(token_of(TOKEN, "stream"),))


async def test_the_page_of_the_readme_verifies_a_microphone(
    serve: Serve, site: Site, sound: Path
) -> None:
    async with guarded(serve, site) as server, opened(site, server, SHOWN, sound) as tab:
        await tab.click("#listen")
        told = playwright_api.expect(tab.locator("#told"))
        await told.to_have_text("match alice", timeout=WAIT_MS)
    assert site.tokens == 1


async def test_a_media_stream_is_heard_until_it_is_over(
    serve: Serve, site: Site, sound: Path
) -> None:
    site.pages["/call.wav"] = sound.read_bytes()
    async with guarded(serve, site) as server, opened(site, server, CALL, sound) as tab:
        await tab.wait_for_function("window.stream?.over", timeout=WAIT_MS)
        said = await tab.evaluate("told.map(({ type, state }) => [type, state ?? null])")
        summary = await tab.evaluate("finalized()")
    assert ["utterance", "match"] in said
    assert said[-1][0] == "summary"
    assert summary["received_s"] > 6


async def test_what_a_media_recorder_makes_is_taken_as_it_is(
    serve: Serve, site: Site, sound: Path
) -> None:
    pytest.importorskip("av", reason="needs the extra media")
    site.pages["/call.wav"] = sound.read_bytes()
    async with guarded(serve, site) as server, opened(site, server, RECORDED, sound) as tab:
        await tab.wait_for_function("window.stream?.over", timeout=WAIT_MS)
        said = await tab.evaluate("told.map(({ type, state }) => [type, state ?? null])")
        failure = await tab.evaluate("stream.failure?.message ?? null")
    assert failure is None
    assert ["utterance", "match"] in said
    assert said[-1][0] == "summary"
