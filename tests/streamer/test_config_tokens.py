"""Tokens of a file that changes while a server runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from server_requests import bearer, token
from websockets.exceptions import InvalidStatus

from streamer.config import Config
from streamer.config_sources import TokenFile
from streamer.server.server import Server

A, B = token("a", "stream", "monitor"), token("b", "stream")


def written(path: Path, *names: str, broken: str = "") -> None:
    tables = [
        f'[[tokens]]\nname = "{t.name}"\nroles = ["stream", "monitor"]\nsha256 = "{t.sha256}"\n'
        for t in (token(name, "stream") for name in names)
    ]
    new = path.with_suffix(".new")
    new.write_text("\n".join(tables) + broken)
    os.replace(new, path)


def test_tokens_are_read_again_when_the_file_has_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "voxwatch.toml"
    written(path, "a")
    tokens = TokenFile(path)
    assert tokens() is None
    written(path, "a", "b")
    assert tokens() is None
    assert [t.name for t in tokens() or ()] == ["a", "b"]
    assert tokens() is None
    written(path, broken="port = ")
    assert tokens() is None
    assert tokens() is None  # they stay as they are, and that is said
    assert "stay as they are" in caplog.text
    written(path, "b")
    assert tokens() is None
    assert [t.name for t in tokens() or ()] == ["b"]


def test_a_file_that_is_just_being_written_takes_nobodys_token(tmp_path: Path) -> None:
    path = tmp_path / "voxwatch.toml"
    written(path, "a")
    tokens = TokenFile(path)
    whole = path.read_text()
    path.write_text("")
    assert tokens() is None
    path.write_text(whole)
    assert tokens() is None
    assert [t.name for t in tokens() or ()] == ["a"]


def test_without_a_file_nothing_changes() -> None:
    assert TokenFile(None)() is None


async def test_a_token_that_is_taken_out_ends_its_connections_and_no_others(
    settings: Callable[..., Config], dial: Any
) -> None:
    new: list[Any] = []
    config = settings(tokens=(A, B))
    async with Server(config, drain_s=0.2, tokens=lambda: new.pop() if new else None) as server:
        async with (
            dial(server, claim="", headers=bearer("a")) as stream,
            dial(server, "/v1/monitor", headers=bearer("a")) as monitor,
            dial(server, "/v1/control", headers=bearer("a")) as control,
            dial(server, claim="", headers=bearer("b")) as other,
        ):
            assert (await stream.hear())["type"] == "ready"
            assert (await other.hear())["type"] == "ready"
            assert await control.ask(type="streams")
            new.append((B,))
            for client in (stream, monitor, control):
                assert await client.rest() == 1008
                assert client.seen[-1]["code"] == "unauthorised"
            await other.say(type="finalize")
            assert await other.rest() == 1000
        with pytest.raises(InvalidStatus):
            async with dial(server, claim="", headers=bearer("a")):
                pass
