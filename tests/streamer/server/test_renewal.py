"""Streams that run follow the store, whoever changes it."""

from __future__ import annotations

from typing import Any

from streamer.server.server import Server


async def test_a_deleted_voiceprint_leaves_running_streams(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    for name in ("anna", "bert"):
        enrol(server, name)
    async with (
        dial(server, claim="anna") as claiming,
        dial(server, claim="anna,bert") as both,
        dial(server, encoding="pcm_s16le") as asking,
        dial(server, "/v1/control") as control,
    ):
        for client in (claiming, both, asking):
            await client.hear()
        assert await control.ask(type="delete", name="anna") == {}
        assert (await claiming.hear())["code"] == "claim-ended"
        # Never on to comparing with people whom nobody asked for.
        assert (await claiming.until("configured"))["mode"] == "changes"
        assert (await both.until("configured"))["claims"] == ["bert"]
        assert (await asking.until("configured"))["mode"] == "identify"
        await claiming.sound(pcm("anna", 3.0))
        await claiming.say(type="finalize")
        assert await claiming.rest() == 1000
        assert not claiming.of("score")


async def test_somebody_enrolled_elsewhere_is_known_to_running_streams(
    server: Server, dial: Any, enrol: Any
) -> None:
    async with dial(server, encoding="pcm_s16le") as client:
        assert (await client.hear())["mode"] == "changes"
        enrol(server, "anna")
        assert (await client.until("configured"))["mode"] == "identify"


async def test_running_streams_follow_the_store_though_a_new_one_noticed_first(
    server: Server, dial: Any, enrol: Any
) -> None:
    async with dial(server, encoding="pcm_s16le") as early:
        assert (await early.hear())["mode"] == "changes"
        enrol(server, "anna")
        async with dial(server, claim="anna") as late:  # has the store read again
            assert (await late.hear())["mode"] == "verify"
        assert (await early.until("configured"))["mode"] == "identify"


async def test_a_name_that_was_given_to_another_voice_is_compared_with_that_one(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    async with dial(server, claim="anna") as client:
        await client.hear()
        server.context.store.delete("anna")
        enrol(server, "anna", sounds_like="bert")
        told = await client.until("configured")
        assert (told["mode"], told["claims"]) == ("verify", ["anna"])
        await client.sound(pcm("bert", 5.0))
        await client.say(type="finalize")
        await client.rest()
    assert client.of("decision")[-1]["state"] == "match"
