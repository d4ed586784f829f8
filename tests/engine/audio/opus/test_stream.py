"""Opus as it comes: the same PCM for any pieces, gaps as silence, and what is refused."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from encoded import encoded, film, library, opus_packets
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.audio.media.library import MediaMissing
from engine.audio.opus import stream
from engine.audio.opus.stream import OpusStream
from engine.errors import AudioError, WrongFormat

library()

RATE = 48_000
CONTAINERS = ["ogg", "webm"]


def sound(seconds: float, seed: int = 0, channels: int = 1) -> NDArray[np.float32]:
    noise = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels))
    return np.asarray(noise, np.float32)


@functools.cache
def recording(form: str, seconds: float, seed: int = 0, channels: int = 1) -> bytes:
    return encoded(form, "libopus", sound(seconds, seed, channels))


def heard(*pieces: bytes, channel: int = 0) -> bytes:
    opus = OpusStream(channel)
    return b"".join(pcm for piece in pieces for pcm in opus.feed(piece))


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / RATE


@pytest.mark.parametrize("form", CONTAINERS)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_it_is_what_the_library_makes_of_the_file(form: str, channels: int) -> None:
    data = recording(form, 2.0, channels=channels)
    with library().open(io.BytesIO(data)) as container:
        frames = [f.to_ndarray() for f in container.decode(audio=0)]
    whole = np.concatenate(frames, axis=1)
    for channel in range(channels):
        pcm = np.frombuffer(heard(data, channel=channel), "<i2") / 32768
        assert seconds(heard(data, channel=channel)) == pytest.approx(2.0, abs=0.021)
        np.testing.assert_allclose(pcm[: whole.shape[1]], whole[channel], atol=2e-3)


@settings(max_examples=20)
@given(
    form=st.sampled_from(CONTAINERS), cuts=st.lists(st.integers(1, 4000), min_size=1, max_size=20)
)
def test_it_does_not_matter_where_it_is_cut(form: str, cuts: list[int]) -> None:
    data, at, pieces = recording(form, 1.0), 0, []
    while at < len(data):
        pieces.append(data[at : at + cuts[len(pieces) % len(cuts)]])
        at += len(pieces[-1])
    assert heard(*pieces) == heard(data)


@pytest.mark.parametrize("form", CONTAINERS)
def test_byte_by_byte_nothing_much_is_held(form: str) -> None:
    opus, data = OpusStream(), recording(form, 1.0)
    most = total = 0
    for at in range(len(data)):
        total += sum(map(len, opus.feed(data[at : at + 1])))
        most = max(most, opus.torn)
    assert total == len(heard(data))
    assert opus.torn == 0
    assert most <= 1 << 16


@pytest.mark.parametrize("first", CONTAINERS)
def test_recordings_may_follow_each_other(first: str) -> None:
    data = recording(first, 1.0) + recording(first, 1.5, 1) + recording(first, 0.5, channels=2)
    assert seconds(heard(data)) == pytest.approx(3.0, abs=0.07)
    assert heard(data).startswith(heard(recording(first, 1.0)))


@pytest.mark.parametrize("form", CONTAINERS)
def test_every_beginning_is_a_beginning(form: str) -> None:
    data, whole = recording(form, 1.0), heard(recording(form, 1.0))
    lengths = []
    for end in range(0, len(data), 97):
        opus = OpusStream()
        pcm = b"".join(opus.feed(data[:end]))
        assert whole.startswith(pcm)
        lengths.append(len(pcm))
    assert lengths == sorted(lengths)


# What containers say of time. Made by hand: no encoder leaves gaps.


def ogg_page(
    *packets: bytes, position: int, serial: int = 7, flags: int = 0, number: int = 0
) -> bytes:
    table = b"".join(
        b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets
    )
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, position, serial, number, 0, len(table))
    return head + table + b"".join(packets)


def ogg(pages: Iterator[tuple[list[bytes], int]], head: bytes, *, serial: int = 7) -> bytes:
    begin = ogg_page(head, position=0, flags=2, serial=serial)
    begin += ogg_page(b"OpusTags" + bytes(8), position=0, serial=serial)
    return begin + b"".join(ogg_page(*some, position=end, serial=serial) for some, end in pages)


def element(name: int, content: bytes) -> bytes:
    length = (name.bit_length() + 7) // 8
    size = (1 << 56 | len(content)).to_bytes(8, "big")
    return name.to_bytes(length, "big") + size + content


def webm(blocks: list[tuple[int, bytes]], head: bytes, *, more: bytes = b"") -> bytes:
    """Packets at their times in milliseconds, live: the cluster states no length."""
    track = element(0xD7, b"\x01") + element(0x86, b"A_OPUS") + element(0x63A2, head)
    video = element(0xD7, b"\x02") + element(0x86, b"V_VP8")
    tracks = element(0x1654AE6B, element(0xAE, video) + element(0xAE, track))
    begin = element(0x1A45DFA3, element(0x4282, b"webm")) + bytes.fromhex("18538067ff")
    found = begin + element(0x1549A966, element(0x2AD7B1, (1_000_000).to_bytes(3, "big"))) + tracks
    for place, packet in blocks:
        found += bytes.fromhex("1f43b67501ffffffffffffff") + element(0xE7, place.to_bytes(4, "big"))
        found += element(0xA3, b"\x82\0\0\x80" + bytes(100_000)) + more
        found += element(0xA3, b"\x81\0\0\x80" + packet)
    return found


@functools.cache
def packets(seconds_: float) -> tuple[bytes, tuple[bytes, ...]]:
    head, found = opus_packets(recording("ogg", seconds_))
    return head, tuple(found)


@pytest.mark.parametrize("form", CONTAINERS)
@pytest.mark.parametrize(
    ("gap_s", "is_heard_s"), [(0.0, 0.0), (1.0, 1.0), (29.9, 29.9), (3600, 30)]
)
def test_what_lacks_by_the_times_is_silence_of_that_length(
    form: str, gap_s: float, is_heard_s: float
) -> None:
    head, found = packets(1.0)
    before, after = list(found[:25]), list(found[25:50])
    if form == "ogg":
        times = [(before, 24_000), (after, 48_000 + round(gap_s * RATE))]
        data = ogg(iter(times), head)
    else:
        places = [20 * n + (round(gap_s * 1000) if n >= 25 else 0) for n in range(50)]
        data = webm(list(zip(places, before + after, strict=True)), head)
    pcm = np.frombuffer(heard(data), "<i2")
    assert len(pcm) / RATE == pytest.approx(1.0 + is_heard_s, abs=0.03)
    if gap_s:
        begin, end = round(0.5 * RATE), round((0.48 + is_heard_s) * RATE)
        assert not pcm[begin:end].any()
        assert pcm[end + 2000 :].any()


@pytest.mark.parametrize("jitter_ms", [10, 40])
def test_times_that_are_not_exact_leave_no_gaps(jitter_ms: int) -> None:
    head, found = packets(1.0)
    rng = np.random.default_rng(0)
    places = [max(0, 20 * n + int(rng.integers(-jitter_ms, jitter_ms))) for n in range(50)]
    data = webm(list(zip(places, found, strict=False)), head)
    assert seconds(heard(data)) == pytest.approx(1.0, abs=0.03)


def test_a_stream_that_was_joined_late_begins_where_it_was_joined() -> None:
    head, found = packets(1.0)
    data = ogg(iter([(list(found[:25]), 10**9), (list(found[25:50]), 10**9 + 24_000)]), head)
    assert seconds(heard(data)) == pytest.approx(1.0, abs=0.03)


def test_what_a_last_page_leaves_out_is_no_sound() -> None:
    head, found = packets(1.0)
    begin = ogg(iter([(list(found[:25]), 24_000)]), head)
    last = ogg_page(found[25], position=24_000 + 100, flags=4)
    assert len(heard(begin + last)) - len(heard(begin)) == 200


def test_other_streams_of_the_container_are_passed_over() -> None:
    head, found = packets(1.0)
    other = ogg_page(b"fishead\0" + bytes(56), position=0, serial=9, flags=2)
    sound_of = ogg(iter([(list(found[:25]), 24_000)]), head)
    noise = ogg_page(bytes(5000), position=5, serial=9)
    assert heard(other + sound_of + noise) == heard(sound_of)
    data = webm([(0, found[0])], head, more=element(0xEC, bytes(70_000)))
    assert heard(data)  # Void, and the pictures that `webm` puts before each packet


# What is no Opus.


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt ", "this is a WAV file"),
        (b"\0\0\0\x1cftypisom" + bytes(20), "this is an MP4 or M4A file"),
        (bytes(range(1, 200)), "neither Ogg nor WebM.*without a container"),
        (bytes.fromhex("1f43b675") + bytes(100), "a later part of WebM"),
        (b"OggS" + bytes(22) + b"\x01\x05abcde" + bytes(20), "holds something else, no Opus"),
    ],
)
def test_what_it_is_instead_is_said(data: bytes, words: str) -> None:
    with pytest.raises(WrongFormat, match=words):
        heard(data)


def test_other_sound_in_the_same_containers_is_named() -> None:
    with pytest.raises(WrongFormat, match="holds FLAC, no Opus"):
        heard(encoded("ogg", "flac", sound(0.1)))
    with pytest.raises(WrongFormat, match="holds A_FLAC: record audio/webm;codecs=opus"):
        heard(encoded("matroska", "flac", sound(0.1)))
    with pytest.raises(WrongFormat, match="holds V_VP8"):
        heard(film("webm", "libvpx"))


@pytest.mark.parametrize("form", CONTAINERS)
def test_bytes_that_are_left_out_are_told(form: str) -> None:
    data = recording(form, 2.0)
    with pytest.raises(AudioError):
        heard(data[:9000] + data[9500:] + data[:9000])


@pytest.mark.parametrize("form", CONTAINERS)
@pytest.mark.parametrize(
    ("behind", "name"),
    [
        (b"RIFF" + bytes(60), "a WAV file"),
        (b"fLaC" + bytes(60), "a FLAC file"),
        (b"#!AMR\n" + bytes(60), "an AMR file"),
        (b"ID3\x04" + bytes(60), "an MP3 file"),
        (b"FORM" + bytes(60), "an AIFF file"),
        (b"\x00\x00\x00\x20ftypM4A " + bytes(60), "an MP4 or M4A file"),
    ],
)
def test_a_file_of_another_form_behind_a_recording_is_named(
    form: str, behind: bytes, name: str
) -> None:
    words = f"{name}.* follows the recording in {form}: send each recording in its own stream"
    with pytest.raises(WrongFormat, match=f"(?i){words}"):
        heard(recording(form, 1.0), behind)


def test_the_other_container_behind_a_recording_is_named() -> None:
    for form, other, name in (("ogg", "webm", "WebM or Matroska"), ("webm", "ogg", "an Ogg file")):
        with pytest.raises(WrongFormat, match=f"{name}.* follows the recording"):
            heard(recording(form, 1.0), recording(other, 1.0))


def test_a_channel_that_is_not_there_is_told() -> None:
    assert heard(recording("ogg", 0.5, channels=2), channel=1)
    with pytest.raises(WrongFormat, match="no channel 1: it has 1"):
        heard(recording("ogg", 0.5), channel=1)


@settings(max_examples=60)
@given(data=st.data(), form=st.sampled_from(CONTAINERS))
def test_spoilt_bytes_end_in_an_error_or_in_sound(data: st.DataObject, form: str) -> None:
    spoilt = bytearray(recording(form, 0.5))
    for _ in range(data.draw(st.integers(1, 8))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    opus, total = OpusStream(), 0
    try:
        for pcm in opus.feed(bytes(spoilt)):
            total += len(pcm)
            assert len(pcm) <= 2 * (stream.PIECE_SAMPLES + 5760)
            if total > 400 * RATE:  # spoilt times: each may be some silence
                break
    except AudioError:
        pass


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(
        MediaMissing, match=r'needs the extra media: pip install "voxwatch\[media\]"'
    ):
        OpusStream()
