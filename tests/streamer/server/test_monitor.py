"""Monitors see what streams are told."""

from __future__ import annotations

import json
from typing import Any

from streamer.server.server import Server


async def test_a_monitor_sees_every_stream(server: Server, dial: Any, enrol: Any, pcm: Any) -> None:
    enrol(server, "anna")
    async with dial(server, claim="anna", label="early") as early:
        known = await early.hear()
        async with dial(server, "/v1/monitor", levels=1) as watching:
            ready = await watching.hear()
            assert [s["stream"] for s in ready["streams"]] == [known["stream"]]
            assert ready["streams"][0]["label"] == "early"
            async with dial(server, claim="anna", label="late") as late:
                stream = (await late.hear())["stream"]
                opened = await watching.until("opened")
                assert (opened["stream"], opened["label"]) == (stream, "late")
                assert (opened["window_s"], opened["hop_s"]) == (3.0, 0.5)
                await late.sound(pcm("anna", 4.0), 3200)
                await late.until("decision")
                async with dial(server, "/v1/monitor", stream=stream) as later:
                    (midway,) = (await later.hear())["streams"]
                await late.say(type="finalize")
                assert await late.rest() == 1000
            assert (midway["window_s"], midway["hop_s"], midway["decide_s"]) == (3.0, 0.5, 1.5)
            assert midway["speaking"] is True
            assert 1.0 < midway["speech_s"] <= midway["received_s"]
            closed = await watching.until("closed")
            assert (closed["stream"], closed["code"]) == (stream, 1000)
    assert [m["seq"] for m in watching.seen] == list(range(len(watching.seen)))
    of_stream = [m for m in watching.seen if m.get("stream") == stream]
    ours = [{**m, "seq": 0} for m in late.seen[1:]]
    theirs = [
        {**{k: v for k, v in m.items() if k != "stream"}, "seq": 0}
        for m in of_stream
        if m["type"] not in ("opened", "closed", "level")
    ]
    assert theirs == ours
    peaks = [p for m in watching.of("level") for p in m["peaks"]]
    assert max(peaks) > 20
    assert known["session"] not in json.dumps(watching.seen)


async def test_a_monitor_of_one_stream_sees_that_one(server: Server, dial: Any, pcm: Any) -> None:
    async with dial(server, encoding="pcm_s16le") as one, dial(server, claim="") as other:
        stream = (await one.hear())["stream"]
        await other.hear()
        async with dial(server, "/v1/monitor", stream=stream) as watching:
            assert len((await watching.hear())["streams"]) == 1
            await other.sound(pcm("anna", 3.0))
            await other.say(type="finalize")
            await other.rest()
            await one.sound(pcm("bert", 3.0))
            await one.say(type="finalize")
            await one.rest()
            await watching.until("closed")
        assert {m["stream"] for m in watching.seen[1:]} == {stream}
