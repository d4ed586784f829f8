"""An outbox: numbers without gaps, bounded, scores coalesced and nothing else lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_messages import decode

from engine import events
from streamer.server.outbox import Message, Outbox
from streamer.wire.errors import WireError

SUMMARY = events.Summary(t=9, received_s=9, speech_s=0, match_s=0, decisions={}, model="none")

NOON = "2026-11-28T12:00:00.000Z"


def score(t: float, speaker: str = "anna") -> Message:
    return Message(
        events.Score(
            t=t,
            speaker=speaker,
            cosine=0.5,
            norm=1.0,
            llr=2.0,
            posterior=0.9,
            runner_up=None,
            net_speech_s=t,
            window_s=3.0,
        )
    )


def vad(t: float) -> Message:
    return Message(events.Vad(t=t, speech=True, at=t))


def taken(outbox: Outbox) -> list[dict[str, Any]]:
    return [json.loads(text) for text in outbox.texts()]


def test_messages_are_numbered_when_they_are_taken() -> None:
    outbox = Outbox(first=5)
    outbox.put(vad(1))
    outbox.put(score(2))
    assert [(m["type"], m["seq"], m["t"]) for m in taken(outbox)] == [
        ("vad", 5, 1.0),
        ("score", 6, 2.0),
    ]
    assert outbox.next_number == 7
    assert taken(outbox) == []


def test_an_event_is_numbered_once_where_it_is_handed_out() -> None:
    event = events.Vad(t=1, at_time=NOON, speech=True, at=1)
    assert decode(Message(event).numbered(9)) == msgspec.structs.replace(event, seq=9)
    with pytest.raises(ValueError, match="has a number already"):
        Message(events.Vad(seq=123, t=1, speech=True, at=1))


def test_a_name_that_looks_like_a_number_field_stays_as_it_is() -> None:
    told = decode(score(1, '","seq":7,"x":"').numbered(3))
    assert isinstance(told, events.Score)
    assert (told.seq, told.speaker) == (3, '","seq":7,"x":"')


def test_the_stream_is_added_for_followers() -> None:
    message = score(1).within("s1")
    told = json.loads(message.numbered(4))
    assert (told["stream"], told["seq"], told["speaker"]) == ("s1", 4, "anna")
    assert message.key != score(1).within("s2").key


def test_waiting_scores_are_coalesced_and_that_is_told() -> None:
    outbox = Outbox(limit=8)
    outbox.put(vad(0))
    for t in range(1, 20):
        outbox.put(score(t, "anna" if t % 2 else "bert"))
    outbox.put(vad(20))
    told = taken(outbox)
    assert [m["seq"] for m in told] == list(range(1, len(told) + 1))
    lag, *rest = told
    assert (lag["type"], lag["reason"]) == ("lag", "slow-consumer")
    scores = [m for m in rest if m["type"] == "score"]
    assert {m["speaker"] for m in scores} == {"anna", "bert"}
    assert lag["dropped"] == 19 - len(scores) == outbox.coalesced
    assert [m["t"] for m in rest if m["type"] == "vad"] == [0, 20]
    assert scores[-1]["t"] == 19
    outbox.put(vad(21))
    assert [m["type"] for m in taken(outbox)] == ["vad"]  # told once


def test_a_client_too_far_behind_is_given_up() -> None:
    outbox = Outbox(limit=8)
    for t in range(8):
        outbox.put(vad(t))
    assert not outbox.slow
    outbox.put(vad(8))
    assert outbox.slow
    outbox.put(vad(9))  # dropped: the client is lost already
    outbox.put(Message(SUMMARY))
    outbox.end(Message(events.Failure(t=9, code="slow-consumer", message="too slow")))
    assert [m["type"] for m in taken(outbox)] == ["summary", "error"]


async def test_slow_and_ended_wake_whoever_waits() -> None:
    for stir in (lambda o: o.end(), lambda o: o.put(vad(0))):
        outbox = Outbox(limit=8)
        waiting = asyncio.create_task(outbox.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        stir(outbox)
        await asyncio.wait_for(waiting, 5)


async def test_a_client_that_was_given_up_and_then_reads_keeps_nobody_busy() -> None:
    """Whoever sends in a loop has to wait here, or would never let the event loop go on."""
    outbox = Outbox(limit=8)
    for t in range(9):
        outbox.put(vad(t))
    assert outbox.slow
    assert len(outbox.texts()) == 9
    waiting = asyncio.create_task(outbox.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.end(vad(9))
    await asyncio.wait_for(waiting, 5)


def test_nothing_follows_the_end() -> None:
    outbox = Outbox()
    outbox.put(vad(0))
    outbox.end(vad(1))
    outbox.put(vad(2))
    outbox.end(vad(3))
    assert [m["t"] for m in taken(outbox)] == [0, 1]


def test_a_client_that_comes_back_gets_what_it_lacks() -> None:
    outbox = Outbox(kept=10)
    for t in range(4):
        outbox.put(vad(t))
    first = outbox.take()
    outbox.put(vad(4))
    outbox.resume(3)
    again = outbox.texts()
    assert [json.loads(text)["seq"] for text in again] == [3, 4, 5]
    assert again[:2] == [sent.text for sent in first[2:]]
    outbox.resume(6)  # lacks nothing
    assert outbox.texts() == []


@pytest.mark.parametrize("number", [0, 1, 2, 8, 99])
def test_what_is_gone_or_was_never_sent_is_a_gap(number: int) -> None:
    outbox = Outbox(kept=3)
    for t in range(6):
        outbox.put(vad(t))
    outbox.take()
    with pytest.raises(WireError) as caught:
        outbox.resume(number)
    assert caught.value.code == "gap"


@given(
    steps=st.lists(st.sampled_from(["score", "vad", "take", "drop"]), max_size=120),
    lost=st.integers(0, 5),
)
def test_whatever_happens_a_client_sees_every_number_once_and_every_change(
    steps: list[str], lost: int
) -> None:
    """A client that now and then loses the end of what it was sent, and resumes."""
    outbox = Outbox(limit=24, kept=1000)
    held: list[dict[str, Any]] = []
    put: list[float] = []
    for t, step in enumerate(steps):
        if step == "score":
            outbox.put(score(t))
        elif step == "vad" and not outbox.slow:
            outbox.put(vad(t))
            if not outbox.slow:
                put.append(t)
        elif step == "take":
            held += taken(outbox)
        elif held:
            held = held[: len(held) - lost] if lost else held
            outbox.resume(len(held) + 1)
        assert len(outbox._waiting) <= 25
    if not outbox.slow:
        held += taken(outbox)
        assert [m["t"] for m in held if m["type"] == "vad"] == put
    assert [m["seq"] for m in held] == list(range(1, len(held) + 1))
