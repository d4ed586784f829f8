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


ENCODED: dict[SampleForm, Callable[[Float32], bytes]] = {
    "int16": lambda x: s16(x).tobytes(),
    "byte-swapped": lambda x: s16(x).byteswap().tobytes(),
    "int24": int24,
    "int32": lambda x: (x.astype(float) * 2147483647).astype("<i4").tobytes(),
    "uint8": lambda x: np.clip(np.round(x * 128) + 128, 0, 255).astype(np.uint8).tobytes(),
    "mulaw": lambda x: law(x, MU_LAW),
    "alaw": lambda x: law(x, A_LAW),
    "float16": lambda x: x.astype("<f2").tobytes(),
    "float32": lambda x: x.astype("<f4").tobytes(),
    "unscaled": lambda x: (x.astype(float) * 32768).astype("<f4").tobytes(),
    "float64": lambda x: x.astype("<f8").tobytes(),
}
