"""LTI at a real server: logins, launches and pages, as a browser meets them."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import msgspec
import pytest
from lti_browser import WAIT_S, Browser, of_form, until
from lti_platform import CORE, PROCTORING, TEACHER, FakePlatform, platform
from server_requests import ask

from streamer.config import Config, ConfigError
from streamer.config_sources import load
from streamer.lti.platform import Platform
from streamer.records.writer import Writer
from streamer.server import lti
from streamer.server.server import Server
from streamer.wire.incidents import Incident
from voxwatch_client import ClientError, connect

BASE = "https://voice.example"


@pytest.fixture(scope="module")
def there() -> Iterator[FakePlatform]:
    with platform() as served:
        yield served


@pytest.fixture
async def tool(
    settings: Callable[..., Config], there: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    """A server with the platform, behind a proxy that has TLS."""
    monkeypatch.setattr(lti, "LOOK_S", 0.1)
    config = settings(public_url=BASE, lti=(there.registered,))
    async with Server(config, drain_s=1.0) as server:
        yield server


class Visitor(Browser):
    """A browser in which the platform of these tests opens the tool."""

    def __init__(self, server: Server, there: FakePlatform) -> None:
        super().__init__(server, there.url)
        self.there = there

    async def launch(self, kind: str = "LtiStartProctoring", **changes: Any) -> Any:
        """From the platform's login to what the launch is answered."""
        login = await self.get(f"/lti/login?{urlencode(self.there.login())}")
        assert login.status == 302
        asked = dict(parse_qsl(urlsplit(login.headers["Location"]).query))
        claims = self.there.claims(asked["nonce"], kind, **changes)
        form = {"state": asked["state"], "id_token": self.there.keys[-1].sign(claims)}
        return await self.post("/lti/launch", form)


async def test_an_assessment_from_its_launch_to_its_end(
    tool: Server, there: FakePlatform, enrol: Any, pcm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    there.flags.clear()
    browser = Visitor(tool, there)
    came = await browser.launch()
    assert came.status == 303
    place = came.headers["Location"]
    page = await browser.get(place)
    assert "Oral &lt;exam&gt;" in page.text
    assert "<exam>" not in page.text
    assert "not heard yet" in page.text
    assert "<script" not in page.text
    address = html.unescape(re.search(r'href="([^"]+)"', page.text)[1])  # type: ignore[index]
    assert address.startswith(f"{BASE}/candidate#candidate-")
    link = address.partition("#")[2]
    (exam,) = await asyncio.to_thread(tool.context.exams.exams)
    (candidate,) = await asyncio.to_thread(tool.context.exams.roster, exam.id)
    assert candidate.name == "Ada Byron"

    enrol(tool, candidate.voiceprint, sounds_like="anna")
    await asyncio.to_thread(tool.context.enrolled.refresh)
    await asyncio.to_thread(tool.context.seats.refresh)
    async with connect(tool.url, token=link) as stream:
        await stream.send(pcm("anna", 10.0) + pcm("bert", 30.0))

        async def heard() -> str:
            text = str((await browser.get(place)).text)
            return text if "You are heard." in text else ""

        action, fields = of_form(await until(heard))
        told = fields["JWT"]
        assert action == f"{there.url}/start"
        keys = json.loads((await ask(tool, "GET", "/lti/jwks")).text)["keys"]
        claims = jwt.decode(told, jwt.PyJWK(keys[0]), ["RS256"], audience=there.url)
        assert claims[PROCTORING + "session_data"] == "of the session"

        async def flagged() -> bool:
            return bool(there.flags)

        await until(flagged)
        assert there.flags[0]["action"] == "flag"
        assert there.flags[0]["user"]["sub"] == "user-17"
        over = await browser.launch(
            "LtiEndAssessment", **{PROCTORING + "errormsg": "The <network> failed."}
        )
        assert "The &lt;network&gt; failed." in over.text
        async with asyncio.timeout(WAIT_S):  # nobody is heard any more
            with pytest.raises(ClientError, match=r"taken back|replaced"):
                async for _ in stream:
                    pass
    assert "The exam is over" in (await browser.get(place)).text

    records = [record for record in caplog.records if record.name.startswith("voxwatch")]
    lines = "\n".join(record.getMessage() for record in records)
    assert "POST /lti/launch: 303 ok" in lines
    for hidden in ("Ada", "user-17", "ada@", candidate.voiceprint, link, told, place):
        assert hidden not in lines


async def test_what_the_record_has_late_is_flagged_all_the_same(
    tool: Server, there: FakePlatform, enrol: Any, pcm: Any
) -> None:
    """A slow disk: nobody can read of an incident yet when it is told."""
    there.flags.clear()
    disk, book = threading.Event(), tool.context.book
    assert book is not None

    def write(batch: Any) -> None:
        disk.wait(WAIT_S)
        book.journal.write(batch)

    browser = Visitor(tool, there)
    page = await browser.get((await browser.launch()).headers["Location"])
    link = html.unescape(re.search(r'href="([^"]+)"', page.text)[1]).partition("#")[2]  # type: ignore[index]
    (exam,) = await asyncio.to_thread(tool.context.exams.exams)
    (candidate,) = await asyncio.to_thread(tool.context.exams.roster, exam.id)
    enrol(tool, candidate.voiceprint, sounds_like="anna")
    await asyncio.to_thread(tool.context.enrolled.refresh)
    await asyncio.to_thread(tool.context.seats.refresh)
    writer = tool.context.writer = Writer(write)
    with tool.context.hub.follow(kinds=(Incident,)) as told:
        async with connect(tool.url, token=link) as stream:
            await stream.send(pcm("anna", 10.0) + pcm("bert", 30.0))
            await told.outbox.wait()
            await stream.finalize()
            async for _ in stream:
                pass
    await asyncio.sleep(1.0)  # ten looks
    assert there.flags == []
    disk.set()

    async def flagged() -> bool:
        return bool(there.flags)

    await until(flagged)
    await asyncio.to_thread(writer.close, WAIT_S)


async def test_pages_may_post_to_the_platform_and_do_nothing_else(
    tool: Server, there: FakePlatform, enrol: Any, pcm: Any
) -> None:
    browser = Visitor(tool, there)
    place = (await browser.launch(sub="user-20")).headers["Location"]
    policy = (await browser.get(place)).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert there.url not in policy
    assert "script" not in policy


async def test_cookies_hold_for_their_page_alone(tool: Server, there: FakePlatform) -> None:
    login = await ask(tool, "POST", "/lti/login", urlencode(there.login()).encode())
    cookie = login.headers["Set-Cookie"]
    assert login.status == 302
    assert {"Path=/lti/launch", "HttpOnly", "Secure", "SameSite=None"} <= set(cookie.split("; "))
    browser = Visitor(tool, there)
    came = await browser.launch()
    place = came.headers["Location"]
    kept = came.headers["Set-Cookie"]
    assert {f"Path={place}", "HttpOnly", "Secure", "SameSite=Lax"} <= set(kept.split("; "))
    assert (await ask(tool, "GET", place)).status == 401
    other = Visitor(tool, there)
    theirs = (await other.launch(sub="user-18")).headers["Location"]
    value = other.cookies["voxwatch-lti"][0]
    for cookie in (value, value[:-4] + "AAAA", "", "a.b.c"):
        headers = {"Cookie": f"voxwatch-lti={cookie}"}
        assert (await ask(tool, "GET", place, headers=headers)).status == 401
    assert (await other.get(theirs)).status == 200


async def test_a_launch_that_does_not_hold_is_a_page_that_says_why(
    tool: Server, there: FakePlatform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refused = await Visitor(tool, there).launch(aud="another-tool")
    assert refused.status == 401
    assert "You cannot come in like this" in refused.text
    assert "Location" not in refused.headers
    assert "Ada" not in "\n".join(record.getMessage() for record in caplog.records)
    # Another browser brings the same launch, without the cookie of its login.
    login = await ask(tool, "GET", f"/lti/login?{urlencode(there.login())}")
    asked = dict(parse_qsl(urlsplit(login.headers["Location"]).query))
    told = there.keys[-1].sign(there.claims(asked["nonce"]))
    form = urlencode({"state": asked["state"], "id_token": told}).encode()
    assert (await ask(tool, "POST", "/lti/launch", form)).status == 401
    for body in (b"", b"\xff", b"state=a&state=b", b"&".join([b"a=b"] * 100)):
        assert (await ask(tool, "POST", "/lti/launch", body)).status == 401
    elsewhere = there.login(target_link_uri="https://elsewhere.example/lti/launch")
    response = await ask(tool, "GET", f"/lti/login?{urlencode(elsewhere)}")
    assert response.status == 401
    assert "Location" not in response.headers


async def test_teachers_come_to_the_attempts_and_their_reports(
    tool: Server, there: FakePlatform, enrol: Any, pcm: Any
) -> None:
    learner = Visitor(tool, there)
    address = (await learner.get((await learner.launch()).headers["Location"])).text
    link = html.unescape(re.search(r'href="([^"]+)"', address)[1]).partition("#")[2]  # type: ignore[index]
    (exam,) = await asyncio.to_thread(tool.context.exams.exams)
    (candidate,) = await asyncio.to_thread(tool.context.exams.roster, exam.id)
    enrol(tool, candidate.voiceprint, sounds_like="anna")
    await asyncio.to_thread(tool.context.enrolled.refresh)
    async with connect(tool.url, token=link) as stream:
        await stream.send(pcm("anna", 4.0))
        await stream.finalize()
        async for _ in stream:
            pass

    refused = await learner.launch("LtiResourceLinkRequest")
    assert (refused.status, "teachers come in here" in refused.text) == (401, True)
    teacher = Visitor(tool, there)
    as_teacher = {CORE + "roles": [TEACHER], "sub": "teacher-1"}
    came = await teacher.launch("LtiResourceLinkRequest", **as_teacher)
    assert (came.status, came.headers["Location"]) == (303, "/lti/team/")
    exams = await teacher.get("/lti/team/")
    assert "Oral &lt;exam&gt;" in exams.text
    place = "/lti/team/" + re.search(r'href="([^"]+)"', exams.text)[1]  # type: ignore[index]
    attempts = await teacher.get(place)
    assert "Ada Byron" in attempts.text
    report = place + re.search(r'href="([^"]+)"', attempts.text)[1]  # type: ignore[index]
    shown = await teacher.get(report)
    assert shown.status == 200
    assert "Ada Byron" in shown.text
    for path in ("/lti/team/", place, report):
        assert (await ask(tool, "GET", path)).status == 401
    elsewhere = Visitor(tool, there)
    await elsewhere.launch(
        "LtiResourceLinkRequest", **as_teacher | {CORE + "context": {"id": "course-2"}}
    )
    assert (await elsewhere.get(place)).status == 404
    assert (await elsewhere.get(report)).status == 404


async def test_without_platforms_there_is_no_tool(server: Server) -> None:
    for method, path in (("GET", "/lti/login"), ("POST", "/lti/launch"), ("GET", "/lti/jwks")):
        assert (await ask(server, method, path, b"")).status == 404


# Settings.

LINES = """
public_url = "https://voice.example"
[[lti]]
issuer = "https://lms.example"
client_id = "7"
deployment_ids = ["1"]
login_url = "https://lms.example/auth"
token_url = "https://lms.example/token"
jwks_url = "https://lms.example/jwks"
"""


def loaded(tmp_path: Any, text: str, **env: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load(path, {"HOME": str(tmp_path)} | env, {"data_dir": tmp_path})


def test_a_platform_is_set_up_in_the_file_or_a_variable(tmp_path: Any) -> None:
    (found,) = loaded(tmp_path, LINES).lti
    assert found.names == ("lms.example",)
    text = msgspec.json.encode([found]).decode()
    again = loaded(tmp_path, 'public_url = "https://voice.example"', VOXWATCH_LTI=text)
    assert again.lti == (found,)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("https://lms.example/auth", "http://lms.example/auth", "login_url"),
        ("https://lms.example/auth", "https://lms.example/auth?a=b", "login_url"),
        ("https://lms.example/jwks", "ftp://lms.example/jwks", "jwks_url"),
        ('deployment_ids = ["1"]', "deployment_ids = []", "deployment_ids|length"),
        ('client_id = "7"', "", "client_id"),
        ('client_id = "7"', 'client_id = "7"\nsecret = "x"', "secret"),
        ('public_url = "https://voice.example"', "", "public_url"),
        ("[[lti]]", "records = false\n[[lti]]", "records"),
    ],
)
def test_a_platform_that_is_not_safe_is_refused(
    tmp_path: Any, old: str, new: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        loaded(tmp_path, LINES.replace(old, new))


def test_the_same_platform_twice_is_refused(tmp_path: Any) -> None:
    table = LINES[LINES.index("[[lti]]") :]
    with pytest.raises(ConfigError, match="twice"):
        loaded(tmp_path, LINES + table)


@pytest.mark.parametrize(
    ("address", "owned"),
    [
        ("https://lms.example/start?a=b", True),
        ("https://exams.example/start", True),
        ("https://LMS.example/start", True),
        ("http://lms.example/start", False),
        ("https://lms.example.evil.example/", False),
        ("https://lms.example@evil.example/", False),
        ("https://lms.example:8443/", False),
        ("https://lms.example\\@evil.example/", False),
        ("//lms.example/start", False),
        ("https://[lms.example/", False),
        ("data:text/html,x", False),
        ("", False),
    ],
)
def test_only_the_platforms_servers_are_its_own(address: str, owned: bool) -> None:
    there = Platform(
        issuer="https://lms.example", client_id="7", deployment_ids=("1",),
        login_url="https://lms.example/auth", token_url="https://lms.example/token",
        jwks_url="https://lms.example/jwks", hosts=("exams.example",),
    )  # fmt: skip
    assert there.owns(address) is owned
