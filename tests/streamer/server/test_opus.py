"""Opus in Ogg and WebM over the socket: the same as PCM, cut anywhere, resumed, refused."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soxr
from encoded import encoded

from streamer.config import Config
from streamer.server import sound
from streamer.server.server import Server
from streamer.wire.requests import StartStream
from voxwatch_client import ServerError, connect, enroll, messages

CONTAINERS = ["ogg", "webm"]


@pytest.fixture
def opus(voice: Any) -> Callable[..., bytes]:
    """``opus("webm", ("anna", 4.0), ("bert", 4.0))``: those voices one after the other."""

    def make(form: str, *parts: tuple[str, float], seed: int = 0) -> bytes:
        joined = np.concatenate([voice(name, seconds, seed=seed) for name, seconds in parts])
        return encoded(form, "libopus", soxr.resample(joined, 16_000, 48_000))

    return make


def seqs_without_gap(seen: list[dict[str, Any]]) -> bool:
    numbers = [message["seq"] for message in seen]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize(("form", "piece"), [("ogg", 1_000_000), ("webm", 977)])
async def test_the_verdict_is_that_of_pcm(
    server: Server, dial: Any, enrol: Any, pcm: Any, opus: Any, form: str, piece: int
) -> None:
    enrol(server, "anna")
    enrol(server, "bert")
    told = []
    for encoding, data in [("pcm_s16le", pcm("anna", 6.0)), ("opus", opus(form, ("anna", 6.0)))]:
        async with dial(server, claim="anna", encoding=encoding, live="false") as client:
            await client.sound(data, piece)
            await client.say(type="finalize")
            assert await client.rest() == 1000
        assert seqs_without_gap(client.seen)
        told.append(client)
    raw, packed = told
    (one,), (other,) = raw.of("utterance"), packed.of("utterance")
    assert (other["state"], other["speaker"]) == (one["state"], one["speaker"]) == ("match", "anna")
    assert other["start"] == pytest.approx(one["start"], abs=0.1)
    assert other["end"] == pytest.approx(one["end"], abs=0.1)
    assert packed.of("summary")[0]["received_s"] == pytest.approx(6.0, abs=0.03)
    assert not any(
        set(q["problems"]) & {"format-suspect", "rate-suspect", "repeated"}
        for q in packed.of("quality")
    )
    assert packed.of("received")[-1]["received_bytes"] <= len(opus(form, ("anna", 6.0)))
    assert not raw.of("received")


@pytest.mark.parametrize("form", CONTAINERS)
async def test_a_connection_that_breaks_is_resumed_by_bytes(
    server: Server, dial: Any, enrol: Any, opus: Any, form: str
) -> None:
    enrol(server, "anna")
    data = opus(form, ("anna", 6.0))
    async with dial(server, claim="anna", encoding="opus") as client:
        ready = await client.hear()
        await client.sound(data[:20_011], 1_001)
        await client.until("received")
        client.connection.transport.abort()
    seq = client.seen[-1]["seq"]
    async with dial(server, session=ready["session"], resume_from=seq + 1) as again:
        resumed = await again.hear()
        assert resumed["resumed"]
        await again.sound(data[resumed["received_bytes"] :], 1_003)
        await again.say(type="finalize")
        assert await again.rest() == 1000
    assert again.of("summary")[0]["received_s"] == pytest.approx(6.0, abs=0.03)
    assert again.of("utterance")[0]["speaker"] == "anna"


async def test_the_client_holds_what_was_not_taken_and_no_more(
    server: Server, enrol: Any, opus: Any
) -> None:
    enrol(server, "anna")
    data = opus("webm", ("anna", 20.0))
    async with connect(server.url, claim="anna", encoding="opus", live=False) as stream:
        for start in range(0, len(data), 1000):
            await stream.send(data[start : start + 1000])
        await stream.finalize()
        told = [event async for event in stream]
    assert isinstance(told[-1], messages.Summary)
    assert told[-1].received_s == pytest.approx(20.0, abs=0.03)
    taken = [event.received_bytes for event in told if isinstance(event, messages.Received)]
    assert taken == sorted(taken)
    assert len(data) - taken[-1] < 1 << 15
    assert stream._sound.start == taken[-1]


async def test_somebody_enrols_by_opus(server: Server, opus: Any) -> None:
    version = server.context.config.consent.version
    data = opus("webm", ("anna", 26.0))
    async with enroll(server.url, "anna", consent=version, encoding="opus") as enrolment:
        sending = asyncio.create_task(enrolment.send(data))
        told = [event async for event in enrolment]
        sending.cancel()
    assert isinstance(told[-1], messages.EnrolledAs)
    assert told[-1].net_speech_s >= 15


async def test_one_channel_of_two_is_heard_and_marks_hold_where_they_were_sent(
    server: Server, dial: Any, enrol: Any, voice: Any
) -> None:
    enrol(server, "anna")
    enrol(server, "bert")
    both = np.stack([voice("bert", 6.0), voice("anna", 6.0)], axis=1)
    data = encoded("ogg", "libopus", soxr.resample(both, 16_000, 48_000), page_duration="20000")
    half = data.index(b"OggS", len(data) // 2)  # a page ends there
    async with dial(server, claim="anna", encoding="opus", channel=1, live="false") as client:
        await client.sound(data[:half], 4000)
        await client.say(type="mute", on=True)
        await client.sound(data[half:], 4000)
        await client.say(type="finalize")
        assert await client.rest() == 1000
    (turn,) = client.of("utterance")
    assert (turn["speaker"], turn["state"]) == ("anna", "match")
    assert turn["end"] == pytest.approx(3.0, abs=0.6)


# What is refused, and what is bounded.


async def test_what_is_no_opus_is_named(server: Server, dial: Any, opus: Any) -> None:
    later = opus("webm", ("anna", 1.0))
    later = later[later.index(bytes.fromhex("1f43b675")) :]
    wrong = [(b"RIFF\x24\0\0\0WAVEfmt ", "a WAV file"), (later, "a later part of WebM")]
    wrong += [
        (b"\0\0\0\x1cftypiso5" + bytes(20), "an MP4"),
        (b"\x78" * 200, "neither Ogg nor WebM"),
    ]
    for data, words in wrong:
        async with dial(server, claim="", encoding="opus") as client:
            await client.sound(data)
            assert await client.rest() == 1008
        assert client.seen[-1]["code"] == "wrong-format"
        assert words in client.seen[-1]["message"]
        assert "audio/webm;codecs=opus" in client.seen[-1]["message"]


async def test_bytes_that_are_no_whole_page_are_told(server: Server, dial: Any, opus: Any) -> None:
    data = opus("ogg", ("anna", 2.0))
    async with dial(server, claim="", encoding="opus") as client:
        await client.sound(data[:-50])
        await client.say(type="finalize")
        assert await client.rest() == 1000
    (torn,) = client.of("error")
    assert torn["code"] == "torn-end"
    assert client.seen[-1]["type"] == "summary"


async def test_without_the_extra_the_start_is_refused(
    server: Server, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "available", lambda: False)
    async with dial(server, claim="", encoding="opus") as client:
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "encoding-unsupported"
    assert 'pip install "voxwatch[media]"' in client.seen[-1]["message"]
    version = server.context.config.consent.version
    with pytest.raises(ServerError, match="cannot decode Opus"):
        async with enroll(server.url, "anna", consent=version, encoding="opus"):
            pass
    async with dial(server, "/v1/control") as control:
        assert "opus" not in (await control.ask(type="status"))["encodings"]
    assert not len(server.streams)


def silence_of(hours: int) -> bytes:
    """Pages of Opus that say nothing for hours: 255 packets of 120 ms and 2 bytes on each."""
    page = struct.Struct("<4sBBqIIIB")

    def paged(packets: list[bytes], position: int, flags: int = 0) -> bytes:
        head = page.pack(b"OggS", 0, flags, position, 1, 0, 0, len(packets))
        return head + bytes(map(len, packets)) + b"".join(packets)

    head = b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0"
    pages = [paged([head], 0, 2), paged([b"OpusTags" + bytes(8)], 0)]
    quiet = [b"\x1b\x02"] * 255  # SILK, 60 ms, two frames that were not sent
    pages += [paged(quiet, 255 * 5760 * (n + 1)) for n in range(hours * 3600 * 10 // 306)]
    return b"".join(pages)


def test_what_is_taken_apart_at_once_is_bounded_whatever_it_is() -> None:
    heard = sound.ClientSound(StartStream(encoding="opus"))
    voids = encoded("webm", "libopus", np.zeros(4800, np.float32)) + b"\xec\x80" * 100_000
    pieces = list(heard.pieces(voids))
    assert pieces.count(b"") == -(-len(voids) // sound.SLICE_BYTES)
    assert heard.least_s(len(voids)) > 3


@pytest.mark.parametrize(
    ("received_bytes", "received_s", "expected"),
    [
        (0, 0.0, 1.0),  # nothing is known: 32 kbit/s
        (0, 40.0, 1.0),  # of a message that is being taken the bytes are not counted yet
        (80_000, 40.0, 2.0),
    ],
)
def test_how_long_bytes_that_wait_are_is_told_by_those_before(
    received_bytes: int, received_s: float, expected: float
) -> None:
    heard = sound.ClientSound(StartStream(encoding="opus"))
    assert heard.seconds(4000, received_bytes, received_s) == pytest.approx(expected)


async def test_hours_in_a_few_bytes_count_as_hours(
    settings: Callable[..., Config], dial: Any
) -> None:
    data = silence_of(3)
    assert len(data) < 300_000
    limits = {"stream_s": 40.0, "audio_s_per_client_hour": 3600.0}
    async with Server(settings(limits=limits), drain_s=1.0) as server:
        async with dial(server, claim="", encoding="opus", live="false") as client:
            await client.connection.send(data)  # in one message
            assert await client.rest() == 1008
        assert client.seen[-1]["code"] == "stream-too-long"
        assert client.of("summary")[0]["received_s"] == pytest.approx(40.0, abs=1.0)
        assert server.context.counts.sound_s == pytest.approx(40.0, abs=1.0)
