"""The client over real sockets, against a server that notes every byte.

The real one is in tests/streamer/server/test_with_client.py.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from msgspec import to_builtins
from scripted_server import Line, Scripted, serving
from whole_streams import SWIFT, check_complete, sound, stream_all

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
    sync,
)
from voxwatch_client.gate import SpeakerGate
from voxwatch_client.messages import (
    Failure,
    Progress,
    Quality,
    Refused,
)

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
        SpeakerGate("ws://127.0.0.1:1", claim=None)


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


async def test_an_error_after_the_summary_is_raised_once_the_summary_was_read(
    server: Scripted,
) -> None:
    server.fail_last = Failure(seq=0, t=1, code="taken-over", message="it was opened anew")
    told = []

    async def read(stream: Any) -> None:
        async for event in stream:
            told.append(event)

    async with connect(server.url) as stream:
        await stream.send(sound(1.0))
        await stream.finalize()
        with pytest.raises(ServerError, match=r"opened anew \(taken-over\)"):
            await read(stream)
    assert isinstance(told[-1], messages.Summary)


async def test_a_window_that_failed_is_an_event_and_no_end(server: Scripted) -> None:
    async with connect(server.url) as stream:
        await stream.send(sound(0.1))
        await anext(stream)
        server.fail_next = Failure(t=0, code="window-failed", message="the model failed")
        await stream.send(sound(0.1, seed=1))
        failed, step = await anext(stream), await anext(stream)
        assert isinstance(failed, Failure)
        assert isinstance(step, Quality)


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
