"""Telephone calls that lose their connection: the same call goes on, and no other takes it over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from phone_line import Followed, dialled, heard, of, send
from telephone import CALL, Twilio, encoded, frames

from streamer.config import Config
from streamer.server.server import Server
from streamer.wire.errors import WireError


async def test_a_call_that_comes_back_goes_on_where_it_was(
    guarded: Server, desk: Followed, enrolled: None, said: Any
) -> None:
    sound = encoded(said("anna", 6.0))
    call = Twilio(token="phone-secret", claim="anna")
    begun = [call.connected, call.start()]
    media = [call.media(at_ms, piece) for at_ms, piece in frames(sound)]
    async with dialled(guarded) as phone:
        await send(phone, [*begun, *media[:200]])
        await desk.wire.until("decision", state="match")
        phone.transport.abort()
    again = Twilio(token="phone-secret", claim="anna")
    again.stream = "MZ00000000000000000000000000000000"
    async with dialled(guarded) as phone:
        rest = [again.media(at_ms, piece) for at_ms, piece in frames(sound[32_000:])]
        await send(phone, [again.connected, again.start(), *rest, again.stop()])
        assert (await heard(phone))[1] == 1000
    told = await desk.closed()
    assert len(of(told, "opened")) == 1
    assert of(told, "summary")[0]["received_s"] > 2.5  # the second half alone is two seconds
    assert "mismatch" not in {one["state"] for one in of(told, "decision")}


async def test_two_connections_of_one_call_at_the_same_moment_are_one_stream(
    guarded: Server, desk: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a telephone system tries again while the server is still opening the stream."""
    enter = guarded.streams.admission.enter

    async def slowly() -> None:
        await asyncio.sleep(0.3)
        await enter()

    monkeypatch.setattr(guarded.streams.admission, "enter", slowly)
    call, other = Twilio(token="phone-secret"), Twilio(call="CA9", token="phone-secret")
    async with (
        dialled(guarded) as first,
        dialled(guarded) as second,
        dialled(guarded) as another,
    ):
        for phone, one in ((first, call), (second, call), (another, other)):
            await send(phone, [one.connected, one.start()])
        assert (await heard(first))[1:] == (1008, "taken-over")
        while len(guarded.streams) < 2:  # the other call's may still be opening
            await asyncio.sleep(0.01)
        assert len(guarded.streams) == 2
        await send(second, [call.stop()])
        await send(another, [other.stop()])
        assert (await heard(second))[1] == (await heard(another))[1] == 1000
    told = [*await desk.closed(), *await desk.closed()]
    assert sorted(one["label"] for one in of(told, "opened")) == sorted(["CA9", call.call])


async def test_a_call_whose_first_connection_cannot_open_it_is_opened_by_the_second(
    guarded: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter, tried = guarded.streams.admission.enter, [0]

    async def full_at_first() -> None:
        tried[0] += 1
        await asyncio.sleep(0.3)
        if tried[0] == 1:
            raise WireError("overloaded", "the server has all the streams that it takes")
        await enter()

    monkeypatch.setattr(guarded.streams.admission, "enter", full_at_first)
    call = Twilio(token="phone-secret")
    async with dialled(guarded) as first, dialled(guarded) as second:
        for phone in (first, second):
            await send(phone, [call.connected, call.start()])
        assert (await heard(first))[2] == "overloaded"
        await send(second, [call.stop()])
        assert (await heard(second))[1] == 1000
    assert tried == [2]


async def test_another_call_takes_over_nothing(guarded: Server, desk: Followed) -> None:
    first, second = Twilio(token="phone-secret"), Twilio(call="CA9", token="phone-secret")
    async with dialled(guarded) as phone:
        await send(phone, [first.connected, first.start()])
        await desk.wire.until("opened")
        phone.transport.abort()
    async with dialled(guarded) as phone:
        await send(phone, second.whole(encoded(bytes(3200))))
        await heard(phone)
    assert of(await desk.closed(), "opened")[-1]["label"] == "CA9"


async def test_a_call_that_does_not_come_back_is_judged_to_its_end(
    settings: Callable[..., Config], dial: Any
) -> None:
    config = settings(limits={"resume_s": 0.1})
    async with Server(config, drain_s=1.0) as server, dial(server, "/v1/monitor") as wire:
        await wire.until("ready")
        async with dialled(server) as phone:
            await send(phone, Twilio().whole(encoded(bytes(64_000)))[:-1])
            await phone.ping()
            phone.transport.abort()
        told = await Followed(wire).closed()
    assert of(told, "summary")
    assert of(told, "closed")[0]["code"] == 1006


async def test_after_a_restart_the_call_begins_anew_under_its_label(
    settings: Callable[..., Config], dial: Any, said: Any
) -> None:
    labels = []
    for _ in range(2):
        restart = contextlib.AsyncExitStack()
        server = await restart.enter_async_context(Server(settings(), drain_s=10.0))
        async with dial(server, "/v1/monitor") as wire, dialled(server) as phone:
            await wire.until("ready")
            await send(phone, Twilio().whole(encoded(said("anna", 3.0)))[:-1])
            labels.append((await wire.until("opened"))["label"])
            await wire.until("vad")
            ending = asyncio.create_task(restart.aclose())
            assert await heard(phone) == ([], 1001, "shutting-down")
            assert of(await Followed(wire).closed(), "summary")
            await ending
    assert labels == [CALL, CALL]
