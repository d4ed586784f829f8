"""Enrolment over real sockets: what is stored, what is refused, and why."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from wire_messages import decode_enrolment

from streamer.server.server import Server

CONSENT = {"given": True, "text_version": "2026-11"}


async def test_enrolment_stores_a_voiceprint(server: Server, dial: Any, pcm: Any) -> None:
    async with dial(server, "/v1/enroll") as client:
        await client.say(type="start", name=" anna ", consent=CONSENT, ttl_days=1)
        ready = await client.hear()
        assert (ready["type"], ready["needed_s"], ready["min_s"]) == ("ready", 20.0, 10.0)
        await client.sound(pcm("anna", 26.0))
        assert await client.rest() == 1000
    for message in client.seen:
        decode_enrolment(json.dumps(message))
    assert [m["seq"] for m in client.seen] == list(range(len(client.seen)))
    assert client.of("progress")[-1]["percent"] > 90
    enrolled = client.seen[-1]
    assert (enrolled["type"], enrolled["name"]) == ("enrolled", "anna")
    profile = server.context.store.profile("anna", time.time())
    assert profile.expires_at is not None
    assert profile.consent.text_version == "2026-11"

    async with dial(server, claim="anna") as client:
        await client.sound(pcm("anna", 5.0, seed=7))
        await client.say(type="finalize")
        await client.rest()
        assert client.of("decision")[-1]["state"] == "match"


async def test_enrolment_may_end_early_but_not_too_early(
    server: Server, dial: Any, pcm: Any
) -> None:
    for seconds, kind in ((4.0, "refused"), (13.0, "enrolled")):
        async with dial(server, "/v1/enroll") as client:
            await client.say(type="start", name="anna", consent=CONSENT)
            await client.sound(pcm("anna", seconds))
            await client.say(type="finalize")
            assert await client.rest() == 1000
            assert client.seen[-1]["type"] == kind
    assert [p.name for p in server.context.store.profiles(time.time())] == ["anna"]


@pytest.mark.parametrize("live", [None, True, False])
async def test_the_pace_of_a_file_says_nothing_of_its_rate(
    server: Server, dial: Any, monkeypatch: pytest.MonkeyPatch, live: bool | None
) -> None:
    opened: list[bool | None] = []
    open_stream = server.context.engine.open

    def noted(enrolment: Any, *, live: bool | None = None) -> Any:
        opened.append(live)
        return open_stream(enrolment, live=live)

    monkeypatch.setattr(server.context.engine, "open", noted)
    async with dial(server, "/v1/enroll") as client:
        await client.say(type="start", name="anna", consent=CONSENT, live=live)
        await client.hear()
    assert opened == [live]


async def test_another_prototype_for_somebody_enrolled(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    async with dial(server, "/v1/enroll") as client:
        await client.say(type="start", name="anna", consent=CONSENT, add=True)
        await client.sound(pcm("anna", 13.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
        told = client.seen[-1]
    profile = server.context.store.profile("anna", time.time())
    assert profile.prototypes == told["prototypes"] == 2
    assert profile.net_speech_s == told["net_speech_s"] == 8.0 + 12.5


async def test_another_voice_cannot_be_added_to_somebody(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    async with dial(server, "/v1/enroll") as client:
        await client.say(type="start", name="anna", consent=CONSENT, add=True)
        await client.sound(pcm("bert", 26.0, seed=3))
        assert await client.rest() == 1000
        refused = client.seen[-1]
    assert (refused["type"], refused["code"]) == ("refused", "several-voices")
    assert "another voice" in refused["message"]
    assert server.context.store.profile("anna", time.time()).prototypes == 1


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ({"name": "anna"}, "consent-missing"),
        ({"name": "anna", "consent": {**CONSENT, "given": False}}, "consent-missing"),
        ({"name": "anna", "consent": {**CONSENT, "text_version": "1"}}, "consent-missing"),
        ({"name": "bert", "consent": CONSENT}, "name-taken"),
        ({"name": "a,b", "consent": CONSENT}, "bad-name"),
        ({"name": "x" * 65, "consent": CONSENT}, "bad-name"),
        ({"name": "eve", "consent": CONSENT, "add": True}, "unknown-speaker"),
    ],
)
async def test_what_an_enrolment_cannot_start_with(
    server: Server, dial: Any, enrol: Any, start: dict[str, Any], code: str
) -> None:
    enrol(server, "bert")
    async with dial(server, "/v1/enroll") as client:
        await client.say(type="start", **start)
        error = await client.hear()
        assert (error["type"], error["code"]) == ("error", code)
        assert await client.rest() == 1008
