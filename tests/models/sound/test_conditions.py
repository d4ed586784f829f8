import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from models.sound import conditions
from models.sound.conditions import CONDITIONS, ConditionError, Degradation

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
    if condition in ("noise", "reverb"):  # the others have nothing to draw
        assert not np.array_equal(whole, first(condition, speech, "a/2.wav"))
        assert not np.array_equal(whole, other(condition, speech, "a/1.wav"))
    assert first(condition, speech[:0], "a/1.wav").shape == (0,)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_keep_alignment(condition, speech):
    degrade = Degradation()
    for path in ("a/1.wav", "b/7.wav"):
        assert abs(lag_of(degrade(condition, speech, path), speech)) <= 8


@pytest.mark.parametrize("snr_db", [-3.0, 5.0, 15.0])
def test_noise_is_added_at_the_stated_ratio(snr_db, speech):
    noise = conditions.pink_noise(len(speech), np.random.default_rng(0))
    added = conditions.add_noise(speech, noise, snr_db) - speech
    reached = 10 * np.log10(np.sum(speech.astype(float) ** 2) / np.sum(added.astype(float) ** 2))
    assert reached == pytest.approx(snr_db, abs=0.01)


def test_noise_condition_stays_in_its_range_and_spreads_over_it(speech):
    degrade = Degradation()
    reached = []
    for i in range(40):
        added = degrade("noise", speech, f"a/{i}.wav") - speech
        reached.append(10 * np.log10(np.sum(speech**2) / np.sum(added**2)))
    assert min(reached) >= 4.99
    assert max(reached) <= 15.01
    assert max(reached) - min(reached) > 7


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


def test_pink_noise_falls_three_decibels_an_octave():
    noise = conditions.pink_noise(1 << 18, np.random.default_rng(0))
    assert np.mean(noise**2) == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    octaves = [power[(hz >= low) & (hz < 2 * low)].mean() for low in (100, 400, 1600)]
    falls_db = 10 * np.log10(np.array(octaves[:-1]) / octaves[1:])
    assert falls_db == pytest.approx([6.02, 6.02], abs=0.4)


def test_rooms_last_as_long_as_drawn_and_start_with_the_direct_sound():
    for number in (0, 1, 2, 3):
        response = conditions.room_response(number)
        assert np.sum(response**2) == pytest.approx(1, abs=1e-4)
        lasts_s = len(response) / RATE_HZ  # a response is cut at its RT60
        assert 0.3 <= lasts_s <= 0.9
        assert conditions.decay_s(response.astype(float)) == pytest.approx(lasts_s, rel=0.12)
        first = int(np.flatnonzero(np.abs(response) > 0.3 * np.abs(response).max())[0])
        assert first <= 1
    one, other = (conditions.room_response(number)[:4000] for number in (0, 1))
    assert not np.array_equal(one, other)


def test_decay_time_of_an_exponential():
    t = np.arange(RATE_HZ) / RATE_HZ
    tail = np.random.default_rng(0).standard_normal(len(t)) * np.exp(-np.log(1000) * t / 0.5)
    assert conditions.decay_s(tail) == pytest.approx(0.5, rel=0.05)


def test_reverberation_smears_but_keeps_the_level(speech):
    click = np.zeros(16000, np.float32)
    click[4000] = 0.5
    wet = conditions.reverberate(click, conditions.room_response(1))
    assert np.abs(wet[:4000]).max() < 1e-6
    assert np.sum(wet[5600:] ** 2) > 0
    wet = conditions.reverberate(speech, conditions.room_response(1))
    assert np.sum(wet**2) == pytest.approx(np.sum(speech**2), rel=1e-3)


def test_telephone_keeps_the_band_and_nothing_else():
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE_HZ).astype(np.float32)
    hz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    before, after = (np.abs(np.fft.rfft(x)) ** 2 for x in (noise, conditions.telephone(noise)))

    def gain_db(low, high):
        band = (hz >= low) & (hz < high)
        return 10 * np.log10(after[band].sum() / before[band].sum())

    assert gain_db(500, 3000) == pytest.approx(0, abs=0.5)
    assert gain_db(0, 120) < -15
    assert gain_db(4100, 8000) < -30
    # What is left besides is the line's 8-bit companding: audible, some 38 dB down.
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32) / 2
    error = conditions.telephone(tone)[2000:-2000] - tone[2000:-2000]
    assert -45 < 10 * np.log10(np.mean(error**2) / np.mean(tone**2)) < -25


def test_opus_runs_at_the_stated_rate(voice, monkeypatch):
    speech = voice("anna", 10.0)
    sizes = []
    read = sf.read

    def weigh(file, **options):
        sizes.append(len(file.getvalue()))
        return read(file, **options)

    monkeypatch.setattr(conditions.sf, "read", weigh)
    decoded = conditions.opus(speech)
    assert decoded.shape == speech.shape
    # 6-8 kbit/s of packets; Ogg's own headers and page tables add some 2.
    assert 6 < sizes[0] * 8 / 10 / 1000 < 11
