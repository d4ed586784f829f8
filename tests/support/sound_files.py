"""Sound files of noise, as their bytes, and how much of them is read."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from engine.audio.recording import Recording

Float32 = NDArray[np.float32]
RATE = 16_000


def sound(seconds: float, seed: int = 0) -> Float32:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def encoded(form: str, seconds: float, seed: int = 0, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    subtype = {"OPUS": "OPUS", "VORBIS": "VORBIS"}.get(form)
    kind = "OGG" if subtype else form
    sf.write(buffer, sound(seconds, seed), rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def id3_tag(size: int = 16) -> bytes:
    """A tag of ID3v2.4 of so many bytes behind its head: one frame of somebody's own text, empty.

    Such a frame is called ``TXXX`` (https://id3.org/id3v2.4.0-frames, 4.2.6).
    """
    return b"ID3\x04\x00\x00\x00\x00" + bytes(divmod(size, 128)) + b"TXXX" + bytes(size - 4)


def read(data: bytes) -> tuple[float, tuple[str, ...]]:
    with Recording(data) as recording:
        total = sum(len(block) for block in recording.blocks(4096))
        return total / recording.rate_hz, recording.warnings


def wav(seconds: float, *, data: int | None = None, riff: int | None = None) -> bytes:
    """A WAV with other sizes stated."""
    whole = bytearray(encoded("WAV", seconds))
    if data is not None:
        whole[40:44] = struct.pack("<I", data)
    if riff is not None:
        whole[4:8] = struct.pack("<I", riff)
    return bytes(whole)


def mp3_in_wav(samples: Float32) -> bytes:
    """As dictation machines and call recorders write it: `fmt ` 0x55, and a `fact`."""
    buffer = io.BytesIO()
    sf.write(buffer, samples, RATE, format="MP3")
    data = buffer.getvalue()
    code = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 4000, 1, 0, 12, 1, 2, 144, 1, 0)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(code)) + code
    body += b"fact" + struct.pack("<II", 4, len(samples) + 900)
    body += b"data" + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body
