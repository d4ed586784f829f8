"""Sound that is not of the form that was declared, by statistics of its bytes."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from engine.audio.g711 import A_LAW, MU_LAW
from engine.audio.pcm import PcmDecoder
from engine.audio.suspicion import BLOCK_BYTES, FormCheck
from engine.format import Encoding

Float32 = NDArray[np.float32]
Voice = Callable[..., Float32]


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


def encoded(sound: Float32, form: str, subtype: str) -> bytes:
    """A compressed recording of several times the sound, so that there is enough of it."""
    whole = io.BytesIO()
    sf.write(whole, np.tile(sound, 8), 48_000, format=form, subtype=subtype)
    return whole.getvalue()


def interleaved(left: Float32, right: Float32) -> bytes:
    return np.stack([s16(left), s16(right)], axis=1).tobytes()


TRUE: dict[Encoding, Callable[[Float32], bytes]] = {
    "pcm_s16le": lambda x: s16(x).tobytes(),
    "pcm_f32le": lambda x: x.astype("<f4").tobytes(),
    "mulaw": lambda x: law(x, MU_LAW),
    "alaw": lambda x: law(x, A_LAW),
}
WRONG: dict[tuple[Encoding, str], Callable[[Float32, Float32], bytes]] = {
    ("pcm_s16le", "pcm_f32le"): lambda x, y: x.astype("<f4").tobytes(),
    ("pcm_s16le", "float64"): lambda x, y: x.astype("<f8").tobytes(),
    ("pcm_s16le", "float16"): lambda x, y: x.astype("<f2").tobytes(),
    ("pcm_s16le", "int24"): lambda x, y: int24(x),
    ("pcm_s16le", "int32"): lambda x, y: (x.astype(float) * 2147483647).astype("<i4").tobytes(),
    ("pcm_s16le", "pcm_s16be"): lambda x, y: s16(x).byteswap().tobytes(),
    ("pcm_s16le", "mulaw"): lambda x, y: law(x, MU_LAW),
    ("pcm_s16le", "alaw"): lambda x, y: law(x, A_LAW),
    ("pcm_s16le", "float32 beyond 1"): lambda x, y: s16(x).astype("<f4").tobytes(),
    ("pcm_s16le", "compressed"): lambda x, y: encoded(x, "OGG", "OPUS")[6000:],
    ("pcm_s16le", "channels=2"): lambda x, y: interleaved(x, x),
    ("pcm_f32le", "pcm_s16le"): lambda x, y: s16(x).tobytes(),
    ("pcm_f32le", "float64"): lambda x, y: x.astype("<f8").tobytes(),
    ("pcm_f32le", "int24"): lambda x, y: int24(x),
    ("pcm_f32le", "float32 beyond 1"): lambda x, y: s16(x).astype("<f4").tobytes(),
    ("pcm_f32le", "compressed"): lambda x, y: encoded(x, "OGG", "VORBIS")[6000:],
    ("mulaw", "alaw"): lambda x, y: law(x, A_LAW),
    ("alaw", "mulaw"): lambda x, y: law(x, MU_LAW),
    ("mulaw", "pcm_s16le"): lambda x, y: s16(x).tobytes(),
    ("alaw", "pcm_s16le"): lambda x, y: s16(x).tobytes(),
}
CHANNELS: dict[str, Callable[[Float32, Float32], bytes]] = {
    "one is silent": lambda x, y: interleaved(x, 0 * x),
    "two people": interleaved,
    "two microphones": lambda x, y: interleaved(x, 0.9 * np.roll(x, 1)),
}


def likely(encoding: Encoding, data: bytes, channels: int = 1) -> list[str | None]:
    found = FormCheck(encoding, channels).feed(data)
    return [None if suspicion is None else suspicion.likely for _, suspicion in found]


@pytest.mark.parametrize(("declared", "true"), WRONG)
@pytest.mark.parametrize("level", [1.0, 0.2])
def test_wrong_forms_are_named(declared: Encoding, true: str, level: float, voice: Voice) -> None:
    sound, other = voice("anna", 4.0) * level, voice("bert", 4.0, seed=2) * level
    assert likely(declared, WRONG[declared, true](sound, other))[-1] == true


@pytest.mark.parametrize("kind", CHANNELS)
def test_two_channels_as_one_are_named(kind: str, voice: Voice) -> None:
    sound = CHANNELS[kind](voice("anna", 4.0), voice("bert", 4.0, seed=2))
    assert likely("pcm_s16le", sound)[-1] == "channels=2"
    assert likely("pcm_s16le", sound, channels=2) == []


@pytest.mark.parametrize("encoding", TRUE)
@pytest.mark.parametrize("name", ["anna", "bert"])
@pytest.mark.parametrize("level", [1.0, 0.1, 0.01])
def test_what_was_declared_is_not_suspected(
    encoding: Encoding, name: str, level: float, voice: Voice
) -> None:
    rng, t = np.random.default_rng(5), np.arange(5 * 16_000) / 16_000
    sound = voice(name, 5.0, seed=4) * level
    hum = (0.05 * np.sin(2 * np.pi * 50 * t)).astype(np.float32)
    noise = (level * 0.1 * rng.standard_normal(len(sound))).astype(np.float32)
    for heard in (sound, sound + hum, sound + noise, 0.6 * sound + 0.3, noise, hum, 0 * sound):
        assert likely(encoding, TRUE[encoding](np.clip(heard, -1, 1).astype(np.float32))) == []


@pytest.mark.parametrize("scale", [2.0**15, 2.0**23, 2.0**31])
@pytest.mark.parametrize("whole", [True, False])
def test_floats_that_nobody_scaled_stay_suspect_while_it_is_quiet(
    scale: float, whole: bool, voice: Voice
) -> None:
    rng = np.random.default_rng(3)
    quiet = 1e-4 * rng.standard_normal(3 * 16_000)
    sound = np.concatenate([voice("anna", 3.0), quiet, voice("anna", 3.0)]) * scale
    heard = (np.rint(sound) if whole else sound).astype("<f4")
    assert likely("pcm_f32le", heard.tobytes()) == ["float32 beyond 1"]


@pytest.mark.parametrize("form", [("MP3", "MPEG_LAYER_III"), ("OGG", "OPUS"), ("FLAC", "PCM_16")])
def test_compressed_sound_is_told_without_its_beginning(
    form: tuple[str, str], voice: Voice
) -> None:
    data = encoded(voice("anna", 4.0), *form)
    for start in (len(data) // 3, len(data) // 2 + 1):
        assert likely("pcm_s16le", data[start:])[0] == "compressed"


@pytest.mark.parametrize("gain", [1.0, 8.0])
def test_loud_and_clipped_sound_is_not_taken_for_compressed(gain: float, voice: Voice) -> None:
    rng = np.random.default_rng(4)
    noise = 0.3 * rng.standard_normal(5 * 16_000).astype(np.float32)
    for sound in (voice("bert", 5.0), voice("bert", 5.0) + noise):
        assert likely("pcm_s16le", s16(np.clip(gain * sound, -1, 1)).tobytes()) == []


def test_pieces_of_any_size_are_judged_alike(voice: Voice) -> None:
    data = WRONG["pcm_s16le", "pcm_f32le"](voice("anna", 2.0), voice("anna", 2.0))
    whole = FormCheck("pcm_s16le", 1).feed(data)
    check = FormCheck("pcm_s16le", 1)
    pieces = [found for i in range(0, len(data), 977) for found in check.feed(data[i : i + 977])]
    assert pieces == whole
    (place, suspicion), *_ = whole
    assert place % BLOCK_BYTES == 0
    assert suspicion is not None
    assert suspicion.problem == "format-suspect"


def test_a_suspicion_ends_with_what_was_declared(voice: Voice) -> None:
    sound = voice("anna", 4.0)
    assert likely("pcm_s16le", sound.astype("<f4").tobytes() + s16(sound).tobytes()) == [
        "pcm_f32le",
        None,
    ]


def test_the_decoder_tells_from_which_sample_on(voice: Voice) -> None:
    decoder = PcmDecoder("pcm_s16le", 8000)
    decoder.feed(voice("anna", 2.0).astype("<f4").tobytes())
    ((place, suspicion),) = decoder.found
    assert suspicion is not None
    assert 0 < place < 2 * 16_000
