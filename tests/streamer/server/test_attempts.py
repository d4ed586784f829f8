"""How often somebody may try to be taken for a person, whatever they try it by."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from server_requests import bearer, token
from websockets.exceptions import ConnectionClosed

from streamer.config import Config
from streamer.server.server import Server


async def test_a_claim_can_be_tried_so_often(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any
) -> None:
    tokens = (token("s", "stream"), token("other", "stream"))
    config = settings(tokens=tokens, limits={"attempts_per_hour": 2})
    async with Server(config, drain_s=0.2) as server:
        enrol(server, "anna")
        for name in ("anna", "bert", "bert"):
            async with dial(server, claim="anna", headers=bearer("s")) as client:
                await client.sound(pcm(name, 3.0))  # one turn
                await client.say(type="finalize")
                assert await client.rest() == 1000
        async with dial(server, claim="anna", headers=bearer("s")) as client:
            assert await client.rest() == 1008
            assert client.seen[-1]["code"] == "too-many-attempts"
        async with dial(server, claim="anna", headers=bearer("other")) as client:
            assert (await client.hear())["type"] == "ready"


async def until_decided(client: Any, state: str) -> None:
    while (await client.until("decision"))["state"] != state:
        pass


@pytest.mark.parametrize("scores", [True, False])
async def test_a_long_stream_cannot_try_for_hours(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any, scores: bool
) -> None:
    tokens, silence = (token("s", "stream", scores=scores),), bytes(48_000)
    config = settings(tokens=tokens, limits={"attempts_per_hour": 4})
    async with Server(config, drain_s=0.2) as server:
        enrol(server, "anna")
        async with dial(server, claim="anna", headers=bearer("s")) as client:
            for seed in range(9):
                with contextlib.suppress(ConnectionClosed):
                    await client.sound(pcm("bert", 3.0, seed=seed) + silence)
            assert await client.rest() == 1008
        turns = client.of("utterance")
        assert [turn["state"] for turn in turns] == ["mismatch"] * 4
        errors = [message["code"] for message in client.of("error")]
        assert errors == ["stream-ends-soon", "too-many-attempts"]
        assert client.seen.index(client.of("error")[0]) < client.seen.index(turns[3])
        assert [message["type"] for message in client.seen[-2:]] == ["summary", "error"]
        assert client.seen[-2]["decisions"]["mismatch"] >= 1
        async with dial(server, claim="anna", headers=bearer("s")) as client:
            assert await client.rest() == 1008
            assert client.seen[-1]["code"] == "too-many-attempts"


async def test_somebody_with_visitors_goes_on(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any
) -> None:
    tokens, silence = (token("s", "stream"),), bytes(48_000)
    config = settings(tokens=tokens, limits={"attempts_per_hour": 3})
    async with Server(config, drain_s=0.2) as server:
        enrol(server, "anna")
        async with dial(server, claim="anna", headers=bearer("s")) as client:
            for seed in range(3):
                for name in ("anna", "bert", "bert", "anna"):
                    await client.sound(pcm(name, 3.0, seed=seed) + silence)
            await client.say(type="finalize")
            assert await client.rest() == 1000
        states = [turn["state"] for turn in client.of("utterance")]
        assert states.count("mismatch") == 6


async def test_a_reset_is_another_try(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any
) -> None:
    config = settings(tokens=(token("s", "stream"),), limits={"attempts_per_hour": 2})
    async with Server(config, drain_s=0.2) as server:
        enrol(server, "anna")
        async with dial(server, claim="anna", headers=bearer("s")) as client:
            await client.sound(pcm("bert", 6.0))
            await until_decided(client, "mismatch")
            await client.say(type="reset")
            await client.sound(pcm("bert", 6.0))
            await until_decided(client, "insufficient")
            await until_decided(client, "mismatch")
            await client.say(type="reset")
            assert await client.rest() == 1008
            assert client.seen[-1]["code"] == "too-many-attempts"
