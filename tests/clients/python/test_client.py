"""The client over real sockets, against a server that notes every byte, and a line that breaks.

The real one is in tests/streamer/server/test_with_client.py.
"""

# Long: all of a client, on lines that hold and that break; each part is short.

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import to_builtins
from scripted_server import STEP_BYTES, STEP_S, Line, Scripted, serving
from websockets.asyncio.server import ServerConnection, serve
from whole_streams import SWIFT, stream_all

from voxwatch_client import (
    ConnectionFailed,
    ServerError,
    Timing,
    connect,
    control,
    enroll,
    inbox,
    messages,
    monitor,
    opening,
    sync,
)
from voxwatch_client.gate import SpeakerGate
from voxwatch_client.messages import (
    Failure,
    Progress,
    Quality,
    Refused,
    Summary,
)


def sound(seconds: float, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(int(seconds * 32_000))


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    async with serving(scripted):
        yield scripted


@pytest.fixture
async def line(server: Scripted) -> AsyncIterator[Line]:
    async with Line(int(server.url.rpartition(":")[2])).laid() as line:
        yield line


def check_complete(server: Scripted, pcm: bytes, told: list[Any]) -> None:
    """Not a byte and not an event too few or too many."""
    assert server.only.received == pcm
    assert [event.seq for event in told] == list(range(1, len(server.only.said) + 1))
    steps = [e.t for e in told if isinstance(e, Quality)]
    assert steps == pytest.approx([STEP_S * (i + 1) for i in range(len(pcm) // STEP_BYTES)])
    assert isinstance(told[-1], Summary)


# On a line that holds.


async def test_sound_goes_out_and_events_come_back(server: Scripted) -> None:
    pcm = sound(5.03)
    told, reconnections = await stream_all(server.url, pcm)
    check_complete(server, pcm, told)
    assert reconnections == 0
    assert server.controls == [{"type": "finalize"}]


async def test_the_start_says_what_was_asked_and_nothing_else(server: Scripted) -> None:
    options: dict[str, Any] = {"encoding": "mulaw", "sample_rate": 8000, "hop_s": 0.25}
    async with connect(server.url, claim=["alice", "bob"], token="secret", **options) as stream:
        assert stream.ready.mode == "changes"
        assert to_builtins(stream.ready.limits) == to_builtins(server.limits)
    (start,) = server.starts
    assert start == {
        "type": "start",
        "claim": ["alice", "bob"],
        "channels": 1,
        "channel": 0,
        "label": "",
        **options,
    }
    assert server.headers == ["Bearer secret"]  # not in the address, which logs keep


@pytest.mark.parametrize("claim", [None, (), []])
async def test_no_claim_asks_who_it_is(server: Scripted, claim: Any) -> None:
    async with connect(server.url, claim=claim) as stream:
        await stream.finalize()
    assert server.starts[0]["claim"] == []


def test_a_recording_without_a_claim_is_sent_and_a_gate_without_one_is_refused() -> None:
    with pytest.raises(ConnectionFailed, match="no verdict"):
        sync.verify("ws://127.0.0.1:1", b"", claim=None)
    with pytest.raises(ValueError, match="say who may be heard"):
        SpeakerGate("ws://127.0.0.1:1", claim=None)  # type: ignore[arg-type]


async def test_all_can_be_sent_before_the_first_event_is_read(server: Scripted) -> None:
    pcm = sound(60)
    async with connect(server.url) as stream:
        await stream.send(pcm)
        await stream.finalize()
        check_complete(server, pcm, [event async for event in stream])


async def test_sending_waits_for_a_server_that_is_busy(server: Scripted) -> None:
    server.may_take.clear()
    pcm = sound(60)
    async with connect(server.url, timing=Timing(buffer_s=12)) as stream:
        sending = asyncio.create_task(stream.send(pcm))
        while stream._sound.room or not stream._sound.sent:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not sending.done()
        assert stream._sound.end == 12 * 32_000
        assert stream._sound.sent <= 10 * 32_000  # what the server may hold, and no more
        server.may_take.set()
        await sending
        await stream.finalize()
        check_complete(server, pcm, [event async for event in stream])


async def test_leaving_early_ends_the_stream_on_the_server(server: Scripted) -> None:
    async with connect(server.url) as stream:
        await stream.send(sound(1))
        await anext(stream)
    assert server.controls == [{"type": "close"}]


async def test_no_sound_for_a_while_is_said_to_be_intended() -> None:
    server = Scripted(idle_s=0.15)
    async with serving(server), connect(server.url) as stream:
        while len(server.controls) < 3:
            await asyncio.sleep(0.01)
        assert {asked["type"] for asked in server.controls} == {"keepalive"}
        assert stream.reconnections == 0


async def test_settings_change_and_are_confirmed(server: Scripted) -> None:
    async with connect(server.url) as stream:
        await stream.configure(claim="bob", miss=0.1)
        told = await anext(stream)
        assert isinstance(told, messages.Configured)
        assert told.claims == ("bob",)
    sent = {k: v for k, v in server.controls[0].items() if v is not None}
    assert sent == {"type": "configure", "claim": "bob", "miss": 0.1}


async def test_after_the_end_of_the_sound_no_more_is_taken(server: Scripted) -> None:
    async with connect(server.url) as stream:
        await stream.finalize()
        with pytest.raises(RuntimeError, match="no more can follow"):
            await stream.send(b"00")


# What the server refuses.


async def test_a_refused_start_says_why(server: Scripted) -> None:
    server.refuse = Failure(seq=0, t=0, code="unknown-speaker", message="nobody is called eve")
    with pytest.raises(ServerError, match=r"nobody is called eve \(unknown-speaker\)") as caught:
        async with connect(server.url, claim="eve"):
            pass
    assert caught.value.code == "unknown-speaker"


async def test_an_error_later_ends_the_events_and_the_sending(server: Scripted) -> None:
    async with connect(server.url) as stream:
        await stream.send(sound(0.3))
        told = [await anext(stream) for _ in range(3)]
        server.fail_next = Failure(t=0.3, code="audio-quota", message="come back in an hour")
        await stream.send(b"00")
        assert [event.seq for event in told] == [1, 2, 3]
        with pytest.raises(ServerError, match="come back in an hour"):
            await anext(stream)
        with pytest.raises(ServerError, match="come back in an hour"):
            await stream.send(b"00")


async def test_a_window_that_failed_is_an_event_and_no_end(server: Scripted) -> None:
    async with connect(server.url) as stream:
        await stream.send(sound(0.1))
        await anext(stream)
        server.fail_next = Failure(t=0, code="window-failed", message="the model failed")
        await stream.send(sound(0.1, seed=1))
        failed, step = await anext(stream), await anext(stream)
        assert isinstance(failed, Failure)
        assert isinstance(step, Quality)


# On a line that breaks.


async def test_nothing_is_lost_or_doubled_when_the_line_is_cut(
    server: Scripted, line: Line
) -> None:
    pcm = sound(40.01)

    def cut(count: int) -> None:
        if count % 57 == 0:
            line.cut()

    told, reconnections = await stream_all(line.url, pcm, disturb=cut)
    check_complete(server, pcm, told)
    assert reconnections >= 3
    assert len(server.sessions) == 1


async def test_nothing_is_lost_on_a_line_that_goes_dead(server: Scripted, line: Line) -> None:
    pcm = sound(40)

    def silence(count: int) -> None:
        if count in (30, 200):
            line.silence()

    told, reconnections = await stream_all(line.url, pcm, disturb=silence)
    check_complete(server, pcm, told)
    assert reconnections == 2


async def test_a_dead_line_is_noticed_even_when_no_ping_can_be_sent(
    server: Scripted, line: Line
) -> None:
    # 10 s of sound of eight channels at 192 kHz is more than any socket takes.
    options: dict[str, Any] = {"encoding": "pcm_f32le", "sample_rate": 192_000, "channels": 8}
    async with connect(line.url, timing=SWIFT, **options) as stream:
        line.silence()
        await stream.send(bytes(40_000_000))
        async with asyncio.timeout(30):
            while not stream.reconnections:
                await asyncio.sleep(0.01)


async def test_the_end_of_the_sound_is_said_again(server: Scripted, line: Line) -> None:
    server.may_take.clear()
    async with connect(line.url, timing=SWIFT) as stream:
        await stream.send(sound(1))
        await stream.finalize()
        while stream._work.is_set() or not stream._sound.all_sent:
            await asyncio.sleep(0.01)
        line.cut()
        async with asyncio.timeout(30):
            while not stream.reconnections:
                await asyncio.sleep(0.01)
        server.may_take.set()
        told = [event async for event in stream]
    assert isinstance(told[-1], Summary)
    assert server.only.finals >= 1


async def test_settings_are_told_again_unless_sound_after_them_was_taken(
    server: Scripted, line: Line
) -> None:
    async with connect(line.url, timing=SWIFT) as stream:
        await stream.configure(claim="bob")
        await stream.send(sound(0.1))
        told = [await anext(stream), await anext(stream)]
        assert [type(message) for message in told] == [messages.Configured, Quality]
        line.cut()
        while stream.reconnections < 1:
            await asyncio.sleep(0.01)
        await stream.send(sound(0.1))
        await anext(stream)
        assert len(server.controls) == 1
        line.silence()
        await stream.configure(miss=0.2)
        await stream.configure(false_accept=0.02)
        assert isinstance(await anext(stream), messages.Configured)
        assert server.controls[-1] == {
            "type": "configure",
            "claim": None,
            "miss": 0.2,
            "false_accept": 0.02,
        }


async def test_a_restarted_server_is_a_clear_error(server: Scripted, line: Line) -> None:
    async with connect(line.url, timing=SWIFT) as stream:
        await stream.send(sound(0.1))
        await anext(stream)
        server.sessions.clear()
        line.cut()
        with pytest.raises(ServerError) as caught:
            await anext(stream)
        assert caught.value.code == "unknown-session"
        with pytest.raises(ServerError, match="unknown-session"):
            await stream.send(b"00")


async def test_a_server_that_stays_away_is_given_up() -> None:
    server = Scripted(resume_s=0.3)
    async with serving(server) as listening, connect(server.url, timing=SWIFT) as stream:
        await stream.send(sound(0.1))
        await anext(stream)
        listening.close(close_connections=False)
        for connection in listening.connections:
            connection.transport.abort()
        with pytest.raises(ConnectionFailed, match=r"not regained within 0.3 s.*no server"):
            await anext(stream)


async def test_events_that_are_not_read_stop_the_reading_and_none_is_lost(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "UNREAD_EVENTS", 10)
    pcm = sound(20)
    async with connect(server.url) as stream:
        sending = asyncio.create_task(stream.send(pcm))
        while len(stream._inbox._unread) < 10:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(stream._inbox._unread) == 10
        told = [await anext(stream) for _ in range(200)]
        await sending
        await stream.finalize()
        told += [event async for event in stream]
    check_complete(server, pcm, told)


async def test_who_never_reads_is_told_instead_of_waiting_for_ever(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "UNREAD_EVENTS", 10)
    monkeypatch.setattr(inbox, "UNREAD_S", 0.05)
    async with connect(server.url) as stream:
        with pytest.raises(ConnectionFailed, match="read while sending"):
            await stream.send(sound(120))


async def test_a_hole_in_the_events_is_an_error(server: Scripted) -> None:
    async with connect(server.url) as stream:
        while not server.sessions:
            await asyncio.sleep(0.01)
        server.only.say(Failure(t=0, code="window-failed", message="never sent"))
        await stream.send(sound(0.1))
        with pytest.raises(ServerError, match="left numbers out"):
            await anext(stream)


# No connection at all.


async def test_nobody_listens() -> None:
    with pytest.raises(ConnectionFailed, match=r"ws://127.0.0.1:9.*voxwatch serve"):
        async with connect("ws://127.0.0.1:9"):
            pass


@pytest.mark.parametrize("url", ["localhost:8765", "ftp://localhost", "ws://", ""])
async def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConnectionFailed, match="write ws://HOST:PORT"):
        async with connect(url):
            pass


@pytest.mark.parametrize(
    ("status", "says"), [(401, "wants a token"), (403, "does not allow"), (503, "HTTP 503")]
)
async def test_a_refusal_before_the_upgrade(status: int, says: str) -> None:
    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(status, "no")

    async with serve(Scripted(), "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(ConnectionFailed, match=says) as caught:
            async with connect(f"http://user:pass@127.0.0.1:{port}"):
                pass
        assert "pass" not in str(caught.value)
        assert caught.value.transient is (status == 503)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"error": {"code": "x", "message": "say it so"}}', "say it so"),
        ('{"error": {"message": 3}}', "it wants a token"),
        ('{"error": 3}', "it wants a token"),
    ],
)
async def test_the_servers_own_words_are_told(body: str, says: str) -> None:
    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(401, body)

    async with serve(Scripted(), "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(ConnectionFailed, match=rf"HTTP 401\): {says}"):
            async with connect(f"ws://127.0.0.1:{port}"):
                pass


async def test_a_server_of_another_kind() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionFailed, match="does not speak WebSocket"):
            async with connect(f"ws://127.0.0.1:{port}"):
                pass


async def test_a_server_that_says_nothing(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mute(connection: ServerConnection) -> None:
        await connection.wait_closed()

    monkeypatch.setattr(opening, "OPEN_TIMEOUT_S", 0.05)
    async with serve(mute, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        with pytest.raises(ConnectionFailed, match="does not answer"):
            async with connect(f"ws://127.0.0.1:{port}"):
                pass


# Enrolment, requests, watching.


async def test_an_enrolment_tells_its_progress_and_its_end(server: Scripted) -> None:
    async with enroll(server.url, "alice", consent="2026-11", ttl_days=30) as enrolment:
        assert enrolment.ready.needed_s == 20
        told = []
        for _ in range(4):
            await enrolment.send(sound(1))
            told.append(await anext(enrolment))
        assert [event.percent for event in told if isinstance(event, Progress)] == [25, 50, 75, 100]
        (done,) = [event async for event in enrolment]
        assert isinstance(done, messages.EnrolledAs)
    (start,) = server.starts
    assert start["consent"] == {"given": True, "text_version": "2026-11"}
    assert (start["name"], start["ttl_days"], start["add"]) == ("alice", 30, False)


async def test_an_enrolment_is_refused(server: Scripted) -> None:
    async with enroll(server.url, "alice", consent="2026-11") as enrolment:
        await enrolment.finalize()
        (refused,) = [event async for event in enrolment]
        assert isinstance(refused, Refused)
        with pytest.raises(ServerError, match="takes no more"):
            await enrolment.configure(miss=0.1)


async def test_an_enrolment_does_not_outlive_its_connection(server: Scripted, line: Line) -> None:
    async with enroll(line.url, "alice", consent="2026-11", timing=SWIFT) as enrolment:
        await enrolment.send(b"00")
        await anext(enrolment)
        line.cut()
        with pytest.raises(ConnectionFailed, match="connection was lost"):
            await anext(enrolment)


async def test_requests_are_answered_or_refused(server: Scripted) -> None:
    async with control(server.url, token="secret") as client:
        assert await client.request("profiles") == ["profiles"]
        with pytest.raises(ServerError, match="nobody is called that") as caught:
            await client.request("delete", name="eve")
        assert caught.value.code == "unknown-speaker"
        assert server.controls[1] == {"id": 2, "type": "delete", "name": "eve"}
    assert server.headers == ["Bearer secret"]


async def test_watching_gives_what_the_streams_say(server: Scripted) -> None:
    async with monitor(server.url, stream="a b", levels=True) as watched:
        told = [message async for message in watched]
    assert [type(message) for message in told] == [messages.MonitorReady, Failure]
    assert server.controls == [{"path": "/v1/monitor?stream=a+b&levels=1"}]


async def test_without_asyncio_errors_are_the_same_and_nothing_is_left(server: Scripted) -> None:
    server.refuse = Failure(seq=0, t=0, code="unknown-speaker", message="nobody is called eve")
    before = set(threading.enumerate())

    def refused() -> None:
        with sync.connect(server.url, claim="eve"):
            pass

    def interrupted() -> None:
        with sync.enroll(server.url, "alice", consent="2026-11") as enrolment:
            assert enrolment.ready.name == "alice"
            raise KeyError("the program's own")

    with pytest.raises(ServerError, match="nobody is called eve"):
        await asyncio.to_thread(refused)
    with pytest.raises(KeyError, match="own"):
        await asyncio.to_thread(interrupted)
    left = set(threading.enumerate()) - before
    assert all(thread.name.startswith("asyncio_") for thread in left)  # those of to_thread


async def test_leaving_with_everything_unread_does_not_wait(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "UNREAD_EVENTS", 11)
    monkeypatch.setattr(inbox, "UNREAD_S", 3600)
    async with connect(server.url) as stream:
        await stream.send(sound(1))
        await stream.finalize()
        async with asyncio.timeout(30):
            while not stream._over:
                await asyncio.sleep(0.01)
