"""What befalls the test side of a trial: noise, a room, a telephone line, a codec.

Speech is cut first and degraded afterwards: the net speech of a file is found on the clean
signal, its first N seconds are taken, and only then is the segment degraded. All conditions
so hold the same words, and what is measured is the damage to the sound, not to the speech
detector. Length and alignment stay: sample ``i`` comes from sample ``i``.

Every choice (piece of noise, SNR, room) follows from the file's relative path, the
condition and the seed, so it is the same in every run, for every system and at every
duration. Noise pieces are those that training leaves alone, rooms have seeds of their own.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfiltfilt

from engine.errors import VoxwatchError
from engine.speech.vad import SAMPLE_RATE_HZ
from models.evaluation.trials import SUFFIXES

Condition = Literal["clean", "noise", "reverb", "telephone", "opus"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)

SNR_DB = (5.0, 15.0)
PEAK = 0.99  # codecs clip at full scale; a louder segment is turned down as a whole
QUIETEST_NOISE = 1e-7  # power: -70 dBFS, under which a piece is a pause between two events

ROOMS = 40
ROOM_SEED = 90_000  # training numbers its rooms from small seeds
RT60_S = (0.3, 0.9)
DISTANCE_M = (1.0, 3.0)
ROOM_M = ((3.5, 3.0, 2.4), (8.0, 6.0, 3.5))
MAX_ORDER = 100
SPEED_OF_SOUND_M_S = 343.0

TELEPHONE_HZ = 8000
TELEPHONE_BAND_HZ = (300.0, 3400.0)

# libsndfile's scale for one channel runs from 256 kbit/s at 0 to 6 at 1: this is 8 nominal.
# Measured on the net speech of one file: 7.2 kbit/s of Opus packets, narrow band.
OPUS_LEVEL = 0.992

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class ConditionError(VoxwatchError):
    """A condition that does not exist, or noise that cannot be had."""


class Degradation:
    """The test-side conditions, with their noise and their seed.

    ``noise`` is a folder of noise pieces, of which only those held out from training are
    used; without one, the noise is synthesised pink noise (``noise_source`` says which).
    Raises ``ConditionError`` when the folder has no such piece.
    """

    def __init__(self, noise: Path | None = None, *, seed: int = 0) -> None:
        self.seed = seed
        self._pieces = None if noise is None else _held_out(noise)
        self.noise_source = (
            "synthesised pink noise (no noise folder was given)"
            if self._pieces is None
            else f"{len(self._pieces)} recorded pieces, held out from training"
        )

    def __call__(self, condition: Condition, speech: Float32, path: str) -> Float32:
        """``speech`` ``(samples,)`` at 16 kHz under ``condition``, as long as before.

        ``path`` is the file's relative path, which with the condition decides every draw.
        """
        if condition == "clean" or not len(speech):
            return speech
        rng = _rng(path, condition, self.seed)
        if condition == "noise":
            degraded = add_noise(speech, self._noise(len(speech), rng), rng.uniform(*SNR_DB))
        elif condition == "reverb":
            degraded = reverberate(speech, room_response(int(rng.integers(ROOMS))))
        elif condition == "telephone":
            degraded = telephone(speech)
        elif condition == "opus":
            degraded = opus(speech)
        else:
            raise ConditionError(
                f"there is no condition {condition!r}: choose from {', '.join(CONDITIONS)}"
            )
        return _limited(degraded)

    def _noise(self, samples: int, rng: np.random.Generator) -> Float32:
        if self._pieces is None:
            return pink_noise(samples, rng)
        while True:  # ends: every piece was checked to hold sound somewhere
            piece = self._pieces[rng.integers(len(self._pieces))]
            start = int(rng.integers(len(piece)))
            cut = np.resize(np.roll(piece, -start), samples)  # repeats what is too short
            if _power(cut) > QUIETEST_NOISE:
                return cut.astype(np.float32)


def _rng(path: str, condition: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{path}\0{condition}\0{seed}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def is_training_noise(path: Path) -> bool:
    """Whether training uses this noise piece: three quarters of them, by the hash of the name."""
    return int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % 4 != 0


def held_out_noise(paths: Iterable[Path]) -> list[Path]:
    """The noise pieces that evaluation owns: those that training does not use, and of no
    recording it does. Pieces ``X-A``, ``X-B``, ... are cuts of one recording ``X``."""
    every = list(paths)
    heard = {_recording(path) for path in every if is_training_noise(path)}
    return [path for path in every if _recording(path) not in heard]


def _recording(path: Path) -> str:
    return path.stem.rsplit("-", 1)[0]


def _held_out(folder: Path) -> list[Float32]:
    if not folder.is_dir():
        raise ConditionError(f"there is no noise folder {folder}: name one with sound files in it")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    pieces = []
    for path in held_out_noise(paths):
        try:
            samples, rate_hz = sf.read(path, dtype="float32", always_2d=True)
        except (sf.LibsndfileError, OSError) as error:
            raise ConditionError(f"{path} is no sound file that can be read: remove it") from error
        piece = soxr.resample(samples[:, 0], rate_hz, SAMPLE_RATE_HZ)
        if len(piece) and _power(piece) > QUIETEST_NOISE:
            pieces.append(np.asarray(piece, np.float32))
    if not pieces:
        raise ConditionError(
            f"{folder} has no noise held out from training ({len(paths)} sound files): add"
            " recordings, of which about a quarter is held out, by a hash of the name up to its"
            " last hyphen, or leave --noise out for synthesised noise"
        )
    return pieces


def pink_noise(samples: int, rng: np.random.Generator) -> Float32:
    """Noise whose power falls as 1/f above 20 Hz, ``(samples,)``, at unit power."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    shaped = np.fft.irfft(spectrum / np.sqrt(np.maximum(frequency, 20.0)), n=samples)
    return np.asarray(shaped / np.sqrt(np.mean(shaped**2)), np.float32)


def add_noise(speech: Float32, noise: Float32, snr_db: float) -> Float32:
    """The sum at a signal-to-noise ratio: power over all of the segment, which is all speech."""
    gain = math.sqrt(_power(speech) / _power(noise) / 10 ** (snr_db / 10))
    return np.asarray(speech + np.float32(gain) * noise, np.float32)


def _power(samples: Float32) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


def reverberate(speech: Float32, response: Float32) -> Float32:
    """Speech in a room, direct sound where it was, level as before, its tail cut off."""
    wet = fftconvolve(speech, response)[: len(speech)]
    power = _power(wet)
    gain = math.sqrt(_power(speech) / power) if power > 0 else 1.0
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


def telephone(speech: Float32) -> Float32:
    """A telephone line: 8 kHz, 300-3400 Hz, G.711 mu-law, and back at 16 kHz."""
    narrow = soxr.resample(_limited(speech), SAMPLE_RATE_HZ, TELEPHONE_HZ, quality="HQ")
    band = butter(4, TELEPHONE_BAND_HZ, "bandpass", fs=TELEPHONE_HZ, output="sos")
    padding = min(600, len(narrow) - 1)
    # Forwards and backwards, so that no frequency is late: the alignment stays.
    narrow = _limited(sosfiltfilt(band, narrow, padlen=padding).astype(np.float32))
    line = _through(narrow, TELEPHONE_HZ, "WAV", "ULAW")
    return _as_long(soxr.resample(line, TELEPHONE_HZ, SAMPLE_RATE_HZ, quality="HQ"), len(speech))


def opus(speech: Float32, level: float = OPUS_LEVEL) -> Float32:
    """Ogg Opus, encoded and decoded by libsndfile, which keeps alignment.

    ``level`` is libsndfile's compression level, by default some 7 kbit/s.
    """
    decoded = _through(_limited(speech), SAMPLE_RATE_HZ, "OGG", "OPUS", level)
    return _as_long(decoded, len(speech))


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


def _limited(samples: Float32) -> Float32:
    peak = float(np.max(np.abs(samples)))
    return samples if peak <= PEAK else np.asarray(samples * np.float32(PEAK / peak), np.float32)
