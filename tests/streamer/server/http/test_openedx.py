"""Open edX's own package, in an environment of its own, against a real server, both ways."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from ports import free_port
from server_requests import ask

from streamer.config import Config, ConfigError, OpenEdx
from streamer.edx import courier
from streamer.server import openedx
from streamer.server.server import Server
from voxwatch_client import connect

ROOT = Path(__file__).parents[4]
PYTHON = ROOT / ".venv-peers" / "edx" / "bin" / "python"
PEER = ROOT / "tests" / "support" / "edx_peer.py"
SECRETS = {"EDX_SECRET": secrets.token_hex(32), "OUR_SECRET": secrets.token_hex(32)}
WAIT_S = 240.0  # for what has to come; nothing takes as long
API = ("POST /oauth2/access_token", "GET /api/v1/config/", "POST /api/v1/exam/",
       "GET /api/v1/exam/x/", "POST /api/v1/exam/x/attempt/", "GET /api/v1/exam/x/attempt/y/",
       "PATCH /api/v1/exam/x/attempt/y/", "DELETE /api/v1/exam/x/attempt/y/",
       "DELETE /api/v1/user/z/", "GET /api/v1/instructor/campus/",
       "GET /api/v1/instructor/campus/?jwt=a.b.c",
       "GET /api/v1/instructor/campus/exam/x/")  # fmt: skip


class OpenEdxPeer:
    """The program, and what it is called for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def call(self, name: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, *arguments]).encode() + b"\n")
        told = await self.read()
        assert "raised" not in told, told
        return told["result"]

    async def read(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            line = await self._process.stdout.readline()
        return json.loads(line)


def configured(settings: Callable[..., Config], lms_url: str | None, **more: Any) -> Config:
    url = more.pop("public_url", "http://127.0.0.1")
    edx = OpenEdx(
        client_id="campus",
        secret_env="EDX_SECRET",
        lms_url=lms_url,
        lms_client_id=lms_url and "voxwatch",
        lms_secret_env=lms_url and "OUR_SECRET",
        **more,
    )
    return settings(openedx=edx, public_url=url)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    monkeypatch.setattr(openedx, "LOOK_S", 0.1)
    for name, seconds in (("LOOK_S", 0.1), ("SETTLE_S", 0.5), ("AGAIN_S", 0.2)):
        monkeypatch.setattr(courier, name, seconds)


@asynccontextmanager
async def running(settings: Callable[..., Config], port: int) -> AsyncIterator[Any]:
    """The peer with a server at ``port``."""
    if not PYTHON.exists():
        pytest.skip("no edx-proctoring in .venv-peers/edx: scripts/setup installs it")
    given = (f"http://127.0.0.1:{port}", "campus", SECRETS["EDX_SECRET"], "voxwatch")
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-W", "ignore", PEER, *given, SECRETS["OUR_SECRET"],
        stdin=pipe, stdout=pipe, stderr=nothing, limit=1 << 20,
    )  # fmt: skip
    try:
        peer = OpenEdxPeer(process)
        lms_url = f"http://127.0.0.1:{(await peer.read())['port']}"
        config = configured(settings, lms_url, public_url=given[0])
        async with Server(msgspec.structs.replace(config, port=port), drain_s=1.0) as server:
            yield peer, server
    finally:
        process.kill()
        await process.wait()


async def until(look: Callable[[], Any], wanted: Any) -> None:
    async with asyncio.timeout(WAIT_S):
        while await look() != wanted:
            await asyncio.sleep(0.1)


async def sit(server: Server, link: str, pcm: bytes) -> None:
    """A candidate's page, which sends all that it hears."""
    async with connect(server.url, token=link) as stream:
        await stream.send(pcm)
        await stream.finalize()
        async for _ in stream:
            pass


async def test_an_exam_from_its_making_to_its_review(
    settings: Callable[..., Config], enrol: Any, pcm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(settings, free_port()) as (peer, server):
        exam = await peer.call("create_exam", "a/b/c", "block", "Oral", 30, None, True)
        external = (await peer.call("get_exam_by_id", exam))["external_id"]
        assert external  # of ours: the package would log and go on without
        assert (await peer.call("provider.get_proctoring_config"))["name"] == "voxwatch"
        assert (await peer.call("provider.get_exam", {"id": external}))["name"] == "Oral"

        attempt = await peer.call("create_exam_attempt", exam, 1, True)
        found = await peer.call("get_exam_attempt_by_id", attempt)
        assert found["status"] == "created"
        told = await peer.call("provider.get_attempt", found)
        (ours,) = await asyncio.to_thread(server.context.exams.exams)
        (candidate,) = await asyncio.to_thread(server.context.exams.roster, ours.id)
        assert (ours.name, candidate.name) == ("Oral", "Ada Byron")
        address, link = told["download_url"].split("#")
        assert address == f"{server.url}/candidate"
        assert link in told["instructions"][0]

        async def status() -> str:
            return str((await peer.call("get_exam_attempt_by_id", attempt))["status"])

        enrol(server, candidate.voiceprint, sounds_like="anna")
        await asyncio.to_thread(server.context.enrolled.refresh)
        await asyncio.to_thread(server.context.seats.refresh)
        await sit(server, link, pcm("anna", 20.0))
        await until(status, "ready_to_start")
        for state in ("started", "submitted"):
            await peer.call("update_attempt_status", attempt, state)
        await until(status, "verified")
        assert (await peer.call("reviews"))[0]["status"] == "Clean"
    ours = [record for record in caplog.records if record.name.startswith("voxwatch")]
    lines = "\n".join(record.getMessage() for record in ours)
    assert "PATCH /api/v1/exam/{exam}/attempt/{attempt}/: 200 ok, token openedx (" in lines
    for hidden in (*SECRETS.values(), "Ada", "ada@", candidate.voiceprint, link):
        assert hidden not in lines


async def test_an_impostor_is_suspicious_and_never_a_violation(
    settings: Callable[..., Config], enrol: Any, pcm: Any
) -> None:
    async with running(settings, free_port()) as (peer, server):
        exam = await peer.call("create_exam", "a/b/c", "block", "Oral", 30, None, True)
        attempt = await peer.call("create_exam_attempt", exam, 1, True)
        found = await peer.call("get_exam_attempt_by_id", attempt)
        link = (await peer.call("provider.get_attempt", found))["download_url"].split("#")[1]
        (ours,) = await asyncio.to_thread(server.context.exams.exams)
        (candidate,) = await asyncio.to_thread(server.context.exams.roster, ours.id)
        enrol(server, candidate.voiceprint, sounds_like="anna")
        await asyncio.to_thread(server.context.enrolled.refresh)
        await asyncio.to_thread(server.context.seats.refresh)
        await sit(server, link, pcm("anna", 10.0) + pcm("bert", 30.0))
        for state in ("started", "submitted"):
            await peer.call("update_attempt_status", attempt, state)

        async def reviewed() -> bool:
            return any(review["comments"] for review in await peer.call("reviews"))

        await until(reviewed, True)
        (review,) = await peer.call("reviews")
        assert review["status"] == "Suspicious"
        comment, state, start, stop, duration = review["comments"][0]
        assert state == "suspicious"
        assert "the expected one" in comment
        assert 0 <= start < stop
        assert duration == stop - start

        # The course team sees the same, and the report.
        course = ("a/b/c", {"id": "x", "full_name": "G", "email": "g@lms.example"})
        outer = (await peer.call("get_exam_by_id", exam))["external_id"]
        came = urlsplit(await peer.call("provider.get_instructor_url", *course, outer))
        first = await ask(server, "GET", f"{came.path}?{came.query}")
        headers = {"Cookie": first.headers["Set-Cookie"].partition(";")[0]}
        place = f"{came.path}exam/{outer}/attempt/{found['external_id']}/"

        async def shown() -> bool:
            page = await ask(server, "GET", place, headers=headers)
            return "<strong>suspicious</strong>" in page.text

        await until(shown, True)  # Open edX has it a moment before it has answered
        page = await ask(server, "GET", place, headers=headers)
        assert comment.partition("(")[0] in page.text
        report = await ask(server, "GET", f"{place}report/", headers=headers)
        assert report.status == 200
        assert "Ada Byron" in report.text


async def test_attempts_and_learners_are_removed(
    settings: Callable[..., Config], enrol: Any
) -> None:
    async with running(settings, free_port()) as (peer, server):
        exam = await peer.call("create_exam", "a/b/c", "block", "Oral", 30, None, True)
        attempt = await peer.call("create_exam_attempt", exam, 1, True)
        external = (await peer.call("get_exam_attempt_by_id", attempt))["external_id"]
        outer = (await peer.call("get_exam_by_id", exam))["external_id"]
        (ours,) = await asyncio.to_thread(server.context.exams.exams)
        (candidate,) = await asyncio.to_thread(server.context.exams.roster, ours.id)
        await peer.call("provider.mark_erroneous_exam_attempt", outer, external)
        assert await peer.call("remove_exam_attempt", attempt) is None
        assert await peer.call("provider.remove_exam_attempt", outer, external) is True  # gone
        enrol(server, candidate.voiceprint, sounds_like="anna")
        number = await peer.call("number_of", 1)
        assert number not in candidate.voiceprint
        enrol(server, number, sounds_like="bert")  # is nobody of Open edX's
        assert await peer.call("provider.retire_user", number) is True
        (candidate,) = await asyncio.to_thread(server.context.exams.roster, ours.id)
        assert candidate.forgotten
        left = server.context.store.profiles(server.context.store.now())
        assert [profile.name for profile in left] == [number]


async def test_course_teams_come_by_a_link_that_works_once(settings: Callable[..., Config]) -> None:
    user = {"id": "x", "full_name": "Grace Hopper", "email": "g@lms.example"}
    async with running(settings, free_port()) as (peer, server):
        exam = await peer.call("create_exam", "a/b/c", "block", "<Oral>", 30, None, True)
        await peer.call("create_exam_attempt", exam, 1, True)
        outer = (await peer.call("get_exam_by_id", exam))["external_id"]
        link = urlsplit(await peer.call("provider.get_instructor_url", "a/b/c", user))
        address = f"{link.path}?{link.query}"
        first = await ask(server, "GET", address)
        assert (first.status, first.headers["Location"]) == (303, link.path)
        assert (await ask(server, "GET", address)).status == 401
        cookie = first.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        headers = {"Cookie": cookie.partition(";")[0]}
        page = await ask(server, "GET", link.path, headers=headers)
        assert "&lt;Oral&gt;" in page.text
        assert "<Oral>" not in page.text
        attempts = await ask(server, "GET", f"{link.path}exam/{outer}/", headers=headers)
        assert "Ada Byron" in attempts.text
        (found,) = (one.split('/"')[0] for one in attempts.text.split('href="attempt/')[1:])
        place = f"{link.path}exam/{outer}/attempt/{found}/"
        assert "not yet" in (await ask(server, "GET", place, headers=headers)).text
        # Another exam, and another course, are not theirs.
        other = await peer.call("create_exam", "d/e/f", "block", "Other", 30, None, True)
        other_id = (await peer.call("get_exam_by_id", other))["external_id"]
        assert (
            await ask(server, "GET", f"{link.path}exam/{other_id}/", headers=headers)
        ).status == 404


@pytest.mark.parametrize("request_", API)
async def test_nobody_without_the_secret_is_let_in(
    settings: Callable[..., Config], request_: str
) -> None:
    method, path = request_.split()
    async with Server(configured(settings, None), drain_s=0.2) as server:
        for headers in ({}, {"Authorization": "JWT a.b.c"}, {"Cookie": "voxwatch-visit=a.b.c"}):
            response = await ask(server, method, path, b"{}", headers=headers)
            assert response.status == 401, request_
            assert json.loads(response.text)["error"]["code"] == "unauthorised"


async def test_without_settings_there_is_no_back_end(server: Server) -> None:
    for request_ in API:
        method, path = request_.split()
        assert (await ask(server, method, path, b"{}")).status == 404


@pytest.mark.parametrize("secret", ["", "short"])
async def test_a_server_without_a_good_secret_does_not_start(
    settings: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("EDX_SECRET", secret)
    with pytest.raises(ConfigError, match="EDX_SECRET") as caught:
        async with Server(configured(settings, None)):
            pass
    assert not secret or secret not in str(caught.value)
