"""Reads recordings in any format that libsndfile knows, to one channel at 16 kHz.

Everything a person can hand over by mistake is refused here with one line that says
what is wrong and what to do, so that no score is ever computed from it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from engine.audio.channel_choice import SILENT
from engine.audio.offset import OffsetRemoval
from engine.audio.recording import Recording
from engine.errors import AudioError
from engine.format import CLIPPING_LEVEL, SAMPLE_RATE_HZ

SILENCE_DBFS = -60.0  # A quieter 16-bit recording has an RMS under 33 steps: that is noise.
# Sound cannot be louder than a square wave at full scale: floats that are were never divided by it.
LOUDEST_DBFS = 0.0
CLIPPED_RUN_SAMPLES = 3  # A lone sample at full scale is a peak, and a flat run is clipping.
# Largest share of clipped samples in a usable recording. With more the distortion reaches the
# mel bands.
MAX_CLIPPED = 0.01
SAME_SOUND = 0.9  # Channels whose correlation is larger than this, of either sign, are one source.
# A file is read by blocks of this many frames: a header may claim any length, and memory should
# grow only with what is really there.
BLOCK_FRAMES = 1 << 18

Float32 = NDArray[np.float32]

log = logging.getLogger("voxwatch.audio")


@dataclass(frozen=True, slots=True)
class Audio:
    """One channel of a recording.

    ``waveform``: float32 ``(samples,)`` at 16 kHz.
    ``clipped``: share of the source's samples (0 to 1) that lie in flat runs at full scale.
    ``level_dbfs``: RMS level of the source, 0 being a full-scale square wave.
    """

    waveform: Float32
    clipped: float
    level_dbfs: float

    @property
    def duration_s(self) -> float:
        """Length in seconds, silence included."""
        return len(self.waveform) / SAMPLE_RATE_HZ


def read_audio(path: Path | str, *, channel: int | None = None) -> Audio:
    """Read one channel of a sound file, resampled to 16 kHz (soxr, high quality), without offset.

    ``channel`` counts from 0 and must be given when there are several: the two sides of a
    call are different people. A recording with a single channel needs none and ignores it.
    Raises ``AudioError`` for what cannot be verified: no such file, not audio, cut short,
    empty, NaN or infinity, beyond full scale, a rate outside 8-192 kHz, silence. What is wrong with
    a file that is read all the same is logged as a warning.
    """
    path = Path(path)
    samples, rate_hz = _decode(path, channel)
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: holds NaN or infinite samples: record or convert it again")
    level_dbfs = _level_dbfs(samples)
    if level_dbfs < SILENCE_DBFS:
        level = "digital silence" if math.isinf(level_dbfs) else f"silent ({level_dbfs:.0f} dBFS)"
        raise AudioError(f"{path}: {level}: check the microphone, its mute switch and the channel")
    if level_dbfs > LOUDEST_DBFS:
        raise AudioError(
            f"{path}: its samples go far beyond full scale ({level_dbfs:.0f} dBFS): divide them by"
            " it, which is 32768 for 16 bits, and write them again"
        )
    waveform = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    heard = OffsetRemoval().feed(waveform.astype(np.float32, copy=False))
    return Audio(heard, _clipped(samples), level_dbfs)


def _decode(path: Path, channel: int | None) -> tuple[Float32, int]:
    with Recording(path) as recording:
        recording.check_rate()
        chosen = chosen_channel(recording, channel)
        for words in recording.warnings:
            log.warning("warning: %s", words)
        blocks = [block[:, chosen].copy() for block in recording.blocks(BLOCK_FRAMES)]
        return np.concatenate(blocks), recording.rate_hz


def chosen_channel(recording: Recording, channel: int | None) -> int:
    """The channel to listen to, from 0. Raises :class:`AudioError` where it must be chosen."""
    path, channels = recording.name, recording.channels
    if channels == 1:
        return 0
    if channel is None and channels == 2:
        same = same_sound(recording.blocks(BLOCK_FRAMES))
        if same is not None:
            words = "warning: %s: both channels hold the same sound, or one nothing: %d is read"
            log.warning(words, path, same)
            return same
    which = "0 or 1" if channels == 2 else f"0 to {channels - 1}"
    if channel is None:
        raise AudioError(
            f"{path}: has {channels} channels, which may be different people: "
            f"choose one with --channel {which}, or keep one channel only in the file"
        )
    if not 0 <= channel < channels:
        raise AudioError(f"{path}: has no channel {channel}: choose one with --channel {which}")
    return channel


def same_sound(blocks: Iterable[Float32]) -> int | None:
    """The louder of two channels that hold the same sound, or of which one is silent; else None.

    They are two microphones of one voice, whose sum might cancel, as where one of them is inverted,
    or one microphone beside an empty socket, and not the sides of a call.
    ``blocks``: all of the sound, ``(frames, 2)`` at a time.
    """
    products, frames = np.zeros((2, 2)), 0
    for block in blocks:
        wide = block.astype(np.float64)
        products += wide.T @ wide
        frames += len(block)
    (left, both), (_, right) = products
    if min(left, right) <= SILENT * frames < max(left, right):
        return 0 if left > right else 1
    if abs(both) <= SAME_SOUND * math.sqrt(left * right):
        return None
    return 0 if left >= 0.98 * right else 1  # of two that are as loud, the first


def _level_dbfs(samples: Float32) -> float:
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10 * math.log10(power) if power > 0 else -math.inf


def _clipped(samples: Float32) -> float:
    """Share of samples in runs of one sign at full scale, of at least ``CLIPPED_RUN_SAMPLES``."""
    clipped = 0
    for side in (samples >= CLIPPING_LEVEL, samples <= -CLIPPING_LEVEL):
        edges = np.flatnonzero(np.diff(side, prepend=False, append=False))
        runs = edges[1::2] - edges[::2]
        clipped += int(runs[runs >= CLIPPED_RUN_SAMPLES].sum())
    return clipped / len(samples)
