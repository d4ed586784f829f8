"""Enrolment by what was said to the proxy before, and the keeping of it."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
from satellite import proxied, transcribed
from typer.testing import CliRunner
from wyoming.asr import Transcript

from streamer.cli import app
from streamer.server.server import Server
from voxwatch_client import past_commands
from voxwatch_client.errors import ClientError
from voxwatch_client.past_commands import PastCommand, PastCommands, ask, places


async def enrolled_by_command(uri: str, server: Server, *more: str) -> Any:
    given = ["wyoming", "enroll", "bert", "--uri", uri, "--server", server.url, *more]
    return await asyncio.to_thread(CliRunner().invoke, app, given)


async def test_a_person_is_enrolled_by_what_they_said_before(server: Server, pcm: Any) -> None:
    async with proxied(server.url, when_unsure="drop") as uri:
        for seed in range(4):
            quiet = bytes(16_000)
            (told,) = await transcribed(uri, quiet + pcm("bert", 5.0, seed=seed) + quiet)
            assert Transcript.from_event(told).text == ""
        await transcribed(uri, pcm("anna", 3.0))
        done = await enrolled_by_command(uri, server, "--last", "5", "--consent")
        assert done.exit_code == 0, done.output
        assert done.output.count("used: ") == 4
        assert done.output.count("by anna") == 1
        assert "bert is enrolled" in done.output
    enrolled = server.context.store.profiles(0.0)
    assert {profile.name: profile.prototypes for profile in enrolled} == {"anna": 1, "bert": 1}


async def test_what_the_server_refuses_is_told_and_nobody_is_enrolled(
    server: Server, pcm: Any
) -> None:
    async with proxied(server.url) as uri:
        await transcribed(uri, pcm("bert", 3.0))
        done = await enrolled_by_command(uri, server, "--consent")
        assert done.exit_code == 1
        assert "too-short" in done.output
        done = await enrolled_by_command(uri, server)
        assert "nobody can be asked for consent here" in str(done.exception)
    assert [one.name for one in server.context.store.profiles(0.0)] == ["anna"]


async def test_only_this_user_can_ask_and_nothing_is_left_behind(
    server: Server, own_folder: Path
) -> None:
    async with proxied(server.url) as uri:
        (socket_there,) = own_folder.iterdir()
        assert stat.S_ISSOCK(socket_there.stat().st_mode)
        assert stat.S_IMODE(own_folder.stat().st_mode) == 0o700
        assert await ask(uri, 5) == []
    assert list(own_folder.iterdir()) == []
    with pytest.raises(ClientError, match="no proxy of this user"):
        await ask(uri, 5)


async def test_nothing_is_kept_where_that_is_asked_or_the_folder_is_open_to_others(
    server: Server, pcm: Any, own_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with proxied(server.url, keep=0) as uri:
        await transcribed(uri, pcm("bert", 1.0))
        with pytest.raises(ClientError, match="no proxy of this user"):
            await ask(uri, 5)
    own_folder.mkdir(exist_ok=True)
    own_folder.chmod(0o755)
    async with proxied(server.url) as uri:
        await transcribed(uri, pcm("bert", 1.0))
        with pytest.raises(ClientError, match="not a folder of this user alone"):
            places(uri)
    assert any("no commands are kept" in record.getMessage() for record in caplog.records)


async def test_commands_are_forgotten_by_number_and_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_commands, "KEPT_S", 0.05)
    past = PastCommands(2)
    for number in range(3):
        past.add(PastCommand(at=number, rate=16_000, channels=1, speaker=None, pcm=b""))
    assert [command.at for command in past.last(5)] == [1, 2]
    assert [command.at for command in past.last(1)] == [2]
    async with asyncio.timeout(10):
        while past.last(5):
            await asyncio.sleep(0.01)


def test_the_first_channel_is_the_one_that_counts() -> None:
    stereo = PastCommand(at=0, rate=2, channels=2, speaker=None, pcm=b"aaAAbbBBcc")
    assert stereo.mono == b"aabb"
    assert stereo.seconds == 1.25
