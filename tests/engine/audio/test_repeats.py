"""Sound that has come before is told, sample for sample, and nothing that repeats by nature."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.audio.files import read_audio
from engine.audio.pcm import PcmDecoder
from engine.audio.repeats import HELD, Repeat, RepeatCheck
from engine.format import SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]
Found = list[tuple[int, Repeat | None]]
S = SAMPLE_RATE_HZ
VOICES = Path(__file__).parents[3] / "scripts" / "demo_voices"


def found(sound: Float32, edges: list[int] | None = None, rate_hz: int = S) -> Found:
    """What is found in ``sound``, cut at those samples, or every 20 ms."""
    check = RepeatCheck(rate_hz)
    edges = list(range(0, len(sound), rate_hz // 50)) if edges is None else edges
    for start, end in pairwise(sorted({0, *edges, len(sound)})):
        check.feed(sound[start:end])
    return check.found


def rounded(sound: NDArray[np.floating]) -> Float32:
    """In 16-bit steps, as a converter gives it."""
    return (np.rint(np.asarray(sound) * 32767) / 32768).astype(np.float32)


@cache
def speech(name: str) -> Float32:
    return rounded(read_audio(VOICES / f"{name}.ogg").waveform)


def noise(seconds: float, level: float, seed: int = 0) -> Float32:
    return rounded(np.random.default_rng(seed).standard_normal(round(seconds * S)) * level)


def test_a_recording_that_is_sent_again_is_told_with_when_it_first_came() -> None:
    anna, ben = speech("anna")[: 12 * S], speech("ben")[: 20 * S]
    ((place, repeat),) = found(np.concatenate([anna, ben, anna]))
    assert repeat is not None
    assert repeat.lag_s == 32.0
    assert 32.0 <= repeat.since_s <= 33.5
    assert place / S < 36.0
    assert "32.0 s before" in repeat.advice


@settings(max_examples=25)
@given(st.integers(round(2.5 * S), 12 * S), st.integers(0, 8 * S))
def test_a_loop_of_any_length_is_told(length: int, start: int) -> None:
    loop = speech("anna")[start : start + length]
    told = found(np.concatenate([loop] * 6)[: 45 * S])
    assert told
    _, repeat = told[0]
    assert repeat is not None
    assert repeat.lag_s == pytest.approx(length / S, abs=1e-3)


def test_a_loop_of_a_quiet_room_is_told() -> None:
    assert found(np.concatenate([noise(8.0, 0.003)] * 3))


def test_it_is_over_when_there_is_new_sound() -> None:
    loop = speech("anna")[: 5 * S]
    (_, repeat), (place, over) = found(np.concatenate([loop, loop, loop, speech("ben")]))
    assert repeat is not None
    assert over is None
    assert 15.0 < place / S < 22.0


@pytest.mark.parametrize("name", ["anna", "ben", "call"])
def test_nothing_is_said_of_people_who_speak(name: str) -> None:
    assert found(speech(name)) == []


@pytest.mark.parametrize(
    "frequency_hz", [50.0, 60.0, 99.97, 440.0, 441.5, 997.3, 1000.0, 3999.9, 7000.0]
)
def test_nothing_is_said_of_a_tone(frequency_hz: float) -> None:
    t = np.arange(40 * S) / S
    assert found(rounded(0.3 * np.sin(2 * np.pi * frequency_hz * t))) == []


@pytest.mark.parametrize("mains_hz", [50.0, 50.013, 60.0, 59.98])
def test_nothing_is_said_of_mains_hum(mains_hz: float) -> None:
    t = np.arange(40 * S) / S
    hum = sum(np.sin(2 * np.pi * mains_hz * k * t + k) / k for k in range(1, 12))
    assert found(rounded(0.1 * np.asarray(hum))) == []


def test_nothing_is_said_of_silence() -> None:
    rng = np.random.default_rng(0)
    assert found(np.zeros(40 * S, np.float32)) == []
    assert found(np.full(40 * S, 0.25, np.float32)) == []
    assert found((rng.integers(-1, 2, 40 * S) / 32768).astype(np.float32)) == []
    assert found(((rng.random(40 * S) < 1e-3) / 32768).astype(np.float32)) == []
    assert found(noise(40.0, 0.01)) == []


def test_nothing_is_said_of_a_beep_that_comes_again() -> None:
    beep = rounded(0.3 * np.sin(2 * np.pi * 880 * np.arange(S) / S))
    assert found(np.tile(np.concatenate([beep, np.zeros(4 * S, np.float32)]), 8)) == []


def test_nothing_is_said_where_a_network_fills_a_gap_with_what_came_last() -> None:
    anna = speech("anna")[: 20 * S]
    pieces = [np.concatenate([p, p[-S // 50 :]]) for p in np.split(anna, 40)]
    assert found(np.concatenate(pieces)) == []


@settings(max_examples=20)
@given(st.lists(st.integers(0, 15 * S), max_size=40))
def test_any_chunking_gives_the_same(edges: list[int]) -> None:
    loop = speech("anna")[: 3 * S]
    sound = np.concatenate([loop, loop, speech("ben")[: 9 * S]])
    assert found(sound, edges) == found(sound)
    assert found(sound)


@pytest.mark.parametrize(("encoding", "rate_hz"), [("pcm_s16le", 48_000), ("pcm_f32le", 16_000)])
def test_it_is_found_at_the_rate_of_the_stream(encoding: str, rate_hz: int) -> None:
    decoder = PcmDecoder(encoding, rate_hz)
    loop = noise(6.0, 0.05)  # of whatever rate it is taken to be
    steps = np.tile(loop, rate_hz * 2 // S)
    data = steps.astype("<f4") if encoding == "pcm_f32le" else (steps * 32768).astype("<i2")
    decoder.feed(data.tobytes())
    _, repeat = decoder.repeats.found[0]
    assert repeat is not None
    assert repeat.lag_s == pytest.approx(6.0 * S / rate_hz, abs=1e-3)


def test_what_is_held_is_bounded() -> None:
    check = RepeatCheck(S)
    for seed in range(20):
        check.feed(noise(10.0, 0.1, seed))
    assert len(check._hashes) == HELD
    assert len(check._held) + sum(map(len, check._waiting)) < S
