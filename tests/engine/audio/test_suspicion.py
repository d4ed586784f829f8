"""Sound that is not of the form that was declared, by statistics of its bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from encodings_of_sound import ENCODED, int24, law, s16
from numpy.typing import NDArray

from engine.audio.form_savings import DECLARED
from engine.audio.forms import SampleForm
from engine.audio.g711 import A_LAW, MU_LAW
from engine.audio.pcm import PcmDecoder
from engine.audio.suspicion import ADVICE, BLOCK_BYTES, FormCheck
from engine.format import SAMPLE_BYTES, Encoding

Float32 = NDArray[np.float32]
Voice = Callable[..., Float32]
CASES = Path(__file__).parents[4] / "shared" / "cases"
SPOKEN = ("owner_enrol.flac", "assistant_answers_between.flac")


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
    "the first is silent": lambda x, y: interleaved(0 * x, x),
    "the first says nothing at first": lambda x, y: interleaved(
        x * (np.arange(len(x)) > len(x) // 2), y
    ),
    "two people": interleaved,
    "two microphones": lambda x, y: interleaved(x, 0.9 * np.roll(x, 1)),
}


def likely(encoding: Encoding, data: bytes, channels: int = 1) -> list[str | None]:
    """What is suspected for sure, wherever that changes."""
    found = FormCheck(encoding, channels).feed(data)
    sure = [one.likely if one is not None and one.sure else None for _, one in found]
    return [one for one, before in zip(sure, [None, *sure], strict=False) if one != before]


@pytest.mark.parametrize(("declared", "true"), WRONG)
@pytest.mark.parametrize("level", [1.0, 0.2])
def test_wrong_forms_are_named(declared: Encoding, true: str, level: float, voice: Voice) -> None:
    sound, other = voice("anna", 4.0) * level, voice("bert", 4.0, seed=2) * level
    assert likely(declared, WRONG[declared, true](sound, other))[-1] == true


def other_forms() -> list[tuple[Encoding, str]]:
    return [(encoding, form) for encoding in DECLARED for form in ENCODED]


@pytest.mark.parametrize(("declared", "form"), other_forms())
@pytest.mark.parametrize(("name", "level"), [("anna", 0.6), ("bert", 0.1), ("bert", 1.5)])
def test_each_form_is_named_for_each_other(
    declared: Encoding, form: SampleForm, name: str, level: float, voice: Voice
) -> None:
    sound = np.clip(level * voice(name, 4.0, seed=3), -1, 1)
    right = [] if form == DECLARED[declared] else [ADVICE[form][0]]
    assert likely(declared, ENCODED[form](sound)) == right


@pytest.mark.parametrize(("declared", "form"), other_forms())
@pytest.mark.parametrize(("name", "level"), [("anna", 0.6), ("bert", 0.1)])
def test_another_form_is_in_doubt_before_a_second_was_heard_and_until_it_is_named(
    declared: Encoding, form: SampleForm, name: str, level: float, voice: Voice
) -> None:
    found = FormCheck(declared, 1).feed(ENCODED[form](level * voice(name, 4.0, seed=3)))
    if form == DECLARED[declared]:
        assert found == []
        return
    assert found[0][0] / SAMPLE_BYTES[declared] / 16_000 < 1.0
    assert all(one is not None for _, one in found)


@pytest.mark.parametrize(
    ("encoding", "late"), [("pcm_s16le", 1), ("pcm_f32le", 1), ("pcm_f32le", 2), ("pcm_f32le", 3)]
)
@pytest.mark.parametrize("level", [1.0, 0.2, 0.02])
def test_samples_that_begin_some_bytes_late_are_named(
    encoding: Encoding, late: int, level: float, voice: Voice
) -> None:
    data = TRUE[encoding](level * voice("anna", 6.0))
    assert likely(encoding, data[late:]) == ["shifted"]
    half = len(data) // 2 - len(data) // 2 % SAMPLE_BYTES[encoding]  # a byte is lost on the way
    assert likely(encoding, data[:half] + data[half + late :])[-1] == "shifted"


@pytest.mark.parametrize("encoding", TRUE)
@pytest.mark.parametrize("level", [1.0, 0.2])
def test_two_channels_of_each_form_are_named(
    encoding: Encoding, level: float, voice: Voice
) -> None:
    rng = np.random.default_rng(8)
    sound, other = level * voice("anna", 4.0), level * voice("bert", 4.0, seed=2)
    noise = 0.01 * level * rng.standard_normal((2, len(sound))).astype(np.float32)
    unequal = (sound, other), (sound + noise[0], sound + noise[1]), (sound, 0 * sound)
    for left, right in ((sound, sound), *unequal, (0 * sound, sound)):
        data = TRUE[encoding](np.stack([left, right], axis=1).reshape(-1))
        assert likely(encoding, data) == ["channels=2"]
        assert likely(encoding, data, channels=2) == []


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared recordings are not here")
@pytest.mark.parametrize("file", SPOKEN)
@pytest.mark.parametrize("level", [1.0, 0.3])
def test_forms_of_real_speech_are_named(file: str, level: float) -> None:
    sound = level * sf.read(CASES / file, dtype="float32")[0][: 5 * 16_000]
    for declared in DECLARED:
        for form, encode in ENCODED.items():
            right = [] if form == DECLARED[declared] else [ADVICE[form][0]]
            assert likely(declared, encode(sound)) == right, (declared, form)


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared recordings are not here")
@pytest.mark.parametrize("file", SPOKEN)
@pytest.mark.parametrize("encoding", TRUE)
def test_two_channels_of_real_speech_are_named(file: str, encoding: Encoding) -> None:
    sound = sf.read(CASES / file, dtype="float32")[0][: 5 * 16_000]
    for right in (sound, np.roll(sound, 5), np.roll(sound, 40_000)):
        data = TRUE[encoding](np.stack([sound, right], axis=1).reshape(-1))
        assert likely(encoding, data) == ["channels=2"]
        assert likely(encoding, data, channels=2) == []


@pytest.mark.parametrize("encoding", TRUE)
@pytest.mark.parametrize("level", [1.0, 0.1])
def test_tones_clicks_and_noise_are_not_suspected(encoding: Encoding, level: float) -> None:
    rng, t = np.random.default_rng(9), np.arange(4 * 16_000) / 16_000
    white = rng.standard_normal(len(t))
    tones = [np.sin(2 * np.pi * hz * t + 0.7) for hz in (440, 1000, 4000, 4040, 7000, 7500)]
    clicks = np.where(rng.random(len(t)) < 0.003, rng.uniform(-1, 1, len(t)), 0)
    hissing = np.convolve(white, [0.2, -0.19])[: len(t)]
    clipped = 5 * white
    for sound in (*tones, clicks, hissing, clipped, 0.3 * white, np.sign(tones[0])):
        heard = np.clip(0.99 * level * sound, -1, 1).astype(np.float32)
        assert likely(encoding, TRUE[encoding](heard)) == []


@pytest.mark.parametrize("encoding", TRUE)
def test_sound_of_a_lower_rate_drawn_out_is_not_two_channels(
    encoding: Encoding, voice: Voice
) -> None:
    sound = voice("anna", 4.0, rate_hz=8000)
    between = np.interp(np.arange(2 * len(sound)) / 2, np.arange(len(sound)), sound)
    assert likely(encoding, TRUE[encoding](between.astype(np.float32))) == []


@pytest.mark.parametrize("name", ["anna", "bert"])
@pytest.mark.parametrize("level", [0.1, 0.3, 1.0, 1.4])
def test_sixteen_bits_made_of_eight_are_not_swapped_ones(
    name: str, level: float, voice: Voice
) -> None:
    coarse = np.rint(np.clip(128 * level * voice(name, 5.0, seed=4), -127, 127)) / 128
    assert likely("pcm_s16le", s16(coarse.astype(np.float32)).tobytes()) == []


@pytest.mark.parametrize("encoding", TRUE)
@pytest.mark.parametrize("half", [1, 4, 8])
def test_square_waves_that_change_their_level_are_not_two_channels(
    encoding: Encoding, half: int
) -> None:
    wave = np.resize(np.repeat([1.0, -1.0], half), 4 * 16_000)
    levels = np.resize(np.repeat([0.2, 0.5], 5001), len(wave))
    assert likely(encoding, TRUE[encoding]((levels * wave).astype(np.float32))) == []


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
    (first, doubted), (place, named) = decoder.found
    assert doubted is not None
    assert named is not None
    assert (doubted.sure, named.sure) == (False, True)
    assert 0 < first < place < 2 * 16_000
