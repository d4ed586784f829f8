"""A control connection that has shown several tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from server_requests import bearer, token

from streamer.config import Config
from streamer.server import control as control_module
from streamer.server.auth import Role, Token
from streamer.server.server import Server

TOKENS = (token("boss", "admin"), token("desk", "stream", "monitor"))


async def test_an_act_is_noted_for_the_token_that_allowed_it(
    settings: Callable[..., Config], dial: Any, enrol: Any
) -> None:
    async with Server(settings(tokens=TOKENS)) as server:
        enrol(server, "anna")
        enrol(server, "bert")
        async with dial(server, "/v1/control", headers=bearer("boss")) as control:
            assert await control.ask(type="authenticate", token="desk")
            assert await control.ask(type="export", name="anna")
            assert await control.ask(type="delete", name="bert") == {}
        acts = server.context.store.acts()
    who = {act.act: act.who.partition(" (")[0] for act in acts}
    assert (who["export"], who["delete"]) == ("token boss", "token boss")


async def test_a_token_that_is_shown_again_and_again_is_kept_once(
    settings: Callable[..., Config], dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Kept(control_module.Control):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr("streamer.server.server.Control", Kept)
    async with (
        Server(settings(tokens=TOKENS)) as server,
        dial(server, "/v1/control", headers=bearer("boss")) as control,
    ):
        for _ in range(5):
            assert await control.ask(type="authenticate", token="desk")
        assert len(made[0]._grants) == 2


def due(secret: str, *roles: Role) -> Token:
    """A token that expires in two days and some."""
    expires = datetime.now(UTC) + timedelta(days=2, hours=1)
    return msgspec.structs.replace(token(secret, *roles), expires=expires)


async def test_who_may_see_it_is_told_which_tokens_expire_soon(
    settings: Callable[..., Config], dial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = (token("boss", "admin"), due("desk", "monitor"), due("bus", "stream"))
    async with Server(settings(tokens=tokens)) as server:
        own = {"boss": [("desk", False), ("bus", False)], "desk": [("desk", True)]}
        for secret, expected in own.items():
            async with dial(server, "/v1/control", headers=bearer(secret)) as control:
                told = (await control.ask(type="status"))["expiring_tokens"]
            assert [(one["name"], one["own"]) for one in told] == expected
        async with dial(server, "/v1/control") as control:
            assert "expiring_tokens" not in await control.ask(type="status")
    logged = [line for line in caplog.messages if "expires in" in line]
    assert [line.split()[1] for line in logged] == ["desk", "bus"]
    assert "voxwatch token new" in logged[0]
