"""First bytes of what is no PCM."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.pcm import PcmDecoder
from engine.audio.signatures import foreign
from engine.errors import WrongFormat
from engine.format import SAMPLE_RATE_HZ


def encoded(form: str, subtype: str | None = None) -> bytes:
    sound = np.sin(np.arange(SAMPLE_RATE_HZ) / 20).astype(np.float32) / 2
    buffer = io.BytesIO()
    sf.write(buffer, sound, SAMPLE_RATE_HZ, format=form, subtype=subtype)
    return buffer.getvalue()


def feed(data: bytes, piece: int) -> None:
    decoder = PcmDecoder()
    for start in range(0, len(data), piece):
        decoder.feed(data[start : start + piece])


FILES = {
    "WAV": encoded("WAV"),
    "RF64": encoded("RF64"),
    "Wave64": encoded("W64"),
    "RIFX": b"RIFX\x00\x00\x10\x24WAVEfmt " + bytes(100),
    "Ogg": encoded("OGG", "OPUS"),
    "FLAC": encoded("FLAC"),
    "MP3": encoded("MP3"),
    "ID3": b"ID3\x04\x00\x00\x00\x00\x00\x00" + encoded("MP3"),
    "AIFF": encoded("AIFF"),
    "CAF": encoded("CAF"),
    "AU": encoded("AU"),
    "WebM": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01" + bytes(100),
    "later part of WebM": b"\x1f\x43\xb6\x75\x01" + bytes(100),
    "MP4": b"\x00\x00\x00\x20ftypM4A " + bytes(100),
    "AMR": b"#!AMR\n" + bytes(100),
    "WavPack": b"wvpk\x32\x00\x00\x00\x10\x04" + bytes(100),
    "WMA": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9" + bytes(100),
    "NIST SPHERE": encoded("NIST"),
    "VOC": encoded("VOC", "PCM_U8"),
    "Flash": b"FLV\x01\x04" + bytes(100),
    "MPEG program stream": b"\x00\x00\x01\xba\x44" + bytes(100),
    "ZIP": b"PK\x03\x04\x14\x00" + bytes(100),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(100),
    "AAC": (b"\xff\xf1\x60\x40\x02\x1f\xfc" + bytes(9)) * 3,
    "MPEG transport stream": (b"G@\x11\x10" + bytes(184)) * 4,
    "text": ",".join(str(n % 3 - 1) for n in range(600)).encode(),
    "text, perhaps": bytes(600).hex().encode() + b"ffff",
    "text, perhaps base64": repr([0, -1] * 300).encode(),
    "Twilio": b'{"event":"media","media":{"payload":"//7+"}}',
    "base64": b"UklGRiQAAABXQVZFZm10IBAAAAABAAEA" * 20,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_file_or_another_protocol_is_named_and_refused(name: str, piece: int) -> None:
    with pytest.raises(WrongFormat, match=rf"{name}.*: .*decode"):
        feed(FILES[name], piece)


@given(st.binary(max_size=400).filter(lambda data: b"ftyp" not in data))
def test_other_bytes_are_none(data: bytes) -> None:
    for first in (b"\x00", b"\xff", b"\xff\xfb\x90\x00", b"\xff\xf1", b"\x55", b"\x1a\x45"):
        assert foreign(first + data) is None


def test_a_law_around_a_small_offset_is_no_text() -> None:
    quiet = np.random.default_rng(1).integers(0x54, 0x58, 4000, np.uint8).tobytes()
    assert foreign(quiet) is None
    assert foreign(b"5" * 4000) is None


@pytest.mark.parametrize("level", [-5, -1025, 8191, 0])
def test_samples_that_look_like_a_header_of_mp3_are_samples(level: int) -> None:
    PcmDecoder().feed(np.full(4000, level, "<i2").tobytes())
    PcmDecoder("mulaw", 8000).feed(b"\xff\xfb\x90\x40" + b"\xff" * 4000)


@pytest.mark.parametrize("level", [71, -185, 327, 4423, 18_247])
@pytest.mark.parametrize("noise", [0, 1])
def test_levels_that_look_like_packets_are_samples(level: int, noise: int) -> None:
    """Their low byte is that with which a packet of a transport stream begins."""
    rng = np.random.default_rng(level % 100)
    for _ in range(200):
        PcmDecoder().feed((level + rng.integers(0, 1 + noise, 300)).astype("<i2").tobytes())
