"""What noise, a room, a telephone line and a codec do to speech: functions of waveforms.

Every function takes float32 ``(samples,)`` at 16 kHz and keeps length and alignment: sample
``i`` of the result comes from sample ``i`` of the speech. `models.sound.conditions` decides
which of them is applied when.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, istft, lfilter, sosfiltfilt, stft

from engine.format import SAMPLE_RATE_HZ

PEAK = 0.99  # of full scale: codecs clip there, so a louder segment is turned down as a whole

ROOMS = 40  # how many different rooms evaluation draws from
ROOM_SEED = 90_000  # training numbers its rooms from small seeds
RT60_S = (0.3, 0.9)  # reverberation time of a room, in seconds
DISTANCE_M = (1.0, 3.0)  # from the talker to the microphone, in metres
ROOM_M = ((3.5, 3.0, 2.4), (8.0, 6.0, 3.5))  # smallest and largest length, width and height
MAX_ORDER = 100  # reflections of an image source
SPEED_OF_SOUND_M_S = 343.0
EARLY_SAMPLES = SAMPLE_RATE_HZ // 20  # 50 ms, within which reflections help to understand speech

TELEPHONE_HZ = 8000  # sample rate of the line
TELEPHONE_BAND_HZ = (300.0, 3400.0)

# libsndfile's scale for one channel runs from 256 kbit/s at 0 to 6 at 1; this value is 8 nominal.
# Measured on the net speech of one file: 7.2 kbit/s of Opus packets, narrow band.
OPUS_LEVEL = 0.992

SUPPRESSION_WINDOW = 512  # samples
QUIETEST_FRAMES = 0.16  # share of them that are no louder than noise
LEFT = (-4.0, -1.0)  # decimal logarithm of the power that is left of noise

LOUDSPEAKER_BAND_HZ = (200.0, 7000.0)  # of a phone's or a small computer's loudspeaker
LOUDSPEAKER_DRIVE = 1.5  # peaks reach this point of a tanh: a full-scale sine has 12 % distortion

MOST_TILT, MOST_LEVEL_DB, FAINT_SNR_DB = 0.4, 6.0, (15.0, 30.0)  # of another recording
SILENT = 1e-12  # power, so that nothing is divided by 0

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def coloured_noise(samples: int, exponent: float, rng: np.random.Generator) -> Float32:
    """Steady noise ``(samples,)`` at unit power, which goes as ``f ** exponent`` above 20 Hz.

    White noise has 0, pink -1, brown -2 and blue 1.
    """
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    shaped = np.fft.irfft(spectrum * np.maximum(frequency, 20.0) ** (exponent / 2), n=samples)
    return np.asarray(shaped / np.sqrt(np.mean(shaped**2)), np.float32)


def pink_noise(samples: int, rng: np.random.Generator) -> Float32:
    """Noise whose power falls as 1/f above 20 Hz, ``(samples,)``, at unit power."""
    return coloured_noise(samples, -1.0, rng)


def another_recording(speech: Float32, rng: np.random.Generator) -> Float32:
    """The same speech as if it were recorded elsewhere on another day.

    Its level, its colour (a tilt of some 7 dB at most over the whole band, either way) and a faint
    noise differ; nothing that a listener would call degraded.
    """
    tilted = lfilter([1.0, rng.uniform(-MOST_TILT, MOST_TILT)], [1.0], speech)
    gain = 10 ** (rng.uniform(-MOST_LEVEL_DB, MOST_LEVEL_DB) / 20)
    gain *= math.sqrt(power(speech) / max(power(tilted), SILENT))
    coloured = np.asarray(gain * tilted, np.float32)
    return add_noise(coloured, pink_noise(len(speech), rng), rng.uniform(*FAINT_SNR_DB))


def add_noise(speech: Float32, noise: Float32, snr_db: float) -> Float32:
    """The sum at a signal-to-noise ratio: power over all of the segment, which is all speech."""
    gain = math.sqrt(power(speech) / power(noise) / 10 ** (snr_db / 10))
    return np.asarray(speech + np.float32(gain) * noise, np.float32)


def power(samples: Float32) -> float:
    """Mean square of the samples, at full scale 1."""
    return float(np.mean(np.square(samples, dtype=np.float64)))


def reverberate(speech: Float32, response: Float32) -> Float32:
    """Speech in a room, direct sound where it was, level as before, its tail cut off."""
    wet = fftconvolve(speech, response)[: len(speech)]
    wet_power = power(wet)
    gain = math.sqrt(power(speech) / wet_power) if wet_power > 0 else 1.0
    return np.asarray(wet * gain, np.float32)


@lru_cache(maxsize=ROOMS)
def room_response(number: int) -> Float32:
    """Impulse response of evaluation room ``number``; the direct sound is sample 0.

    A shoebox by the image-source method (pyroomacoustics, MIT), source 1-3 m from the
    microphone. Sabine's formula, which chooses the walls, misses the stated RT60 by up to
    half in flat rooms, so an exponential corrects the decay to what was drawn (0.3-0.9 s).
    """
    import pyroomacoustics as pra  # half a second of import that few commands need

    rng = np.random.default_rng(ROOM_SEED + number)
    while True:
        size, rt60_s = rng.uniform(*ROOM_M), rng.uniform(*RT60_S)
        distance_m = rng.uniform(*DISTANCE_M)
        places = _places(size, distance_m, rng)
        try:
            absorption, order = pra.inverse_sabine(rt60_s, size)
        except ValueError:  # so large and so dead that no wall does it
            continue
        if places is not None:
            break
    room = pra.ShoeBox(
        size,
        fs=SAMPLE_RATE_HZ,
        materials=pra.Material(absorption),
        max_order=min(order, MAX_ORDER),
    )
    room.add_source(places[0])
    room.add_microphone(places[1])
    room.compute_rir()
    # Each arrival is a windowed sinc that starts this much late.
    margin = pra.constants.get("frac_delay_length") // 2
    direct = round(distance_m / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ) + margin
    response = np.asarray(room.rir[0][0][direct:], np.float64)
    measured_s = decay_s(response)
    seconds = np.arange(len(response)) / SAMPLE_RATE_HZ
    response *= np.exp(-math.log(1000) * seconds * (1 / rt60_s - 1 / measured_s))
    response = response[: round(rt60_s * SAMPLE_RATE_HZ)]
    return np.asarray(response / np.sqrt(np.sum(response**2)), np.float32)


def _places(
    size: Float64, distance_m: float, rng: np.random.Generator
) -> tuple[Float64, Float64] | None:
    """Source and microphone so far apart, half a metre from any wall; None when a draw fails."""
    for _ in range(100):
        microphone = rng.uniform(0.5, size - 0.5)
        direction = rng.standard_normal(3)
        source = microphone + distance_m * direction / np.linalg.norm(direction)
        if np.all(source >= 0.5) and np.all(source <= size - 0.5):
            return source, microphone
    return None


def decay_s(response: Float64) -> float:
    """RT60 of an impulse response: twice the fall from -5 to -35 dB of what is still to come.

    Schroeder's backward integration, as in ISO 3382.
    """
    energy = np.cumsum(np.square(response)[::-1])[::-1]
    level_db = 10 * np.log10(np.maximum(energy / energy[0], 1e-12))
    start, end = (int(np.argmax(level_db <= level)) for level in (-5.0, -35.0))
    return 2 * (end - start) / SAMPLE_RATE_HZ


def clarity_db(response: Float32) -> float:
    """C50 of an impulse response: energy up to 50 ms after the direct sound over the rest.

    ISO 3382; the direct sound is the largest sample. Infinite where nothing comes later.
    """
    energy = np.square(response, dtype=np.float64)
    early = int(np.abs(response).argmax()) + EARLY_SAMPLES
    late = float(energy[early:].sum())
    return 10 * math.log10(energy[:early].sum() / late) if late > 0 else math.inf


def loudspeaker(speech: Float32) -> Float32:
    """A small loudspeaker: its band, and peaks that are pressed flat; as loud as before."""
    peak = max(float(np.max(np.abs(speech))), math.sqrt(SILENT))
    pressed = np.tanh(LOUDSPEAKER_DRIVE / peak * speech)
    band = butter(2, LOUDSPEAKER_BAND_HZ, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    # Forwards and backwards, so that no frequency is late: the alignment stays.
    heard = sosfiltfilt(band, pressed, padlen=min(600, len(speech) - 1))
    gain = math.sqrt(power(speech) / max(power(heard), SILENT))
    return np.asarray(gain * heard, np.float32)


def telephone(speech: Float32) -> Float32:
    """A telephone line: 8 kHz, 300-3400 Hz, G.711 mu-law, and back at 16 kHz."""
    narrow = soxr.resample(limited(speech), SAMPLE_RATE_HZ, TELEPHONE_HZ, quality="HQ")
    band = butter(4, TELEPHONE_BAND_HZ, "bandpass", fs=TELEPHONE_HZ, output="sos")
    padding = min(600, len(narrow) - 1)
    # Forwards and backwards, so that no frequency is late: the alignment stays.
    narrow = limited(sosfiltfilt(band, narrow, padlen=padding).astype(np.float32))
    line = _through(narrow, TELEPHONE_HZ, "WAV", "ULAW")
    return _as_long(soxr.resample(line, TELEPHONE_HZ, SAMPLE_RATE_HZ, quality="HQ"), len(speech))


def opus(speech: Float32, level: float = OPUS_LEVEL) -> Float32:
    """Ogg Opus, encoded and decoded by libsndfile, which keeps alignment.

    ``level`` is libsndfile's compression level, by default some 7 kbit/s.
    """
    decoded = _through(limited(speech), SAMPLE_RATE_HZ, "OGG", "OPUS", level)
    return _as_long(decoded, len(speech))


def suppressed(sound: Float32, rng: np.random.Generator) -> Float32:
    """Noise suppression as browsers and headsets do it: by spectral gains, or as a noise gate.

    The noise of a band, or of all bands at once, is taken to be some times what it is in its
    quietest frames. How many times, how much of it is left, and which of the two it is, ``rng``
    draws.
    """
    size = SUPPRESSION_WINDOW
    padded = np.pad(sound, (0, max(0, size - len(sound))))
    _, _, spectrum = stft(padded, nperseg=size)
    heard = np.square(np.abs(spectrum))
    if rng.random() < 0.5:
        heard = heard.mean(axis=0, keepdims=True)
    noise = 10 ** rng.uniform(0, 1) * np.quantile(heard, QUIETEST_FRAMES, axis=1, keepdims=True)
    least = 10 ** rng.uniform(*LEFT)
    gain = np.sqrt(np.maximum(1 - noise / np.maximum(heard, SILENT), least))
    _, found = istft(spectrum * gain, nperseg=size)
    return np.asarray(found[: len(sound)], np.float32)


def _through(
    samples: Float32, rate_hz: int, format: str, subtype: str, level: float | None = None
) -> Float32:
    coded = io.BytesIO()
    with sf.SoundFile(
        coded, "w", rate_hz, 1, subtype, format=format, compression_level=level
    ) as file:
        file.write(samples)
    coded.seek(0)
    decoded, _ = sf.read(coded, dtype="float32")
    return np.asarray(decoded, np.float32)


def _as_long(samples: Float32, length: int) -> Float32:
    return np.pad(samples, (0, max(0, length - len(samples))))[:length].astype(np.float32)


def limited(samples: Float32) -> Float32:
    """Samples turned down as a whole where their peak exceeds :data:`PEAK`."""
    peak = float(np.max(np.abs(samples)))
    return samples if peak <= PEAK else np.asarray(samples * np.float32(PEAK / peak), np.float32)
