"""PCM decoding: exact levels, any chunking, every format."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.pcm import PcmDecoder
from engine.errors import AudioError
from engine.format import Encoding

ENCODINGS: tuple[Encoding, ...] = ("pcm_s16le", "pcm_f32le", "mulaw", "alaw")


def decode(decoder: PcmDecoder, pieces: list[bytes]) -> np.ndarray:
    return np.concatenate([*(decoder.feed(p) for p in pieces), decoder.flush()])


def tone(encoding: Encoding, samples: int = 3000) -> bytes:
    noise = np.random.default_rng(1).uniform(-0.9, 0.9, samples)
    if encoding == "pcm_s16le":
        return (noise * 32767).astype("<i2").tobytes()
    if encoding == "pcm_f32le":
        return noise.astype("<f4").tobytes()
    return np.random.default_rng(2).integers(0, 256, samples, dtype=np.uint8).tobytes()


@given(
    encoding=st.sampled_from(ENCODINGS),
    rate=st.sampled_from([8000, 16000, 44100, 48000]),
    channels=st.integers(1, 3),
    cuts=st.lists(st.integers(0, 12000), max_size=12),
)
def test_any_chunking_gives_identical_samples(
    encoding: Encoding, rate: int, channels: int, cuts: list[int]
) -> None:
    data = tone(encoding)
    edges = sorted({0, len(data), *(min(c, len(data)) for c in cuts)})
    pieces = [data[a:b] for a, b in pairwise(edges)]
    channel = channels - 1

    def fresh() -> PcmDecoder:
        return PcmDecoder(encoding, rate, channels=channels, channel=channel)

    whole = decode(fresh(), [data])
    np.testing.assert_array_equal(decode(fresh(), pieces), whole)
    expected = len(data) // fresh()._frame_bytes * 16000 / rate
    assert abs(len(whole) - expected) <= 2


def test_one_byte_at_a_time() -> None:
    data = tone("pcm_s16le", 500)
    whole = decode(PcmDecoder("pcm_s16le", 48000), [data])
    split = decode(PcmDecoder("pcm_s16le", 48000), [data[i : i + 1] for i in range(len(data))])
    np.testing.assert_array_equal(split, whole)


# Extremes and smallest steps of ITU-T G.711, in its own 14- and 13-bit units.
@pytest.mark.parametrize(
    ("encoding", "code", "level"),
    [
        ("mulaw", 0xFF, 0.0),
        ("mulaw", 0x80, 8031 / 8192),
        ("mulaw", 0x00, -8031 / 8192),
        ("mulaw", 0xFE, 2 / 8192),
        ("alaw", 0xD5, 1 / 4096),
        ("alaw", 0x55, -1 / 4096),
        ("alaw", 0xAA, 4032 / 4096),
        ("alaw", 0x2A, -4032 / 4096),
    ],
)
def test_companding_levels(encoding: Encoding, code: int, level: float) -> None:
    assert PcmDecoder(encoding, 16000).feed(bytes([code]))[0] == pytest.approx(level, abs=1e-7)


def test_the_chosen_channel_is_kept() -> None:
    left, right = np.full(10, 100, "<i2"), np.full(10, -200, "<i2")
    data = np.stack([left, right], axis=1).tobytes()
    out = PcmDecoder(channels=2, channel=1).feed(data)
    np.testing.assert_array_equal(out, np.full(10, -200 / 32768, np.float32))


def test_resampling_keeps_a_tone() -> None:
    time = np.arange(48000) / 48000
    data = (0.5 * np.sin(2 * np.pi * 1000 * time)).astype("<f4").tobytes()
    out = decode(PcmDecoder("pcm_f32le", 48000), [data])
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(len(out)) / 16000)
    assert np.abs(out - expected)[200:-200].max() < 1e-3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_is_refused(value: float) -> None:
    with pytest.raises(AudioError, match="not finite"):
        PcmDecoder("pcm_f32le").feed(np.array([0.1, value], "<f4").tobytes())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoding": "mp3"}, "encoding 'mp3'"),
        ({"sample_rate_hz": 0}, "0 Hz"),
        ({"sample_rate_hz": 192001}, "192001 Hz"),
        ({"channels": 0}, "0 channels"),
        ({"channels": 2, "channel": 2}, "channel 2 does not exist"),
    ],
)
def test_a_format_that_is_not_understood_is_refused(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(AudioError, match=message):
        PcmDecoder(**arguments)
