"""A tool of a real OpenAI agent is called for the claimed speaker alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamer.server.server import Server

GATE = {"claim": "anna", "wait_s": 20.0}


@pytest.mark.parametrize(("who", "called"), [("anna", True), ("bert", False)])
async def test_a_tool_is_called_for_the_claimed_speaker_alone(
    server: Server, peer: Any, said: Any, who: str, called: bool
) -> None:
    (told,) = await peer("openai-agents", server.url, json.dumps(GATE), said(who, 3.0))
    assert told["called"] is called
    assert ("it is open" in told["told"]) is called
    assert ("not verified" in told["told"]) is not called


@pytest.mark.parametrize(("when_unsure", "called"), [("drop", False), ("pass", True)])
async def test_where_nobody_can_say_the_stated_default_holds(
    peer: Any, when_unsure: str, called: bool
) -> None:
    options = json.dumps({"claim": "anna", "wait_s": 0.2, "when_unsure": when_unsure})
    (told,) = await peer("openai-agents", "ws://127.0.0.1:9", options, "-")
    assert told["called"] is called


@pytest.mark.parametrize(("when_unsure", "called"), [("drop", False), ("pass", True)])
async def test_a_verdict_that_does_not_come_in_time_gets_the_stated_default(
    silent: str, peer: Any, said: Any, when_unsure: str, called: bool
) -> None:
    options = json.dumps({"claim": "anna", "wait_s": 0.3, "when_unsure": when_unsure})
    (told,) = await peer("openai-agents", silent, options, said("anna", 1.0))
    assert told["called"] is called


async def test_a_restart_in_the_middle_of_a_turn_is_survived(
    place: Any, peer: Any, said: Any, restart: Any
) -> None:
    await place.start()
    hers = said("anna", 3.0)
    files = [f"restart:{hers}", hers, said("bert", 3.0), hers]
    told = await peer("openai-agents", place.url, json.dumps(GATE), *files, at=restart)
    assert [one["called"] for one in told[1:]] == [True, False, True]
