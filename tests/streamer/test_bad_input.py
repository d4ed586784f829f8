"""Whatever a client does wrong has its own code and close code, and disturbs nobody else."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from streamer.config import Config
from streamer.server.server import Server

START = json.dumps({"type": "start"})
SECRET = "p3rs0nal"  # stands for a name or a token: must not reach the log


@pytest.fixture
async def beside(server: Server, dial: Any, pcm: Any) -> AsyncIterator[Callable[[], Any]]:
    """A well-behaved stream that runs meanwhile; it must end as if it were alone."""
    async with dial(server, encoding="pcm_s16le") as good:
        await good.hear()
        await good.sound(pcm("anna", 2.0))
        await good.until("vad")

        async def ends_well() -> None:
            await good.sound(pcm("anna", 2.0, seed=1))
            await good.say(type="finalize")
            assert await good.rest() == 1000
            assert good.seen[-1]["type"] == "summary"
            assert good.seen[-1]["received_s"] == pytest.approx(4.0)
            assert not good.of("error")

        yield ends_well


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


F32 = json.dumps({"type": "start", "encoding": "pcm_f32le"})
# What is sent, one message each; the code and the close code that have to follow.
CASES: dict[str, tuple[list[str | bytes], str, int]] = {
    "no JSON": ([SECRET], "bad-message", 1008),
    "no object": ([f'["{SECRET}"]'], "bad-start", 1008),
    "no start": ([json.dumps({"type": SECRET})], "bad-start", 1008),
    "unknown encoding": (
        [json.dumps({"type": "start", "encoding": SECRET})],
        "unknown-encoding",
        1008,
    ),
    "a rate of 0": ([json.dumps({"type": "start", "sample_rate": 0})], "bad-rate", 1008),
    "unknown parameter": ([json.dumps({"type": "start", SECRET: 1})], "bad-parameter", 1008),
    "unknown speaker": (
        [json.dumps({"type": "start", "claim": SECRET})],
        "unknown-speaker",
        1008,
    ),
    "too many claims": (
        [json.dumps({"type": "start", "claim": [f"{i}" for i in range(65)]})],
        "too-many-claims",
        1008,
    ),
    "unknown session": (
        [json.dumps({"type": "start", "session": SECRET, "resume_from": 1})],
        "unknown-session",
        1008,
    ),
    "sound before the start": ([b"\0\0"], "binary-before-start", 1003),
    "text for sound": ([START, SECRET], "bad-message", 1008),
    "unknown control": ([START, json.dumps({"type": SECRET})], "unknown-control", 1008),
    "second start": ([START, START], "second-start", 1008),
    "not a number": ([F32, floats(0, float("nan"))], "bad-sound", 1008),
    "infinity": ([F32, floats(float("inf"))], "bad-sound", 1008),
}


@pytest.mark.parametrize("case", CASES)
async def test_each_mistake_has_its_code(
    server: Server, dial: Any, beside: Any, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    caplog.set_level(logging.DEBUG, "voxwatch")
    messages, code, close_code = CASES[case]
    async with dial(server) as client:
        for message in messages:
            await client.connection.send(message)
        assert await client.rest() == close_code
    error = client.seen[-1]
    assert (error["type"], error["code"]) == ("error", code)
    assert error["message"]
    assert client.connection.close_reason == code
    numbers = [m["seq"] for m in client.seen]
    assert numbers == list(range(len(numbers)))
    await beside()
    logged = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("voxwatch"))
    assert code in logged
    assert SECRET not in logged


async def test_a_message_of_100_mb_is_refused_before_it_is_read(
    server: Server, dial: Any, beside: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "voxwatch")
    async with dial(server, claim="") as client:
        await client.hear()
        head = bytes([0x82, 0xFF]) + struct.pack("!Q", 100_000_000) + b"\0\0\0\0"
        client.connection.transport.write(head)  # and not one byte of it
        assert await client.rest() == 1009
        assert client.seen[-1]["code"] == "message-too-big"
    await beside()
    assert "message-too-big" in caplog.text


async def test_a_message_in_too_big_fragments_is_refused(
    settings: Callable[..., Config], dial: Any
) -> None:
    # The client's library is given no message of its own to send: where the server breaks one off,
    # it aborts a transport that has lost its loop already, and raises AttributeError for that.
    whole = b"".join(
        Frame(opcode, bytes(4_000), fin=False).serialize(mask=True)
        for opcode in (Opcode.BINARY, Opcode.CONT, Opcode.CONT)
    )
    async with Server(settings(limits={"message_bytes": 10_000})) as server, dial(server) as client:
        await client.connection.send(START)
        await client.hear()
        client.connection.transport.write(whole)
        assert await client.rest() == 1009
        assert client.seen[-1]["code"] == "message-too-big"


async def test_text_that_is_not_utf8(server: Server, dial: Any, beside: Any) -> None:
    for first in ([], [START]):
        async with dial(server) as client:
            for message in first:
                await client.connection.send(message)
            frame = Frame(Opcode.TEXT, b'{"type": "\xff\xfe"}')
            client.connection.transport.write(frame.serialize(mask=True))
            assert await client.rest() == 1007
            assert client.seen[-1]["code"] == "text-not-utf8"
    await beside()


async def test_odd_bytes_are_no_mistake(server: Server, dial: Any, pcm: Any) -> None:
    async with dial(server, claim="") as client:
        await client.hear()
        await client.sound(pcm("anna", 2.0), 333)
        await client.connection.send(b"\1")
        await client.say(type="finalize")
        assert await client.rest() == 1000
        assert client.seen[-1]["received_s"] == pytest.approx(2.0)


async def test_a_million_claims_in_one_message(server: Server, dial: Any, beside: Any) -> None:
    async with dial(server) as client:
        await client.say(type="start", claim=",".join("abc" for _ in range(200_000)))
        assert await client.rest() == 1008
        assert client.seen[-1]["code"] == "too-many-claims"
    await beside()


@pytest.mark.parametrize("path", ["/v1/enroll", "/v1/control", "/v1/monitor"])
async def test_sound_where_none_is_due(server: Server, dial: Any, path: str) -> None:
    async with dial(server, path) as client:
        await client.connection.send(b"\0\0")
        assert await client.rest() == 1003
        assert client.seen[-1]["code"] in ("binary-before-start", "wrong-frame")


@pytest.mark.parametrize("query", [{"encoding": "mp3"}, {"sample_rate": "0"}, {"x": "1"}])
async def test_mistakes_in_the_address(server: Server, dial: Any, query: dict[str, str]) -> None:
    async with dial(server, **query) as client:
        assert await client.rest() == 1008
        assert client.seen[-1]["code"] in ("unknown-encoding", "bad-rate", "bad-parameter")


async def test_nothing_at_all(settings: Callable[..., Config], dial: Any, pcm: Any) -> None:
    limits = {"idle_s": 3.0, "start_s": 0.3}
    async with Server(settings(limits=limits)) as server:
        async with dial(server) as client:
            assert await client.rest() == 1008
            assert client.seen[-1]["code"] == "idle"
        async with dial(server, claim="") as client:
            assert await client.rest() == 1008
            kinds = [m["type"] for m in client.seen]
            assert [one for one in kinds if one in ("ready", "summary", "error")] == [
                "ready",
                "error",
                "summary",
                "error",
            ]
            assert [m["code"] for m in client.of("error")] == ["stream-ends-soon", "idle"]
            assert "limits.idle_s" in client.of("error")[0]["message"]
        async with dial(server, claim="") as client:
            for _ in range(4):
                await asyncio.sleep(0.9)
                await client.say(type="keepalive")
            await client.say(type="finalize")
            assert await client.rest() == 1000


async def test_a_stream_may_be_too_long(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    limits = {"stream_s": 2.0}
    async with Server(settings(limits=limits)) as server, dial(server, claim="") as client:
        await client.sound(pcm("anna", 3.0))
        await client.until("error", code="stream-ends-soon")
        await client.sound(bytes(3200))  # which is on its way when the server ends it
        assert await client.rest() == 1008
        assert [message["type"] for message in client.seen[-2:]] == ["summary", "error"]
        assert client.seen[-1]["code"] == "stream-too-long"
        assert client.of("summary")[0]["speech_s"] > 0


async def test_a_stream_is_told_before_it_is_too_long(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    limits = {"stream_s": 5.0}
    async with Server(settings(limits=limits)) as server, dial(server, claim="") as client:
        await client.sound(pcm("anna", 4.6), 1600)
        told = await client.until("error")
        assert told["code"] == "stream-ends-soon"
        assert "limits.stream_s" in told["message"]
        await client.say(type="finalize")
        assert await client.rest() == 1000
        assert len(client.of("error")) == 1


async def test_an_enrolment_may_be_too_long(settings: Callable[..., Config], dial: Any) -> None:
    limits = {"stream_s": 2.0}
    async with Server(settings(limits=limits)) as server, dial(server, "/v1/enroll") as client:
        consent = {"given": True, "text_version": "2026-11"}
        await client.say(type="start", name="anna", consent=consent)
        await client.sound(bytes(96_000))
        assert await client.rest() == 1008
        assert client.seen[-1]["code"] == "stream-too-long"


async def test_a_client_may_send_too_much(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    async with (
        Server(settings(limits={"audio_s_per_client_hour": 3.0})) as server,
        dial(server, claim="") as running,
    ):
        await running.sound(pcm("anna", 2.0))
        async with dial(server, claim="") as client:
            await client.sound(pcm("anna", 2.0))
            await client.say(type="finalize")
            assert await client.rest() == 1000
        async with dial(server, claim="") as client:
            assert await client.rest() == 1008
            assert client.seen[-1]["code"] == "audio-quota"
            assert "limits.audio_s_per_client_hour" in client.seen[-1]["message"]
        await running.sound(pcm("anna", 1.0))  # it goes on, whoever used up the quota
        await running.say(type="finalize")
        assert await running.rest() == 1000
        assert running.seen[-1]["received_s"] == pytest.approx(3.0)


async def test_beyond_the_quota_a_stream_is_no_faster_than_real_time(
    settings: Callable[..., Config], dial: Any
) -> None:
    limits = {"audio_s_per_client_hour": 3.0}
    async with Server(settings(limits=limits)) as server, dial(server, claim="") as client:
        await client.hear()
        (live,) = server.streams.all()
        await client.sound(bytes(32_000 * 20), 32_000)
        await asyncio.sleep(1.0)
        assert 3.0 <= live.session.received_s < 12.0
        client.connection.transport.abort()


async def test_messages_without_sound_count(settings: Callable[..., Config], dial: Any) -> None:
    limits = {"audio_s_per_client_hour": 3.0}
    async with Server(settings(limits=limits)) as server, dial(server, claim="") as client:
        for _ in range(4000):
            await client.connection.send(b"")
        await client.say(type="finalize")
        assert await client.rest() == 1000
        async with dial(server, claim="") as other:
            assert await other.rest() == 1008
            assert other.seen[-1]["code"] == "audio-quota"


async def test_there_may_be_too_many(settings: Callable[..., Config], dial: Any) -> None:
    limits = {"streams": 2, "connections": 3}
    async with Server(settings(limits=limits)) as server, AsyncExitStack() as stack:
        for _ in range(2):
            await (await stack.enter_async_context(dial(server, claim=""))).hear()
        async with dial(server, claim="") as client:
            assert await client.rest() == 1013
            assert client.seen[-1]["code"] == "overloaded"
        await stack.enter_async_context(dial(server, "/v1/monitor"))
        with pytest.raises(InvalidStatus) as caught:
            await stack.enter_async_context(dial(server, "/v1/monitor"))
        assert caught.value.response.status_code == 503


async def test_sockets_that_say_nothing_are_bounded(
    settings: Callable[..., Config], dial: Any
) -> None:
    limits = {"connections": 3, "start_s": 0.5}
    async with Server(settings(limits=limits)) as server:
        ends = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(7)]
        try:
            async with asyncio.timeout(5):
                with suppress(ConnectionError):
                    assert await ends[6][0].read() == b""  # one too many: cut off at once
                for reader, _ in ends[:6]:  # the handshake did not come in time
                    with suppress(ConnectionError):
                        await reader.read()
        finally:
            for _, writer in ends:
                writer.close()
        async with dial(server, claim="") as client:
            assert (await client.hear())["type"] == "ready"
