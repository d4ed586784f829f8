"""Sound files: which files of a folder are recordings, and the reading of training data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from engine.errors import VoxwatchError
from engine.format import SAMPLE_RATE_HZ

# Names of what libsndfile reads by its content. RAW has no header, and MAT is rarely sound.
SUFFIXES = (
    *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".nist", ".oga", ".ogg", ".opus"),
    *(".rf64", ".snd", ".sph", ".voc", ".w64", ".wav", ".wave"),
)


class CorpusError(VoxwatchError):
    """Training data that is missing or cannot be read; the message names the file."""


def recordings(folder: Path) -> list[Path]:
    """Every file below ``folder`` that is named as a recording, in the order of the paths."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def without_folders(path: Path) -> str:
    """A path as a report may show it: a report is shared, this machine's folders are not."""
    return f"{path.parent.name}/{path.name}"


def read_training_sound(path: Path, cure: str) -> NDArray[np.float32]:
    """Float32 ``(samples,)`` at 16 kHz. ``cure`` says what to do with a file that is unreadable.

    Raises :class:`CorpusError` for what cannot be read and for other rates and channels.
    """
    try:
        waveform, rate_hz = sf.read(path, dtype="float32")
    except sf.LibsndfileError as error:
        raise CorpusError(f"{path} cannot be read ({error}): {cure}") from error
    if rate_hz != SAMPLE_RATE_HZ or waveform.ndim != 1:
        raise CorpusError(f"{path} is not mono at {SAMPLE_RATE_HZ} Hz: convert it")
    return np.asarray(waveform, np.float32)
