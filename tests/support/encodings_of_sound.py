"""Bytes of sound in every form that tests send, rightly declared or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.audio.forms import SampleForm
from engine.audio.g711 import A_LAW, MU_LAW

Float32 = NDArray[np.float32]


def s16(sound: Float32) -> NDArray[np.int16]:
    return np.clip(np.round(sound * 32767), -32768, 32767).astype("<i2")


def law(sound: Float32, table: Float32) -> bytes:
    order = np.argsort(table)
    levels = table[order]
    nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, sound)
    return bytes(order[nearest].astype(np.uint8))


def int24(sound: Float32) -> bytes:
    steps = np.round(sound.astype(np.float64) * 8388607).astype("<i4")
    return steps.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def turned(data: bytes, size: int) -> bytes:
    """The bytes of each sample the other way round."""
    return np.frombuffer(data, np.uint8).reshape(-1, size)[:, ::-1].tobytes()


def int32(sound: Float32) -> bytes:
    return (sound.astype(float) * 2147483647).astype("<i4").tobytes()


ENCODED: dict[SampleForm, Callable[[Float32], bytes]] = {
    "int8": lambda x: np.clip(np.round(x * 128), -128, 127).astype(np.int8).tobytes(),
    "int16": lambda x: s16(x).tobytes(),
    "byte-swapped": lambda x: s16(x).byteswap().tobytes(),
    "int24": int24,
    "int32": int32,
    "uint8": lambda x: np.clip(np.round(x * 128) + 128, 0, 255).astype(np.uint8).tobytes(),
    "uint16": lambda x: (s16(x).view("<u2") ^ 0x8000).astype("<u2").tobytes(),
    "uint32": lambda x: (np.frombuffer(int32(x), "<u4") ^ 0x80000000).astype("<u4").tobytes(),
    "mulaw": lambda x: law(x, MU_LAW),
    "alaw": lambda x: law(x, A_LAW),
    "float16": lambda x: x.astype("<f2").tobytes(),
    "float32": lambda x: x.astype("<f4").tobytes(),
    "unscaled": lambda x: (x.astype(float) * 32768).astype("<f4").tobytes(),
    "float64": lambda x: x.astype("<f8").tobytes(),
    "uint16be": lambda x: turned((s16(x).view("<u2") ^ 0x8000).astype("<u2").tobytes(), 2),
    "int24be": lambda x: turned(int24(x), 3),
    "int32be": lambda x: turned(int32(x), 4),
    "float16be": lambda x: x.astype(">f2").tobytes(),
    "float32be": lambda x: x.astype(">f4").tobytes(),
    "float64be": lambda x: x.astype(">f8").tobytes(),
}
