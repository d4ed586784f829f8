"""Telephone calls on a real server: judged, told to monitors, and refused where they must be."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from phone_line import CALLER, Followed, dialled, heard, of, send, verdicts
from server_requests import bearer
from telephone import Plivo, Telnyx, Twilio, encoded, frames
from websockets.exceptions import ConnectionClosed, InvalidStatus

from streamer.config import Config
from streamer.server.server import Server

WRONG = "wrong-secret"
SYSTEMS = {
    "twilio": (Twilio, {}, "mulaw", 8000),
    "telnyx": (Telnyx, {}, "mulaw", 8000),
    "telnyx-pcma": (Telnyx, {"encoding": "PCMA"}, "alaw", 8000),
    "telnyx-l16": (Telnyx, {"encoding": "L16"}, "s16be", 16_000),
    "plivo": (Plivo, {}, "mulaw", 8000),
    "plivo-l16": (Plivo, {"encoding": "l16"}, "pcm_s16le", 8000),
}


@pytest.mark.parametrize("name", SYSTEMS)
async def test_a_call_is_judged_to_its_end_and_told_to_monitors(
    guarded: Server, desk: Followed, enrolled: None, said: Any, name: str
) -> None:
    kind, options, encoding, rate_hz = SYSTEMS[name]
    call = kind(claim="anna", token="phone-secret", **options)
    sound = said("anna", 4.0)
    async with dialled(guarded, f"/v1/{name.partition('-')[0]}") as phone:
        await send(phone, call.whole(encoded(sound, encoding, rate_hz)))
        assert await heard(phone) == ([], 1000, "")
    told = await desk.closed()
    assert of(told, "opened")[0]["label"] == call.call
    assert of(told, "opened")[0]["claims"] == ["anna"]
    assert verdicts(told) == ["match"]
    assert of(told, "summary")[0]["received_s"] == pytest.approx(4.0, abs=0.05)


async def test_only_the_inbound_party_is_judged(
    guarded: Server, desk: Followed, enrolled: None, said: Any
) -> None:
    call = Twilio(claim="anna", token="phone-secret", label="line 7")
    theirs, ours = encoded(said("anna", 4.0)), encoded(said("bert", 4.0))
    media = []
    for (at_ms, inbound), (_, outbound) in zip(frames(theirs), frames(ours), strict=True):
        media += [call.media(at_ms, outbound, "outbound"), call.media(at_ms, inbound)]
    both = ["inbound", "outbound"]
    start = call.start(tracks=both)
    async with dialled(guarded) as phone:
        noise = [call.mark("greeting"), call.dtmf("1")]
        await send(phone, [call.connected, start, *media, *noise, call.stop()])
        await heard(phone)
    told = await desk.closed()
    assert of(told, "opened")[0]["label"] == "line 7"
    assert verdicts(told) == ["match"]
    assert not of(told, "change")
    assert of(told, "summary")[0]["received_s"] == pytest.approx(4.0, abs=0.05)


async def test_messages_that_are_lacking_or_late_leave_the_time_as_it_was(
    guarded: Server, desk: Followed, enrolled: None, said: Any
) -> None:
    call = Twilio(claim="anna", token="phone-secret")
    messages = call.whole(encoded(said("anna", 5.0)))
    messages[100], messages[103] = messages[103], messages[100]
    del messages[200:225]  # half a second
    async with dialled(guarded) as phone:
        await send(phone, messages)
        await heard(phone)
    told = await desk.closed()
    assert of(told, "summary")[0]["received_s"] == pytest.approx(5.0, abs=0.05)
    assert set(verdicts(told)) == {"match"}


# Who may call.


async def test_a_wrong_token_is_refused_and_nothing_is_judged(
    guarded: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call = Twilio(token=WRONG)
    async with dialled(guarded) as phone:
        await send(phone, [call.connected, call.start()])
        told, code, reason = await heard(phone)
    assert (code, reason) == (1008, "unauthorised")
    assert [one["code"] for one in told] == ["unauthorised"]
    assert len(guarded.streams) == 0
    assert WRONG not in caplog.text + json.dumps(told)


async def test_a_call_without_any_token_is_refused(guarded: Server) -> None:
    call = Twilio(claim="anna")
    async with dialled(guarded) as phone:
        await send(phone, [call.connected, call.start()])
        assert (await heard(phone))[1:] == (1008, "unauthorised")


async def test_a_token_of_another_role_is_refused(guarded: Server) -> None:
    call = Twilio(token="desk")
    async with dialled(guarded) as phone:
        await send(phone, [call.start()])
        assert (await heard(phone))[1:] == (1008, "unauthorised")


async def test_the_token_of_a_call_that_is_taken_is_in_no_log(
    guarded: Server, desk: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call = Twilio(token="phone-secret", claim="nobody-of-that-name")
    async with dialled(guarded) as phone:
        await send(phone, [call.start()])
        told, code, reason = await heard(phone)
    assert (code, reason) == (1008, "unknown-speaker")
    assert "phone-secret" not in caplog.text + json.dumps(told)


async def test_a_token_for_one_call_serves_one_call(guarded: Server, dial: Any) -> None:
    async with dial(guarded, "/v1/control", headers=bearer("phone-secret")) as control:
        minted = (await control.ask(type="url_token", role="stream"))["token"]
    for code in (1000, 1008):
        async with dialled(guarded) as phone:
            await send(phone, Twilio(token=minted).whole(encoded(bytes(3200))))
            assert (await heard(phone))[1] == code


@pytest.mark.parametrize("place", ["bearer", "basic", "telnyx", "query", "connected"])
async def test_a_token_may_be_shown_before_the_start(
    guarded: Server, dial: Any, place: str
) -> None:
    headers, query = {}, ""
    call = Telnyx()
    connected: dict[str, Any] = {**call.connected}
    if place == "bearer":
        headers = bearer("phone-secret")
    elif place == "basic":
        basic = base64.b64encode(b"anybody:phone-secret").decode()
        headers = {"Authorization": f"Basic {basic}"}
    elif place == "telnyx":
        headers = {"x-telnyx-streaming-auth-token": "phone-secret"}
    elif place == "query":
        async with dial(guarded, "/v1/control", headers=bearer("phone-secret")) as control:
            query = "?token=" + (await control.ask(type="url_token", role="stream"))["token"]
    else:
        connected["connected"] = {"x-telnyx-streaming-auth-token": "phone-secret"}
    async with dialled(guarded, "/v1/telnyx" + query, additional_headers=headers) as phone:
        await send(phone, [connected, *call.whole(encoded(bytes(3200)))[1:]])
        assert await heard(phone) == ([], 1000, "")


@pytest.mark.parametrize(
    "headers",
    [
        bearer(WRONG),
        {"Authorization": "Basic " + base64.b64encode(b"a:" + WRONG.encode()).decode()},
        {"Authorization": "Basic ????"},
        {"x-telnyx-streaming-auth-token": WRONG},
    ],
)
async def test_a_wrong_token_before_the_start_is_refused_at_once(
    guarded: Server, headers: dict[str, str]
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with dialled(guarded, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 401


async def test_a_password_opens_no_page(guarded: Server) -> None:
    """A browser sends it by itself, for whichever page asks."""
    basic = "Basic " + base64.b64encode(b"a:desk").decode()
    with pytest.raises(InvalidStatus) as refused:
        async with dialled(guarded, "/v1/monitor", additional_headers={"Authorization": basic}):
            pass
    assert refused.value.response.status_code == 401


async def test_calls_that_have_not_started_are_strangers(settings: Callable[..., Config]) -> None:
    config = settings(tokens=(CALLER,), limits={"strangers": 2})
    async with (
        Server(config, drain_s=0.2) as server,
        dialled(server) as first,
        dialled(server),
        dialled(server),
    ):
        assert (await heard(first))[1] == 1006
        assert server.context.crowd.strangers == 2


# What is no call.


def refusals() -> dict[str, tuple[list[Any], int, str]]:
    """Messages of calls that are refused, and how."""
    call = Twilio(token="phone-secret")
    sound = encoded(bytes(640))

    def begun(name: str) -> list[Any]:  # calls of one name would take over from each other
        return [call.connected, call.start(callSid=name)]

    not_base64 = call.media(0, sound)
    not_base64["media"]["payload"] = "this is not base64!"
    telnyx, g711 = Telnyx(token="phone-secret"), {"encoding": "audio/x-mulaw"}
    opus = {"encoding": "OPUS", "sample_rate": 48_000, "channels": 1}
    long = json.dumps({"event": "connected", "more": "x" * (1 << 15)})
    return {
        "no start, again and again": ([call.connected] * 9, 1008, "bad-start"),
        "media first": ([call.connected, call.media(0, sound)], 1008, "bad-start"),
        "stop first": ([call.connected, call.stop()], 1008, "bad-start"),
        "not base64": ([*begun("CA0"), not_base64], 1008, "bad-sound"),
        "encoding": ([telnyx.start(media_format=opus)], 1008, "unknown-encoding"),
        "no format": ([telnyx.start(media_format=None)], 1008, "bad-start"),
        "outbound only": ([call.start(tracks=["outbound"])], 1008, "bad-start"),
        "odd rate": ([call.start(mediaFormat=g711 | {"sampleRate": "fast"})], 1008, "bad-start"),
        "low rate": ([call.start(mediaFormat=g711 | {"sampleRate": 4000})], 1008, "bad-rate"),
        "misspelt": ([Twilio(token="phone-secret", clam="anna").start()], 1008, "bad-parameter"),
        "rate": ([Twilio(token="phone-secret", miss="often").start()], 1008, "bad-parameter"),
        "second start": ([*begun("CA1"), call.start()], 1008, "second-start"),
        "binary": ([*begun("CA2"), sound], 1003, "wrong-frame"),
        "binary first": ([sound], 1003, "wrong-frame"),
        "no JSON": (["hello"], 1008, "bad-message"),
        "no event": (['{"type": "start"}'], 1008, "bad-message"),
        "nobody's": (['{"event": "start", "start": {}}'], 1008, "bad-start"),
        "deep": (["[" * 5000], 1008, "bad-message"),
        "long before": ([long], 1009, ""),
        "long": ([*begun("CA3"), call.media(0, bytes(1 << 17))], 1009, ""),
    }


async def test_what_is_no_call_is_refused_with_a_reason(guarded: Server) -> None:
    async def refused(name: str, messages: list[Any]) -> tuple[str, int | None, str | None]:
        async with dialled(guarded) as phone:
            with contextlib.suppress(ConnectionClosed):
                await send(phone, messages)
            told, code, reason = await heard(phone)
        assert "phone-secret" not in json.dumps(told)
        return name, code, "" if code == 1009 else reason

    expected = refusals()
    trying = [refused(name, messages) for name, (messages, _, _) in expected.items()]
    found = await asyncio.gather(*trying)
    assert set(found) == {(name, code, why) for name, (_, code, why) in expected.items()}
    async with asyncio.timeout(20):
        await guarded.streams.empty()


async def test_a_call_that_does_not_start_in_time_is_idle(settings: Callable[..., Config]) -> None:
    config = settings(tokens=(CALLER,), limits={"start_s": 0.3})
    async with Server(config, drain_s=1.0) as server, dialled(server) as phone:
        await send(phone, [Twilio().connected])
        assert (await heard(phone))[1:] == (1008, "idle")


async def test_stop_twice_and_what_follows_it_is_let_go(guarded: Server, desk: Followed) -> None:
    call = Twilio(token="phone-secret")
    *before, stop = call.whole(encoded(bytes(32_000)))
    async with dialled(guarded) as phone:
        await send(phone, [*before, stop, call.stop(), call.media(1000, encoded(bytes(640)))])
        assert (await heard(phone))[1] == 1000
    told = await desk.closed()
    assert [one["received_s"] for one in of(told, "summary")] == [pytest.approx(1.0, abs=0.05)]
