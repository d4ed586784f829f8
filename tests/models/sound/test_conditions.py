import hashlib
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import soundfile as sf

from models.commands.evaluate import EvaluateCommand
from models.sound import conditions
from models.sound.conditions import CONDITIONS, ConditionError, Degradation, TrainingConditions

RATE_HZ = 16000


def held_out_names(count, held_out=True):
    names = (f"piece{i}.wav" for i in range(1000))
    chosen = (
        n for n in names if (int(hashlib.sha256(n.encode()).hexdigest(), 16) % 4 == 0) == held_out
    )
    return [next(chosen) for _ in range(count)]


@pytest.fixture
def noise_folder(tmp_path):
    """Held-out tones at 1 kHz and half silent, training's at 3 kHz."""
    t = np.arange(RATE_HZ) / RATE_HZ
    for hz, names in ((1000, held_out_names(2)), (3000, held_out_names(3, held_out=False))):
        for name in names:
            tone = np.where(t < 0.5, 0.2 * np.sin(2 * np.pi * hz * t), 0)
            sf.write(tmp_path / name, tone, RATE_HZ)
    return tmp_path


@pytest.fixture(scope="module")
def speech(voice):
    return voice("bert", 3.0)


def lag_of(degraded, speech):
    """Samples by which ``degraded`` is late, by the peak of the cross-correlation."""
    size = 2 * len(speech)
    both = np.fft.rfft(degraded, size) * np.conj(np.fft.rfft(speech, size))
    lag = int(np.argmax(np.abs(np.fft.irfft(both))))
    return lag if lag < size // 2 else lag - size


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_keep_length_and_are_the_same_every_time(condition, speech):
    first, again, other = Degradation(seed=1), Degradation(seed=1), Degradation(seed=2)
    for samples in (48000, 16001, 8000, 100, 3):
        degraded = first(condition, speech[:samples], "a/1.wav")
        assert degraded.shape == (samples,)
        assert degraded.dtype == np.float32
        assert np.isfinite(degraded).all()
        assert np.abs(degraded).max() <= 1
        assert np.array_equal(degraded, again(condition, speech[:samples], "a/1.wav"))
    whole = first(condition, speech, "a/1.wav")
    assert np.array_equal(whole, speech) == (condition == "clean")
    if condition in ("noise", "reverb", "hiss", "suppression"):  # the others draw nothing
        assert not np.array_equal(whole, first(condition, speech, "a/2.wav"))
        assert not np.array_equal(whole, other(condition, speech, "a/1.wav"))
    assert first(condition, speech[:0], "a/1.wav").shape == (0,)


def test_the_command_names_every_condition():
    option = get_type_hints(EvaluateCommand, include_extras=True)["conditions"].__metadata__[0]
    assert ", ".join(CONDITIONS) in option.help


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_keep_alignment(condition, speech):
    degrade = Degradation()
    for path in ("a/1.wav", "b/7.wav"):
        assert abs(lag_of(degrade(condition, speech, path), speech)) <= 8


@pytest.mark.parametrize(("condition", "least", "most"), [("noise", 5, 15), ("hiss", 10, 30)])
def test_noise_stays_in_its_range_and_spreads_over_it(condition, least, most, speech):
    degrade = Degradation()
    reached = []
    for i in range(40):
        added = degrade(condition, speech, f"a/{i}.wav") - speech
        reached.append(10 * np.log10(np.sum(speech**2) / np.sum(added**2)))
    assert min(reached) >= least - 0.01
    assert max(reached) <= most + 0.01
    assert max(reached) - min(reached) > 0.7 * (most - least)


def test_only_pieces_that_training_leaves_alone_are_used(noise_folder, speech):
    degrade = Degradation(noise_folder)
    assert degrade.noise_source.startswith("2 recorded pieces")
    for i in range(10):
        added = degrade("noise", speech, f"{i}.wav") - speech
        spectrum = np.abs(np.fft.rfft(added))
        peak_hz = np.argmax(spectrum) * RATE_HZ / len(added)
        assert peak_hz == pytest.approx(1000, abs=5)
    # A cut that falls into the silent half of a piece is drawn again.
    for i in range(10):
        short = speech[20000:22000]
        assert np.sum((degrade("noise", short, f"{i}.wav") - short) ** 2) > 0


def test_evaluation_and_training_share_no_noise_and_no_recording():
    names = [f"1-{i}-{letter}.opus" for i in range(100) for letter in "ABC"]
    paths = [Path(name) for name in names]
    training = [path for path in paths if conditions.is_training_noise(path)]
    held_out = conditions.held_out_noise(paths)
    assert held_out
    assert not {p.stem[:-2] for p in training} & {p.stem[:-2] for p in held_out}
    alone = [Path(f"hum{i}.wav") for i in range(40)]
    assert conditions.held_out_noise(alone) == [
        path for path in alone if not conditions.is_training_noise(path)
    ]


def test_noise_that_cannot_be_had_is_refused(tmp_path):
    with pytest.raises(ConditionError, match="no noise folder"):
        Degradation(tmp_path / "none")
    (name,) = held_out_names(1, held_out=False)
    sf.write(tmp_path / name, np.full(100, 0.1), RATE_HZ)
    with pytest.raises(
        ConditionError, match=r"no noise held out .*\(1 sound files\): add .*quarter"
    ):
        Degradation(tmp_path)
    assert "pink" in Degradation().noise_source


def test_unknown_condition_is_refused(speech):
    with pytest.raises(ConditionError, match="no condition 'rain'"):
        Degradation()("rain", speech, "a.wav")


@pytest.mark.parametrize("kind", range(TrainingConditions.KINDS))
def test_training_conditions_change_the_sound_and_not_its_length(corpus_cache, kind):
    speech = np.sin(np.arange(RATE_HZ) / 5).astype(np.float32) * np.float32(0.3)
    degraded = TrainingConditions(corpus_cache)(speech, kind, np.random.default_rng(kind))
    assert degraded.shape == speech.shape
    assert degraded.dtype == np.float32
    assert np.isfinite(degraded).all()
    assert np.abs(degraded - speech).max() > 0.01
