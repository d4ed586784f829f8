"""Recordings for `/v1/verify` that PyAV reads: the same verdict, and bounds on what is decoded."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import soxr
from encoded import encoded, film, library

from engine.audio.signatures import mp3_frame
from streamer.server import apart, recording
from streamer.server.server import Server
from streamer.wire.errors import WireError
from streamer.wire.requests import VerifyRecording
from voxwatch_client import ServerError, verify

library()

FORMS = [("webm", "libopus", 48_000), ("ipod", "aac", 44_100), ("mp3", "libmp3lame", 16_000)]
FORMS += [("amr", "libopencore_amrnb", 8_000), ("ipod", "alac", 48_000)]
FORMS += [("matroska", "flac", 48_000), ("mov", "pcm_s16le", 16_000)]


def resampled(sound: Any, rate_hz: int) -> Any:
    return soxr.resample(np.concatenate([np.zeros(8000, np.float32), sound]), 16_000, rate_hz)


@pytest.mark.parametrize(("form", "codec", "rate_hz"), FORMS)
async def test_the_verdict_is_that_on_pcm(
    server: Server, enrol: Any, voice: Any, pcm: Any, form: str, codec: str, rate_hz: int
) -> None:
    enrol(server, "anna")
    enrol(server, "bert")
    asked = {"encoding": "pcm_s16le", "sample_rate": 16_000}
    raw = await verify(server.url, bytes(16_000) + pcm("anna", 4.0), claim="anna", **asked)
    assert raw.state == "match"
    body = encoded(form, codec, resampled(voice("anna", 4.0), rate_hz), rate_hz=rate_hz)
    told = await verify(server.url, body, claim="anna")
    assert told.received_s == pytest.approx(raw.received_s, abs=0.15)
    assert told.turns[0].end == pytest.approx(raw.turns[0].end, abs=0.15)
    # This little model knows voices by their spectrum, which codecs and telephones change.
    assert (told.speaker, told.evidence is not None and told.evidence > 0) == ("anna", True)
    assert told.state == "match" or form != "webm"


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (film(), "bad-sound", "holds no sound"),
        (b"ID3\x03" + bytes(99), "bad-sound", "no MP3 that can be read"),
        (b"\x1a\x45\xdf\xa3" + bytes(99), "bad-sound", "the recording"),
        (b"\0\0\0\x14ftypM4A \0\0\0\0M4A " + bytes(100), "bad-sound", "index is lacking"),
        (b"#!AMR\n\x3c" + bytes(5), "bad-sound", "last frame is torn"),
        # Frames of 20 ms in which nothing is said.
        (b"#!AMR\n" + 3050 * b"\x7c", "recording-too-long", "at most 60 s"),
        (
            encoded("ipod", "aac", np.zeros((9600, 2), np.float32) + 0.01),
            "no-speech",  # both channels hold the same sound
            "nobody speaks",
        ),
        (
            encoded("ipod", "aac", np.zeros((9600, 6), np.float32) + 0.01),
            "bad-parameter",
            "6 channels",
        ),
    ],
)
async def test_what_is_refused_is_named(server: Server, body: bytes, code: str, words: str) -> None:
    with pytest.raises(ServerError, match=words) as caught:
        await verify(server.url, body)
    assert caught.value.code == code


async def test_an_mp3_that_does_not_state_its_bit_rate_is_read(
    server: Server, enrol: Any, voice: Any
) -> None:
    enrol(server, "anna")
    sound = resampled(voice("anna", 4.0), 48_000)
    whole = encoded("mp3", "libmp3lame", sound, write_xing="0", id3v2_version="0")
    free = bytearray(whole)
    for at in range(0, len(free) - 3, size := mp3_frame(whole[:4]) or 0):
        assert free[at : at + 2] == whole[:2], size
        free[at + 2] &= 0x0F
    told = await verify(server.url, bytes(free), claim="anna")
    assert told.received_s == pytest.approx(len(sound) / 48_000, abs=0.15)
    assert told.speaker == "anna"


@pytest.mark.parametrize(
    ("form", "codec"), [("adts", "aac"), ("matroska", "flac"), ("mov", "alac"), ("ipod", "aac")]
)
async def test_damage_within_is_told_as_of_a_plain_file(
    server: Server, form: str, codec: str
) -> None:
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.standard_normal(64_000)).astype(np.float32)
    body = bytearray(encoded(form, codec, sound, rate_hz=16_000))
    half = len(body) // 2
    body[half : half + 400] = rng.bytes(400)
    with pytest.raises(ServerError, match=r"damaged or cut short .*: copy it again") as caught:
        await verify(server.url, bytes(body))
    assert caught.value.code == "bad-sound"


def box(name: bytes, *content: bytes) -> bytes:
    joined = b"".join(content)
    return struct.pack(">I", 8 + len(joined)) + name + joined


def full(name: bytes, *numbers: int, more: bytes = b"") -> bytes:
    return box(name, struct.pack(f">{1 + len(numbers)}I", 0, *numbers), more)


def many_frames(count: int) -> bytes:
    """An MP4 of 1.5 KB that says it has so many frames of a byte each."""
    kind = bytes(6) + struct.pack(">H8xHHHHI", 1, 1, 16, 0, 0, 16_000 << 16)
    tables = full(b"stsd", 1, more=box(b"mp4a", kind)) + full(b"stts", 0) + full(b"stsc", 0)
    tables += full(b"stsz", 0, 0) + full(b"stco", 0)
    media = full(b"mdhd", 0, 0, 16_000, 0, 0) + full(b"hdlr", 0, more=b"soun" + bytes(13))
    media += box(b"minf", full(b"smhd", 0), box(b"stbl", tables))
    track = box(b"trak", full(b"tkhd", 0, 0, 1, 0, 0, more=bytes(60)), box(b"mdia", media))
    head = full(b"mvhd", 0, 0, 16_000, 0, more=bytes(80))
    index = box(b"moov", head, track, box(b"mvex", full(b"trex", 1, 1, 1024, 1, 0)))
    one = box(b"tfhd", struct.pack(">II", 0x020000, 1)) + full(b"trun", count)
    fragment = box(b"moof", full(b"mfhd", 1), box(b"traf", one))
    return box(b"ftyp", b"isom\0\0\0\0isom") + index + fragment + box(b"mdat", bytes(1000))


@pytest.mark.skipif(sys.platform == "win32", reason="no bounds on memory there")
def test_a_few_bytes_that_claim_many_frames_are_refused_within_the_bounds() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with pytest.raises(WireError) as caught:
        recording.PostedRecording(many_frames(80_000_000), VerifyRecording())
    assert caught.value.code == "bad-sound"
    # Without bounds it takes 2.9 GB. A child begins as large as this process is.
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert after <= max(before * 1024, ours, apart.MOST_BYTES)


def test_the_process_is_started_without_the_name_of_the_claim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []

    class Noting(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            started.extend([*command, *options["env"].values()])
            super().__init__(command, **options)

    monkeypatch.setattr(apart.subprocess, "Popen", Noting)
    sides = np.zeros((4800, 2), np.float32)
    sides[:, 1] = 0.5
    body = encoded("webm", "libopus", sides)
    asked = VerifyRecording(claim="anna-of-the-claim", channel=1)
    heard = np.frombuffer(apart.decode_apart(body, asked, lambda: False).pcm, np.float32)
    assert np.abs(heard).max() > 0.1  # and the channel is told
    assert started
    assert not [word for word in started if "anna" in word]


async def test_decoding_stops_when_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "LOOK_S", 0.01)
    body = encoded("mp3", "libmp3lame", np.zeros(160_000, np.float32), rate_hz=16_000)
    with pytest.raises(WireError, match="decoding took too long") as caught:
        await asyncio.to_thread(apart.decode_apart, body, VerifyRecording(), lambda: True)
    assert caught.value.code == "overloaded"


async def test_without_the_extra_it_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "available", lambda: False)
    body = encoded("webm", "libopus", np.zeros(4800, np.float32))
    with pytest.raises(
        ServerError, match=r"WebM.*needs the extra media.*voxwatch\[media\]"
    ) as caught:
        await verify(server.url, body)
    assert caught.value.code == "wrong-format"
