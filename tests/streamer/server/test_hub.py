"""The hub: each follower gets what it asked for, and none can hold up another."""

from __future__ import annotations

import json
from typing import Any

from engine import events
from streamer.server.hub import Hub, Subscription
from streamer.server.outbox import Message
from streamer.wire.messages import Level


def vad(t: float) -> Message:
    return Message(events.Vad(t=t, speech=True, at=t))


def level(t: float) -> Message:
    return Message(Level(t=t, step_s=0.02, peaks=[1, 2]))


def told(follower: Subscription) -> list[dict[str, Any]]:
    return [json.loads(sent.text) for sent in follower.outbox.take()]


def test_a_follower_gets_the_streams_it_asked_for() -> None:
    hub = Hub()
    with hub.follow() as everything, hub.follow(stream="b") as one:
        hub.publish("a", vad(1))
        hub.publish("b", vad(2))
        assert [(m["stream"], m["seq"], m["t"]) for m in told(everything)] == [
            ("a", 1, 1.0),
            ("b", 2, 2.0),
        ]
        assert [(m["stream"], m["seq"]) for m in told(one)] == [("b", 1)]
        assert len(hub) == 2
    assert len(hub) == 0


def test_levels_go_only_where_they_are_drawn() -> None:
    hub = Hub()
    assert not hub.wants_levels("a")
    with hub.follow() as plain, hub.follow(stream="a", levels=True) as drawn:
        assert hub.wants_levels("a")
        assert not hub.wants_levels("b")
        hub.publish("a", level(1))
        assert told(plain) == []
        assert [m["type"] for m in told(drawn)] == ["level"]


def test_a_slow_follower_is_given_up_and_the_others_lose_nothing() -> None:
    hub = Hub()
    with hub.follow(limit=4) as slow, hub.follow(limit=4) as quick:
        got = []
        for t in range(10):
            hub.publish("a", vad(t))
            got += told(quick)
        assert slow.outbox.slow
        assert not quick.outbox.slow
        assert [m["t"] for m in got] == list(range(10))


def test_old_levels_make_room_for_new_ones() -> None:
    hub = Hub()
    with hub.follow(levels=True, limit=8) as follower:
        for t in range(100):
            hub.publish("a", level(t))
        hub.publish("a", vad(100))
        messages = told(follower)
        assert not follower.outbox.slow
        assert messages[-1]["type"] == "vad"
        assert max(m["t"] for m in messages if m["type"] == "level") == 99
