import numpy as np
import pytest
import soundfile as sf

from models.sound import degradations

RATE_HZ = 16000


@pytest.fixture(scope="module")
def speech(voice):
    return voice("bert", 3.0)


@pytest.mark.parametrize("snr_db", [-3.0, 5.0, 15.0])
def test_noise_is_added_at_the_stated_ratio(snr_db, speech):
    noise = degradations.pink_noise(len(speech), np.random.default_rng(0))
    added = degradations.add_noise(speech, noise, snr_db) - speech
    reached = 10 * np.log10(np.sum(speech.astype(float) ** 2) / np.sum(added.astype(float) ** 2))
    assert reached == pytest.approx(snr_db, abs=0.01)


def test_pink_noise_falls_three_decibels_an_octave():
    noise = degradations.pink_noise(1 << 18, np.random.default_rng(0))
    assert np.mean(noise**2) == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    octaves = [power[(hz >= low) & (hz < 2 * low)].mean() for low in (100, 400, 1600)]
    falls_db = 10 * np.log10(np.array(octaves[:-1]) / octaves[1:])
    assert falls_db == pytest.approx([6.02, 6.02], abs=0.4)


@pytest.mark.parametrize("exponent", [-2.0, 0.0, 1.0])
def test_coloured_noise_goes_as_it_is_asked_to(exponent):
    noise = degradations.coloured_noise(1 << 18, exponent, np.random.default_rng(0))
    assert np.mean(noise**2) == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    octaves = [power[(hz >= low) & (hz < 2 * low)].mean() for low in (100, 400, 1600)]
    rises_db = 10 * np.log10(np.array(octaves[1:]) / octaves[:-1])
    assert rises_db == pytest.approx([6.02 * exponent] * 2, abs=0.4)


@pytest.mark.parametrize("seed", range(8))
def test_suppression_takes_steady_noise_and_leaves_what_is_louder(seed):
    noise = 0.01 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    tone = np.sin(2 * np.pi * 440 * np.arange(8_000) / RATE_HZ).astype(np.float32)
    noisy = noise.copy()
    noisy[12_000:20_000] += 0.3 * tone
    heard = degradations.suppressed(noisy, np.random.default_rng(seed))
    assert heard.shape == noisy.shape
    assert heard.dtype == np.float32
    before, during = slice(2_000, 11_000), slice(13_000, 19_000)
    assert np.sum(heard[before] ** 2) < 0.9 * np.sum(noisy[before] ** 2)
    said = heard[during] @ tone[1_000:7_000] / (noisy[during] @ tone[1_000:7_000])
    assert said == pytest.approx(1, abs=0.1)


def test_suppression_takes_silence_and_short_pieces():
    rng = np.random.default_rng(0)
    for samples in (1, 100, 511, 513, 5_000):
        assert not degradations.suppressed(np.zeros(samples, np.float32), rng).any()


def test_rooms_last_as_long_as_drawn_and_start_with_the_direct_sound():
    for number in (0, 1, 2, 3):
        response = degradations.room_response(number)
        assert np.sum(response**2) == pytest.approx(1, abs=1e-4)
        lasts_s = len(response) / RATE_HZ  # a response is cut at its RT60
        assert 0.3 <= lasts_s <= 0.9
        assert degradations.decay_s(response.astype(float)) == pytest.approx(lasts_s, rel=0.12)
        first = int(np.flatnonzero(np.abs(response) > 0.3 * np.abs(response).max())[0])
        assert first <= 1
    one, other = (degradations.room_response(number)[:4000] for number in (0, 1))
    assert not np.array_equal(one, other)


def test_decay_time_of_an_exponential():
    t = np.arange(RATE_HZ) / RATE_HZ
    tail = np.random.default_rng(0).standard_normal(len(t)) * np.exp(-np.log(1000) * t / 0.5)
    assert degradations.decay_s(tail) == pytest.approx(0.5, rel=0.05)


def test_reverberation_smears_but_keeps_the_level(speech):
    click = np.zeros(16000, np.float32)
    click[4000] = 0.5
    wet = degradations.reverberate(click, degradations.room_response(1))
    assert np.abs(wet[:4000]).max() < 1e-6
    assert np.sum(wet[5600:] ** 2) > 0
    wet = degradations.reverberate(speech, degradations.room_response(1))
    assert np.sum(wet**2) == pytest.approx(np.sum(speech**2), rel=1e-3)


def test_telephone_keeps_the_band_and_nothing_else():
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE_HZ).astype(np.float32)
    hz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    before, after = (np.abs(np.fft.rfft(x)) ** 2 for x in (noise, degradations.telephone(noise)))

    def gain_db(low, high):
        band = (hz >= low) & (hz < high)
        return 10 * np.log10(after[band].sum() / before[band].sum())

    assert gain_db(500, 3000) == pytest.approx(0, abs=0.5)
    assert gain_db(0, 120) < -15
    assert gain_db(4100, 8000) < -30
    # What is left besides is the line's 8-bit companding: audible, some 38 dB down.
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32) / 2
    error = degradations.telephone(tone)[2000:-2000] - tone[2000:-2000]
    assert -45 < 10 * np.log10(np.mean(error**2) / np.mean(tone**2)) < -25


def test_opus_runs_at_the_stated_rate(voice, monkeypatch):
    speech = voice("anna", 10.0)
    sizes = []
    read = sf.read

    def weigh(file, **options):
        sizes.append(len(file.getvalue()))
        return read(file, **options)

    monkeypatch.setattr(degradations.sf, "read", weigh)
    decoded = degradations.opus(speech)
    assert decoded.shape == speech.shape
    # 6-8 kbit/s of packets; Ogg's own headers and page tables add some 2.
    assert 6 < sizes[0] * 8 / 10 / 1000 < 11


def test_clarity_is_early_over_late_energy() -> None:
    response = np.zeros(4000, np.float32)
    response[[8, 400, 1200]] = 1.0, 0.5, 0.25
    expected = 10 * np.log10((1 + 0.25) / 0.0625)
    assert degradations.clarity_db(response) == pytest.approx(expected)
    assert degradations.clarity_db(response[:700]) == np.inf


def test_another_recording_differs_in_level_and_colour_and_little_noise(speech) -> None:
    levels_db, signal_to_noise_db = [], []
    for seed in range(12):
        made = degradations.another_recording(speech, np.random.default_rng(seed))
        assert (made.shape, made.dtype) == (speech.shape, np.float32)
        ratio = degradations.power(made) / degradations.power(speech)
        levels_db.append(10 * np.log10(ratio))
        near = np.corrcoef(made, speech)[0, 1] ** 2  # colour and noise are what is left
        signal_to_noise_db.append(10 * np.log10(near / (1 - near)))
    assert -6.5 < min(levels_db) < -1
    assert 1 < max(levels_db) < 6.5
    assert min(signal_to_noise_db) > 5


def test_a_loudspeaker_keeps_place_and_level_has_a_band_and_distorts():
    seconds = np.arange(RATE_HZ) / RATE_HZ
    tone = (0.3 * np.sin(2 * np.pi * 500 * seconds)).astype(np.float32)
    heard = degradations.loudspeaker(tone)
    assert len(heard) == len(tone)
    assert degradations.power(heard) == pytest.approx(degradations.power(tone), rel=1e-3)
    assert np.corrcoef(heard, tone)[0, 1] > 0.98
    found = np.abs(np.fft.rfft(heard))
    harmonics = np.sqrt((found[1000::500] ** 2).sum()) / found[500]
    assert 0.08 < harmonics < 0.15
    low = (0.3 * np.sin(2 * np.pi * 60 * seconds)).astype(np.float32)
    both = np.abs(np.fft.rfft(degradations.loudspeaker(tone + low)))
    assert both[60] < 0.1 * both[500]


def test_a_loudspeaker_takes_silence_and_short_pieces():
    assert not degradations.loudspeaker(np.zeros(1600, np.float32)).any()
    assert len(degradations.loudspeaker(np.ones(10, np.float32))) == 10
