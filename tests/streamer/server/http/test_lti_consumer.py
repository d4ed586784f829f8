"""Open edX's consumer of LTI, in an environment of its own, against a real server, both ways."""

from __future__ import annotations

import asyncio
import html
import json
import re
import select
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
from lti_browser import WAIT_S, Browser, of_form, until
from peer_environments import environment
from ports import free_port

from streamer.config import Config
from streamer.lti.platform import Platform
from streamer.server import lti
from streamer.server.server import Server
from voxwatch_client import connect

PEER = Path(__file__).parents[3] / "support" / "lti_peer.py"


class Consumer:
    """The program, what it is called for, and the pages that it serves. The tool is at ``base``."""

    def __init__(self, process: subprocess.Popen[str], base: str) -> None:
        self._process, self.base = process, base
        self.told = self._read()

    async def call(self, name: str, *arguments: Any) -> Any:
        """What the program answers."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        return (await asyncio.to_thread(self._read))["result"]

    async def page(self, url: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and text of a page of the platform's, or of what a form gets there."""
        data = None if form is None else urlencode(form).encode()

        def asked() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(url, data, WAIT_S) as response:
                    return response.status, response.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        return await asyncio.to_thread(asked)

    def _read(self) -> Any:
        """Its next line. A thread that waits for a line can not be called off, and has an end."""
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], WAIT_S)
        assert readable, "the consumer does not answer"
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def consumer() -> Iterator[Consumer]:
    """One for all of these tests: it takes many seconds to begin."""
    base = f"http://127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [environment("lti"), "-W", "ignore", PEER, base],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            yield Consumer(process, base)
        finally:
            process.kill()


def running(settings: Callable[..., Config], consumer: Consumer, **changes: Any) -> Server:
    """A server at which the consumer is registered with these ``changes``."""
    platform = msgspec.convert(consumer.told | changes, Platform)
    config = settings(public_url=consumer.base, lti=(platform,))
    config = msgspec.structs.replace(config, port=urlsplit(consumer.base).port)
    return Server(config, drain_s=1.0)


async def launched(consumer: Consumer, browser: Browser, *what: Any) -> Any:
    """What the tool answers a launch, from the platform's link on."""
    first = urlsplit(await consumer.call("launch", *what))
    login = await browser.get(f"{first.path}?{first.query}")
    assert login.status == 302, login.text
    status, page = await consumer.page(login.headers["Location"])
    assert status == 200, page
    action, form = of_form(page)
    assert action == f"{browser.server.context.config.public_url}/lti/launch"
    return await browser.post("/lti/launch", form)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lti, "LOOK_S", 0.1)


async def test_an_assessment_from_its_launch_to_its_end(
    settings: Callable[..., Config], consumer: Consumer, enrol: Any, pcm: Any
) -> None:
    async with running(settings, consumer) as server:
        browser = Browser(server, "http://127.0.0.1")
        came = await launched(consumer, browser, "LtiStartProctoring", 1, "student")
        assert came.status == 303, came.text
        place = came.headers["Location"]
        page = await browser.get(place)
        link = html.unescape(re.findall(r'href="([^"]+)"', page.text)[0]).partition("#")[2]
        (exam,) = await asyncio.to_thread(server.context.exams.exams)
        (candidate,) = await asyncio.to_thread(server.context.exams.roster, exam.id)
        assert candidate.name == "Ada Byron"
        enrol(server, candidate.voiceprint, sounds_like="anna")
        await asyncio.to_thread(server.context.enrolled.refresh)
        async with connect(server.url, token=link) as stream:
            await stream.send(pcm("anna", 10.0) + pcm("bert", 30.0))

            async def heard() -> str:
                text = str((await browser.get(place)).text)
                return text if "You are heard." in text else ""

            action, form = of_form(await until(heard))
            # The package's own view takes it, which fetches this tool's key, and then begins.
            forged = {"JWT": form["JWT"][:-4] + "AAAA"}
            assert (await consumer.page(action, forged))[0] != 200
            assert await consumer.call("started") == []
            assert (await consumer.page(action, form))[0] == 200
            ((number, resource, _),) = await consumer.call("started")
            assert (number, resource["id"]) == (1, "block-v1:A+B+C+type@problem+block@exam")

            # Its access token lets in to flag, as its own permissions want it.
            (flag, *_) = await until(lambda: consumer.call("flags"))
            assert flag["user"]["sub"] == "of-the-learner"
            assert (flag["action"], flag["attempt_number"]) == ("flag", 1)
            assert 0.0 < float(flag["incident_severity"]) <= 1.0

            over = await launched(consumer, browser, "LtiEndAssessment", 1, "student")
            assert "The exam is over" in over.text
        assert "The exam is over" in (await browser.get(place)).text
        again = await launched(consumer, browser, "LtiStartProctoring", 1, "student")
        assert again.status == 401
        second = await launched(consumer, browser, "LtiStartProctoring", 2, "student")
        assert second.status == 303
        assert {one["action"] for one in await consumer.call("flags")} == {"flag"}


async def test_teachers_come_in_and_learners_do_not(
    settings: Callable[..., Config], consumer: Consumer
) -> None:
    async with running(settings, consumer) as server:
        learner = Browser(server, "http://127.0.0.1")
        await launched(consumer, learner, "LtiStartProctoring", 1, "student")
        refused = await launched(consumer, learner, "LtiResourceLinkRequest", None, "student")
        assert refused.status == 401
        teacher = Browser(server, "http://127.0.0.1")
        came = await launched(consumer, teacher, "LtiResourceLinkRequest", None, "instructor")
        assert came.status == 303
        exams = await teacher.get(came.headers["Location"])
        place = came.headers["Location"] + re.findall(r'href="([^"]+)"', exams.text)[0]
        assert "Ada Byron" in (await teacher.get(place)).text


@pytest.mark.parametrize("changes", [{"deployment_ids": ["2"]}, {"jwks_url": "http://127.0.0.1:9"}])
async def test_a_platform_that_is_registered_otherwise_lets_nobody_in(
    settings: Callable[..., Config], consumer: Consumer, changes: dict[str, Any]
) -> None:
    async with running(settings, consumer, **changes) as server:
        browser = Browser(server, "http://127.0.0.1")
        came = await launched(consumer, browser, "LtiStartProctoring", 1, "student")
        assert came.status in (401, 502)
        assert not await asyncio.to_thread(server.context.exams.exams)
