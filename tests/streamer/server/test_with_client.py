"""The Python client against the real server, on lines that hold and that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from scripted_server import Line
from whole_streams import SWIFT, stream_all

from streamer.config import Config
from streamer.server.server import Server
from voxwatch_client import (
    ServerError,
    Timing,
    connect,
    control,
    enroll,
    messages,
    sync,
)
from voxwatch_client.messages import (
    Decision,
    Lag,
    Summary,
    Utterance,
)


@pytest.fixture
async def real(settings: Callable[..., Config]) -> AsyncIterator[Server]:
    async with Server(settings(), drain_s=1.0) as running:
        yield running


def unnumbered(told: list[Any]) -> list[Any]:
    """Events without what depends on when they were told."""
    timeless = {"seq": 0, "at_time": msgspec.UNSET}
    return [msgspec.structs.replace(e, **timeless) for e in told if not isinstance(e, Lag)]


async def test_the_real_server_says_the_same_on_a_line_that_breaks(
    real: Server, enrol: Any, pcm: Any
) -> None:
    enrol(real, "anna")
    call = pcm("anna", 12.0) + pcm("bert", 8.0)
    whole, reconnections = await stream_all(real.url, call, claim="anna", timing=Timing())
    assert reconnections == 0
    assert {e.state for e in whole if isinstance(e, Decision)} >= {"match", "mismatch"}
    async with Line(real.port).laid() as line:

        def cut(count: int) -> None:
            if count in (3, 11, 30):
                line.cut()
            if count == 20:
                line.silence()

        broken, reconnections = await stream_all(line.url, call, claim="anna", disturb=cut)
    assert unnumbered(broken) == unnumbered(whole)
    assert reconnections >= 2


async def test_marks_hold_from_their_sample_on_though_the_line_breaks(
    real: Server, enrol: Any, pcm: Any
) -> None:
    """The sound is sent faster than the server takes it, so that marks wait for their place."""
    enrol(real, "anna")
    async with (
        Line(real.port).laid() as line,
        connect(line.url, claim="anna", timing=SWIFT) as stream,
    ):
        await stream.send(pcm("anna", 2.0))
        await stream.turn()
        await stream.send(pcm("anna", 2.0, seed=1))
        await stream.mute(True)
        await stream.send(pcm("bert", 3.0))
        await stream.mute(False)
        await stream.reset()
        line.cut()
        await stream.send(pcm("anna", 2.0, seed=2))
        await stream.finalize()
        told = [event async for event in stream]
    turns = [(e.start, e.end) for e in told if isinstance(e, Utterance)]
    assert turns == [
        (pytest.approx(0.0, abs=0.2), 2.0),
        (2.0, 4.0),
        (7.0, pytest.approx(9.0, abs=0.2)),
    ]
    assert "the speaker so far was forgotten" in {e.reason for e in told if isinstance(e, Decision)}


async def test_a_person_enrols_on_the_real_server_and_is_found_there(
    real: Server, pcm: Any
) -> None:
    async with enroll(real.url, "anna", consent="2026-11") as enrolment:
        sending = asyncio.create_task(enrolment.send(pcm("anna", 30.0)))
        told = [event async for event in enrolment]
        await asyncio.wait([sending])
        assert sending.exception() is None or isinstance(sending.exception(), ServerError)
    assert isinstance(told[-1], messages.EnrolledAs)
    async with control(real.url) as client:
        (profile,) = await client.request("profiles")
    assert profile["name"] == "anna"
    with pytest.raises(ServerError, match="name-taken"):
        async with enroll(real.url, "anna", consent="2026-11"):
            pass


async def test_the_real_server_drains_and_the_stream_ends(
    real: Server, settings: Callable[..., Config], pcm: Any
) -> None:
    async with connect(real.url) as stream:
        await stream.send(pcm("anna", 3.0))
        await anext(stream)
        await real._drain()
        told = [event async for event in stream]
        assert isinstance(told[-1], Summary)


async def test_without_asyncio_it_is_the_same(real: Server, enrol: Any, pcm: Any) -> None:
    enrol(real, "anna")
    call = pcm("anna", 6.0)

    def talk() -> list[Any]:
        with sync.connect(real.url, claim="anna") as stream:
            assert stream.ready.claims == ("anna",)
            stream.send(call)
            stream.turn()
            stream.mute(True)
            stream.send(call)
            stream.mute(False)
            stream.reset()
            stream.finalize()
            return list(stream)

    def ask() -> list[str]:
        with sync.control(real.url) as client:
            return [profile["name"] for profile in client.request("profiles")]

    async with connect(real.url, claim="anna") as stream:
        await stream.send(call)
        await stream.turn()
        await stream.mute(True)
        await stream.send(call)
        await stream.mute(False)
        await stream.reset()
        await stream.finalize()
        expected = [event async for event in stream]
    assert [e.end for e in expected if isinstance(e, Utterance)] == [6.0]
    assert unnumbered(await asyncio.to_thread(talk)) == unnumbered(expected)
    assert await asyncio.to_thread(ask) == ["anna"]
