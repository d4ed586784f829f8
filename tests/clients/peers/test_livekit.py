"""A real LiveKit agent answers the claimed speaker alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamer.server.server import Server


async def test_the_claimed_speaker_alone_is_answered(server: Server, peer: Any, said: Any) -> None:
    files = [said("anna", 3.0), said("bert", 3.0), said("anna", 3.0)]
    gate = json.dumps({"claim": "anna", "wait_s": 20.0})
    (told,) = await peer("livekit", server.url, gate, *files)
    assert told["speakers"] == [
        ["turn 1", "anna", True],
        ["turn 2", None, False],
        ["turn 3", "anna", True],
    ]
    assert told["asked"] == ["turn 1", "turn 3"]


@pytest.mark.parametrize(("when_unsure", "asked"), [("drop", []), ("pass", ["turn 1"])])
async def test_where_nobody_can_say_the_stated_default_holds(
    peer: Any, said: Any, when_unsure: str, asked: list[str]
) -> None:
    gate = json.dumps({"claim": "anna", "wait_s": 0.2, "when_unsure": when_unsure})
    (told,) = await peer("livekit", "ws://127.0.0.1:9", gate, said("anna", 2.0))
    assert told["asked"] == asked


@pytest.mark.parametrize(("when_unsure", "asked"), [("drop", []), ("pass", ["turn 1"])])
async def test_a_verdict_that_does_not_come_in_time_gets_the_stated_default(
    silent: str, peer: Any, said: Any, when_unsure: str, asked: list[str]
) -> None:
    gate = json.dumps({"claim": "anna", "wait_s": 0.3, "when_unsure": when_unsure})
    (told,) = await peer("livekit", silent, gate, said("anna", 2.0))
    assert told["asked"] == asked
    assert told["speakers"] == [["turn 1", None, bool(asked)]]


async def test_a_restart_in_the_middle_of_a_turn_is_survived(
    place: Any, peer: Any, said: Any, restart: Any
) -> None:
    await place.start()
    hers = said("anna", 3.0)
    gate = json.dumps({"claim": "anna", "wait_s": 20.0})
    files = [f"restart:{hers}", said("bert", 3.0), hers]
    (told,) = await peer("livekit", place.url, gate, *files, at=restart)
    assert told["speakers"] == [
        ["turn 1", None, False],
        ["turn 2", None, False],
        ["turn 3", "anna", True],
    ]
    assert told["asked"] == ["turn 3"]
