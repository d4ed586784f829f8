"""Asterisk, jambonz and Vonage on `/v1/stream`: a text frame, then sound and other text."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from typing import Any

import pytest
from phone_line import Followed, dialled, heard, of, send, verdicts
from server_requests import bearer
from telephone import encoded, jambonz, media_start, media_start_json
from websockets.exceptions import ConnectionClosed, InvalidStatus

from streamer.server.server import Server

PBX = {"Authorization": "Basic " + base64.b64encode(b"pbx:phone-secret").decode()}
NOTICES = ["MEDIA_XOFF", "MEDIA_XON", "DTMF_END digit:5 channel_id:1763141871.7", "STATUS x:1"]
FORMATS = [
    (media_start("ulaw"), "mulaw", 8000),
    (media_start("alaw"), "alaw", 8000),
    (media_start("slin"), "pcm_s16le", 8000),
    (media_start("slin16"), "pcm_s16le", 16_000),
    (media_start_json("ulaw"), "mulaw", 8000),
    (media_start_json("slin16"), "pcm_s16le", 16_000),
]


def pieces(sound: bytes) -> list[bytes]:
    return [sound[place : place + 640] for place in range(0, len(sound), 640)]


async def told_until_hung_up(
    server: Server, messages: list[Any], query: str = "", protocol: str = "media"
) -> Any:
    """What a telephone system is told that sends these and closes."""
    options: dict[str, Any] = {"subprotocols": [protocol], "additional_headers": PBX}
    async with dialled(server, "/v1/stream" + query, **options) as system:
        assert system.subprotocol == protocol
        await send(system, messages)
        await system.close()
        return await heard(system)


@pytest.mark.parametrize(("first", "encoding", "rate_hz"), FORMATS)
async def test_asterisk_is_judged_until_it_hangs_up(
    guarded: Server,
    desk: Followed,
    enrolled: None,
    said: Any,
    first: str,
    encoding: str,
    rate_hz: int,
) -> None:
    sound = pieces(encoded(said("anna", 4.0), encoding, rate_hz))
    messages = [first, *sound[:20], *NOTICES, *sound[20:]]
    assert await told_until_hung_up(guarded, messages, "?claim=anna") == ([], 1000, "")
    told = await desk.closed()
    assert of(told, "opened")[0]["label"] == "1763141871.7"
    assert verdicts(told) == ["match"]
    assert of(told, "summary")[0]["received_s"] == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize(
    ("mix", "more"),
    [
        ("mono", {"customerData": {"claim": "anna", "label": "line 7", "order": 5}}),
        ("stereo", {"metadata": {"claim": "anna", "label": "line 7"}}),
        ("mono", {"claim": "anna", "label": "line 7"}),
        ("mono", {"customerData": {"claim": "bert"}, "metadata": {"claim": ["anna"]}}),
    ],
)
async def test_jambonz_is_judged_until_it_hangs_up(
    guarded: Server, desk: Followed, enrolled: None, said: Any, more: Any, mix: str
) -> None:
    sound = encoded(said("anna", 4.0), "pcm_s16le", 8000)
    if mix == "stereo":  # the caller is on the left, and on the right is who was called
        other = encoded(said("bert", 4.0), "pcm_s16le", 8000)
        sides = zip(memoryview(sound).cast("h"), memoryview(other).cast("h"), strict=True)
        sound = b"".join(
            sample.to_bytes(2, "little", signed=True) for pair in sides for sample in pair
        )
    dtmf = json.dumps({"event": "dtmf", "dtmf": "2", "duration": "1600"})
    messages = [
        json.dumps(jambonz(8000, mix, **more)),
        *pieces(sound),
        dtmf,
        '{"type": "playDone"}',
    ]
    told = await told_until_hung_up(guarded, messages, protocol="audio.jambonz.org")
    assert told == ([], 1000, "")
    told = await desk.closed()
    label = "line 7" if "line 7" in str(more) else jambonz()["callSid"]
    assert of(told, "opened")[0]["label"] == label
    assert verdicts(told) == ["match"]


def vonage(rate_hz: int | str, **headers: str) -> str:
    told = {"event": "websocket:connected", "content-type": f"audio/l16;rate={rate_hz}"}
    return json.dumps(told | headers)


@pytest.mark.parametrize("rate_hz", [8000, 16_000])
@pytest.mark.parametrize("query", ["", "?claim=anna"])
async def test_vonage_is_judged_until_it_hangs_up(
    guarded: Server, desk: Followed, enrolled: None, said: Any, rate_hz: int, query: str
) -> None:
    sound = pieces(encoded(said("anna", 4.0), "pcm_s16le", rate_hz))
    first = vonage(rate_hz, claim="anna", uuid="aaaa-1")
    query = query and f"{query}&sample_rate={rate_hz}"
    key = '{"event": "websocket:dtmf", "digit": "5", "duration": 260}'
    async with dialled(guarded, "/v1/stream" + query, additional_headers=PBX) as system:
        await send(system, [first, *sound[:20], key, *sound[20:]])
        if query:  # it says what comes by itself, as other clients do
            await send(system, ['{"type": "finalize"}'])
        else:
            await system.close()
            assert await heard(system) == ([], 1000, "")
        told = await desk.closed()
    assert of(told, "opened")[0]["label"] == ("" if query else "aaaa-1")
    assert verdicts(told) == ["match"]


@pytest.mark.parametrize(
    ("first", "query", "code"),
    [
        (vonage("fast"), "", "unknown-encoding"),
        (vonage(16_000), "?claim=anna&sample_rate=8000", "wrong-format"),
        (vonage(4000), "", "bad-rate"),
    ],
)
async def test_vonage_is_refused_what_will_not_do(
    guarded: Server, enrolled: None, first: str, query: str, code: str
) -> None:
    async with dialled(guarded, "/v1/stream" + query, additional_headers=PBX) as system:
        await send(system, [first])
        assert (await heard(system))[2] == code


REFUSED: list[tuple[str | bytes, str, str]] = [
    (media_start("g722"), "", "unknown-encoding"),
    (media_start("opus"), "", "unknown-encoding"),
    (media_start("slin" + "9" * 5000), "", "unknown-encoding"),  # Python reads 4300 figures
    (media_start("ulaw"), "?encoding=alaw", "wrong-format"),
    (media_start("ulaw"), "?sample_rate=16000", "wrong-format"),
    (media_start("ulaw"), "?clam=anna", "bad-parameter"),
    ("MEDIA_XOFF", "", "bad-start"),
    ('{"type": "start"}', "", "bad-start"),
    (json.dumps(jambonz(8000, "mixed")), "", "bad-start"),
    (json.dumps(jambonz(4000)), "", "bad-rate"),
    (bytes(320), "", "binary-before-start"),
]


async def test_a_first_frame_that_will_not_do_is_refused(guarded: Server) -> None:
    async def refused(first: str | bytes, query: str) -> tuple[str | bytes, str, str | None]:
        options: dict[str, Any] = {"subprotocols": ["media"], "additional_headers": PBX}
        async with dialled(guarded, "/v1/stream" + query, **options) as system:
            with contextlib.suppress(ConnectionClosed):  # by what the address asks for, before it
                await send(system, [first])
            return first, query, (await heard(system))[2]

    found = await asyncio.gather(*(refused(first, query) for first, query, _ in REFUSED))
    assert found == REFUSED


@pytest.mark.parametrize("query", ["", "?encoding=mulaw&sample_rate=8000"])
async def test_a_program_between_asterisk_and_us_is_told_what_is_found(
    guarded: Server, query: str
) -> None:
    headers = bearer("phone-secret")
    async with dialled(guarded, "/v1/stream" + query, additional_headers=headers) as program:
        sound = pieces(encoded(bytes(96_000)))
        await send(program, [media_start(), *sound, *NOTICES, {"type": "finalize"}])
        told, code, _ = await heard(program)
    assert code == 1000
    assert told[0]["type"] == "ready"
    assert told[-1]["type"] == "summary"
    assert told[-1]["received_s"] == pytest.approx(3.0, abs=0.05)


async def test_an_address_that_says_another_format_is_told_what_to_do(guarded: Server) -> None:
    headers = bearer("phone-secret")
    async with dialled(guarded, "/v1/stream?claim=", additional_headers=headers) as program:
        await send(program, [media_start()])
        told, code, reason = await heard(program)
    assert (code, reason) == (1008, "wrong-format")
    assert "say so in the address" in told[-1]["message"]


async def test_only_the_first_text_may_be_asterisks(guarded: Server) -> None:
    headers = bearer("phone-secret")
    query = "?encoding=mulaw&sample_rate=8000"
    async with dialled(guarded, "/v1/stream" + query, additional_headers=headers) as program:
        await send(program, [bytes(320), media_start()])
        assert (await heard(program))[2] == "bad-message"


async def test_a_pbx_without_the_password_is_refused(guarded: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with dialled(guarded, "/v1/stream", subprotocols=["media"]):
            pass
    assert refused.value.response.status_code == 401


async def test_a_subprotocol_that_nobody_knows_is_left_out(guarded: Server) -> None:
    options: dict[str, Any] = {"subprotocols": ["graphql-ws"], "additional_headers": PBX}
    async with dialled(guarded, "/v1/stream?claim=", **options) as client:
        assert client.subprotocol is None
        assert json.loads(await client.recv())["type"] == "ready"
