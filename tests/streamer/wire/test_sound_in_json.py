"""Sound in JSON, told from tokens, keys, hashes and pictures."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import numpy as np
import pytest

from streamer.wire.sound_in_json import holds_sound, is_sound

RNG = np.random.default_rng(7)


def voiced(rate_hz: int, seconds: float, level: float = 0.3) -> np.ndarray[Any, Any]:
    """As a vowel: pulses through two resonances, swelling."""
    at = np.arange(round(rate_hz * seconds)) / rate_hz
    waves = sum(np.sin(2 * np.pi * 120 * n * at) / n for n in range(1, 20))
    sound = level * waves / 2 * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at))
    return np.asarray(sound + RNG.normal(0, 0.002, len(at)))


def mulaw(sound: np.ndarray[Any, Any]) -> bytes:
    steps = np.log1p(255 * np.minimum(np.abs(sound), 1)) / np.log(256) * 127
    return (
        (255 - np.where(sound < 0, steps + 128, steps).astype(np.uint8)).astype(np.uint8).tobytes()
    )


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def s16(sound: np.ndarray[Any, Any]) -> bytes:
    return np.round(sound * 32767).clip(-32768, 32767).astype("<i2").tobytes()


def opus() -> bytes:
    """What has no order, as packets of a coder have none."""
    return RNG.integers(0, 256, 160, np.uint8).tobytes()


SOUNDS = {
    "16 bits, 20 ms": s16(voiced(16_000, 0.02)),
    "16 bits, 8 kHz": s16(voiced(8000, 0.1)),
    "16 bits, soft": s16(voiced(16_000, 0.02, 0.01)),
    "16 bits, loud": s16(voiced(24_000, 0.1, 1.0)),
    "mu-law, 20 ms": mulaw(voiced(8000, 0.02)),
    "mu-law, 100 ms": mulaw(voiced(8000, 0.1)),
    "floats": voiced(16_000, 0.02).astype("<f4").tobytes(),
    "silence": bytes(640),
    "silence of mu-law": b"\xff" * 160,
    "a file": b"OggS\x00\x02" + opus(),
    "a file of WAV": b"RIFF\x24\x08\x00\x00WAVEfmt " + opus(),
}
TOKEN = RNG.integers(0, 256, 96, np.uint8).tobytes()
OTHERS = {
    "SHA-256": hashlib.sha256(b"a").hexdigest(),
    "SHA-512": hashlib.sha512(b"a").hexdigest(),
    "SHA-512, capitals": hashlib.sha512(b"a").hexdigest().upper(),
    "three ids": "-".join(hashlib.md5(bytes([n])).hexdigest() for n in range(4)),
    "64 bytes": text(TOKEN[:64]),
    "96 bytes": text(TOKEN),
    "a signature of RSA": text(RNG.integers(0, 256, 256, np.uint8).tobytes()),
    "a key of 1024 bytes": base64.urlsafe_b64encode(RNG.integers(0, 256, 1024, np.uint8)).decode(),
    "claims of a JWT": text(json.dumps({"sub": "anna", "aud": "x" * 90, "exp": 1}).encode()),
    "a long name": "AnnaMariaLouisa" * 9 + "!",
    "digits": "0123456789" * 12,
    "a short text": text(SOUNDS["16 bits, 20 ms"])[:60],
}


@pytest.mark.parametrize("name", SOUNDS)
def test_sound_is_told_by_what_it_holds(name: str) -> None:
    assert is_sound(text(SOUNDS[name]))
    assert holds_sound({"type": "x", "data": {"d": text(SOUNDS[name])}})


@pytest.mark.parametrize("name", OTHERS)
def test_tokens_are_no_sound(name: str) -> None:
    assert not is_sound(OTHERS[name])
    assert not holds_sound({"type": "auth", "data": OTHERS[name]})


@pytest.mark.parametrize(
    "field", ["audio", "audio_data", "audioChunk", "payload", "pcm16", "PCMData"]
)
def test_compressed_sound_is_told_by_the_name_of_its_field(field: str) -> None:
    packet = text(opus())
    assert not is_sound(packet)
    assert holds_sound({field: packet})
    assert holds_sound({"type": "x", field: {"b": packet}})


@pytest.mark.parametrize(
    "field", ["token", "access_token", "apiKey", "sessionId", "Signature", "IDToken"]
)
@pytest.mark.parametrize("name", ["16 bits, 20 ms", "silence", "a file"])
def test_what_is_called_a_token_is_none(field: str, name: str) -> None:
    assert not holds_sound({field: text(SOUNDS[name])})


def test_the_nearest_name_that_tells_anything_counts() -> None:
    packet = text(opus())
    assert holds_sound({"session_id": {"audio": {"data": packet}}})
    assert not holds_sound({"audio": {"token": {"data": packet}}})


def test_no_token_is_that_long() -> None:
    assert is_sound(text(RNG.integers(0, 256, 4000, np.uint8).tobytes()))


@pytest.mark.parametrize("size", [75, 96, 128, 256, 512, 1024])
def test_bytes_without_order_are_hardly_ever_sound(size: int) -> None:
    data = RNG.integers(0, 256, (500, size), np.uint8)
    assert not any(is_sound(text(one.tobytes())) for one in data)


@pytest.mark.parametrize("count", [63, 64])
def test_many_numbers_are_sound(count: int) -> None:
    assert holds_sound({"samples": [0.5] * count}) == (count == 64)
    assert not holds_sound([[[[[0.5] * count]]]])
