"""The conditions under which speech is heard, and the noise that each of them may use.

Evaluation cuts speech first and degrades it afterwards: the net speech of a file is found on
the clean signal, its first N seconds are taken, and only then is the segment degraded. So all
conditions hold the same words, and what is measured is the damage to the sound and not to the
speech detector.

Every choice (piece of noise, SNR, room) follows from the file's relative path, the condition
and the seed, so it is the same in every run, for every system and at every duration. Evaluation
owns the noise pieces that training leaves alone, and rooms with seeds of their own; what is
fitted on held-out training speakers uses training's noise and rooms (`TrainingConditions`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from engine.errors import VoxwatchError
from engine.format import SAMPLE_RATE_HZ
from models.sound.degradations import (
    ROOMS,
    add_noise,
    coloured_noise,
    limited,
    opus,
    pink_noise,
    power,
    reverberate,
    room_response,
    suppressed,
    telephone,
)
from models.sound.files import recordings

Condition = Literal["clean", "noise", "reverb", "telephone", "opus", "hiss", "suppression"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)

SNR_DB = (5.0, 15.0)  # of evaluation
HISS_SNR_DB = (10.0, 30.0)  # of a microphone's own white noise
TRAINING_SNR_DB = (5.0, 20.0)  # of what is fitted on held-out training speakers
QUIETEST_NOISE = 1e-7  # power: -70 dBFS, under which a piece is a pause between two events
QUIETEST_TRAINING_NOISE = 1e-9  # power; the pieces of the training store are at unit power

Float32 = NDArray[np.float32]
Degrade = Callable[[Float32, int, np.random.Generator], Float32]  # speech, number of condition


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
        self._pieces = None if noise is None else held_out_pieces(noise)
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
        elif condition == "hiss":
            white = coloured_noise(len(speech), 0.0, rng)
            degraded = add_noise(speech, white, rng.uniform(*HISS_SNR_DB))
        elif condition == "suppression":
            noisy = add_noise(speech, self._noise(len(speech), rng), rng.uniform(*SNR_DB))
            degraded = suppressed(noisy, rng)
        else:
            raise ConditionError(
                f"there is no condition {condition!r}: choose from {', '.join(CONDITIONS)}"
            )
        return limited(degraded)

    def _noise(self, samples: int, rng: np.random.Generator) -> Float32:
        if self._pieces is None:
            return pink_noise(samples, rng)
        while True:  # ends: every piece was checked to hold sound somewhere
            piece = self._pieces[rng.integers(len(self._pieces))]
            start = int(rng.integers(len(piece)))
            cut = np.resize(np.roll(piece, -start), samples)  # repeats what is too short
            if power(cut) > QUIETEST_NOISE:
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


def held_out_pieces(folder: Path) -> list[Float32]:
    """The noise that evaluation owns, each piece ``(samples,)`` at 16 kHz.

    Raises :class:`ConditionError` when there is none.
    """
    if not folder.is_dir():
        raise ConditionError(f"there is no noise folder {folder}: name one with sound files in it")
    paths = recordings(folder)
    pieces = []
    for path in held_out_noise(paths):
        try:
            samples, rate_hz = sf.read(path, dtype="float32", always_2d=True)
        except (sf.LibsndfileError, OSError) as error:
            raise ConditionError(f"{path} is no sound file that can be read: remove it") from error
        piece = soxr.resample(samples[:, 0], rate_hz, SAMPLE_RATE_HZ)
        if len(piece) and power(piece) > QUIETEST_NOISE:
            pieces.append(np.asarray(piece, np.float32))
    if not pieces:
        raise ConditionError(
            f"{folder} has no noise held out from training ({len(paths)} sound files): add"
            " recordings, of which about a quarter is held out, by a hash of the name up to its"
            " last hyphen, or leave --noise out for synthesised noise"
        )
    return pieces


class TrainingConditions:
    """Noise, rooms, telephone and codec by number, from the pieces that training uses.

    What is fitted with these has not heard the noise and the rooms of evaluation.
    """

    KINDS = 4

    def __init__(self, cache: Path, snr_db: tuple[float, float] = TRAINING_SNR_DB) -> None:
        self._snr_db = snr_db
        self._noise = np.load(cache / "noise.npy", mmap_mode="r")
        self._rooms = np.load(cache / "rooms.npy", mmap_mode="r")

    def __call__(self, speech: Float32, kind: int, rng: np.random.Generator) -> Float32:
        """``speech`` ``(samples,)`` under condition ``kind % 4``, as long as before."""
        kind %= self.KINDS
        if kind == 0:
            return add_noise(speech, self._piece(len(speech), rng), rng.uniform(*self._snr_db))
        if kind == 1:
            room = self._rooms[rng.integers(len(self._rooms))]
            return reverberate(speech, np.asarray(room, np.float32))
        return telephone(speech) if kind == 2 else opus(speech)

    def _piece(self, samples: int, rng: np.random.Generator) -> Float32:
        while True:  # ends: the store was made from pieces with sound in them
            start = int(rng.integers(max(1, len(self._noise) - samples)))
            piece = np.resize(self._noise[start : start + samples], samples).astype(np.float32)
            if power(piece) > QUIETEST_TRAINING_NOISE:
                return piece
