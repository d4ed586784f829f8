"""Reads recordings in any format that libsndfile knows, to one channel at 16 kHz.

Everything a person can hand over by mistake is refused here with one line that says
what is wrong and what to do, so that no score is ever computed from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from engine.errors import AudioError
from engine.format import CLIPPING_LEVEL, HIGHEST_RATE_HZ, LOWEST_RATE_HZ, SAMPLE_RATE_HZ

SILENCE_DBFS = -60.0  # A quieter 16-bit recording has an RMS under 33 steps: that is noise.
CLIPPED_RUN_SAMPLES = 3  # A lone sample at full scale is a peak, and a flat run is clipping.
# Largest share of clipped samples in a usable recording. With more the distortion reaches the
# mel bands.
MAX_CLIPPED = 0.01
# An MP3 counts as whole with this share of the bytes that it states, as taggers append and cut.
MP3_SHARE = 0.99
MP3_TAG_BYTES = 128  # An ID3v1 tag at the end has this size, and a header may count it.
# A file is read by blocks of this many frames: a header may claim any length, and memory should
# grow only with what is really there.
BLOCK_FRAMES = 1 << 18

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Audio:
    """One channel of a recording.

    ``waveform``: float32 ``(samples,)`` at 16 kHz. ``source_rate_hz``: the file's own rate.
    ``clipped``: share of the source's samples (0 to 1) that lie in flat runs at full scale.
    ``level_dbfs``: RMS level of the source, 0 being a full-scale square wave.
    """

    waveform: Float32
    source_rate_hz: int
    clipped: float
    level_dbfs: float

    @property
    def duration_s(self) -> float:
        """Length in seconds, silence included."""
        return len(self.waveform) / SAMPLE_RATE_HZ


def read_audio(path: Path | str, *, channel: int | None = None) -> Audio:
    """Read one channel of a sound file, resampled to 16 kHz (soxr, high quality).

    ``channel`` counts from 0 and must be given when there are several: the two sides of a
    call are different people. A recording with a single channel needs none and ignores it.
    Raises ``AudioError`` for what cannot be verified: no such file, not audio, cut short,
    empty, NaN or infinity, a rate outside 8-192 kHz, silence.
    """
    path = Path(path)
    samples, rate_hz = _decode(path, channel)
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: holds NaN or infinite samples: record or convert it again")
    level_dbfs = _level_dbfs(samples)
    if level_dbfs < SILENCE_DBFS:
        level = "digital silence" if math.isinf(level_dbfs) else f"silent ({level_dbfs:.0f} dBFS)"
        raise AudioError(f"{path}: {level}: check the microphone, its mute switch and the channel")
    waveform = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    return Audio(waveform.astype(np.float32, copy=False), rate_hz, _clipped(samples), level_dbfs)


def check_recording(path: Path) -> None:
    """Raise ``AudioError`` for what is no regular file, is empty, or is cut short by its header.

    For every way to read a recording, whole or piece by piece. A cut that only the samples
    tell is found when they are read.
    """
    if path.is_dir():
        raise AudioError(f"{path}: is a folder: name a sound file in it")
    if not path.exists():
        raise AudioError(f"{path}: no such file: check the path")
    if not path.is_file():
        raise AudioError(f"{path}: not a regular file: save the sound to a file first")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty: record or copy it again")
    _check_riff_length(path)
    _check_mp3_length(path)


def _check_riff_length(path: Path) -> None:
    """Refuse a WAV that is shorter than its header says, which libsndfile would not mention."""
    with open(path, "rb") as file:
        head = file.read(12)
    stated = int.from_bytes(head[4:8], "little") + 8
    # Programs that stream to a pipe cannot know the length: they state none, or the largest.
    known = 8 < stated < 0x7FFF_FFFF
    if head[:4] == b"RIFF" and head[8:] == b"WAVE" and known and stated > path.stat().st_size + 1:
        raise AudioError(
            f"{path}: cut short: {path.stat().st_size} bytes of {stated}: copy it again"
        )


def _check_mp3_length(path: Path) -> None:
    """Refuse an MP3 that is shorter than its Xing header says, which libsndfile only warns of."""
    with open(path, "rb") as file:
        tag = file.read(10)
        start = 0
        if tag[:3] == b"ID3" and len(tag) == 10:
            a, b, c, d = tag[6:]  # each byte holds seven bits of the length
            start = 10 + (a << 21 | b << 14 | c << 7 | d)
        file.seek(start)
        frame = file.read(192)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if frame[:1] != b"\xff" or at < 0:
        return
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    place = at + 8 + 4 * (flags & 1)  # the length stands behind the number of frames
    stated = int.from_bytes(frame[place : place + 4], "big") if flags & 2 else 0
    there = path.stat().st_size - start
    if there < min(stated * MP3_SHARE, stated - MP3_TAG_BYTES):
        raise AudioError(
            f"{path}: cut short: {there} bytes of {stated}: copy it again, or convert it to WAV if"
            " it is meant to be so"
        )


def _decode(path: Path, channel: int | None) -> tuple[Float32, int]:
    try:
        check_recording(path)
        # It is opened by descriptor, so that the content decides the format and not the name:
        # libsndfile takes a file called .vox or .raw for headerless samples, whatever is in it.
        with open(path, "rb") as file, sf.SoundFile(file.fileno(), closefd=False) as sound:
            _check_rate(path, sound.samplerate)
            return _read_channel(path, sound, channel), sound.samplerate
    except sf.LibsndfileError as error:
        raise AudioError(
            f"{path}: not a sound file that can be read ({error.error_string.rstrip('.')}):"
            " convert it to WAV, FLAC, Ogg or MP3"
        ) from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}") from error


def _check_rate(path: Path, rate_hz: int) -> None:
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"{path}: sampled at {rate_hz} Hz: record or convert it at "
            f"{LOWEST_RATE_HZ // 1000} to {HIGHEST_RATE_HZ // 1000} kHz"
        )


def _read_channel(path: Path, sound: sf.SoundFile, channel: int | None) -> Float32:
    chosen = _chosen_channel(path, sound.channels, channel)
    blocks: list[Float32] = []
    while True:
        try:
            block = sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            raise AudioError(
                f"{path}: damaged or cut short ({error.error_string.rstrip('.')}): copy it again"
            ) from error
        if not len(block):
            break
        blocks.append(block[:, chosen].copy())
    samples = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    # An MP3's length is an estimate from its bit rate; every other header counts its frames.
    if len(samples) < sound.frames and sound.format != "MP3":
        raise AudioError(
            f"{path}: cut short: {len(samples) / sound.samplerate:.1f} s of "
            f"{sound.frames / sound.samplerate:.1f} s are there: copy it again"
        )
    if not len(samples):
        raise AudioError(f"{path}: holds no samples: record or copy it again")
    return samples


def _chosen_channel(path: Path, channels: int, channel: int | None) -> int:
    if channels == 1:
        return 0
    which = "0 or 1" if channels == 2 else f"0 to {channels - 1}"
    if channel is None:
        raise AudioError(
            f"{path}: has {channels} channels, which may be different people: "
            f"choose one with --channel {which}, or keep one channel only in the file"
        )
    if not 0 <= channel < channels:
        raise AudioError(f"{path}: has no channel {channel}: choose one with --channel {which}")
    return channel


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
