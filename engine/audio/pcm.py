"""PCM bytes in, 16 kHz float32 out: one stream's decoder and resampler.

Feed and flush: bytes come in pieces of any size, down to one, and the sound that comes
out does not depend on how they were cut.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import soxr
from numpy.typing import NDArray

from engine.audio.g711 import TABLES
from engine.audio.offset import OffsetRemoval
from engine.audio.repeats import RepeatCheck
from engine.audio.signatures import HEAD_BYTES, foreign
from engine.audio.suspicion import FormCheck, Suspicion
from engine.errors import AudioError, WrongFormat
from engine.format import (
    HIGHEST_RATE_HZ,
    INT16_STEPS,
    LOWEST_RATE_HZ,
    MOST_CHANNELS,
    SAMPLE_BYTES,
    SAMPLE_RATE_HZ,
    Encoding,
)

Float32 = NDArray[np.float32]

BLOCKS_PER_S = 50  # The resampler is fed in steps of 20 ms.


class PcmDecoder:
    """Decodes one stream; ``channel`` counts from zero and is the one that is kept.

    Raises :class:`AudioError` for a format that is not understood, and from :meth:`feed`
    for samples that are not finite and for what is no PCM (:class:`WrongFormat`). ``found`` gets
    what is suspected of the form of the bytes, from which sample on, wherever that changes, and
    ``repeats`` finds sound that has come before. A constant offset is taken away
    (:class:`OffsetRemoval`), and ``offset`` tells it.
    """

    def __init__(
        self,
        encoding: Encoding = "pcm_s16le",
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        *,
        channels: int = 1,
        channel: int = 0,
    ) -> None:
        _check_format(encoding, sample_rate_hz, channels, channel)
        self._encoding, self.channels, self._channel = encoding, channels, channel
        self._frame_bytes = SAMPLE_BYTES[encoding] * channels
        self._head: bytes | None = b""  # while it is not known that they are samples
        self._check = FormCheck(encoding, channels)
        self.found: list[tuple[int, Suspicion | None]] = []
        self.offset, self.repeats = OffsetRemoval(), RepeatCheck(sample_rate_hz)
        self.rate_hz = sample_rate_hz
        self.bytes_per_s = self._frame_bytes * sample_rate_hz
        self._undecoded = b""
        self._resampler: soxr.ResampleStream | None = None
        if sample_rate_hz != SAMPLE_RATE_HZ:
            self._resampler = soxr.ResampleStream(
                sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ"
            )
        # What soxr gives does not depend on how it is fed, but a call costs some 10 us: pieces
        # are collected to whole steps.
        self._block = sample_rate_hz // BLOCKS_PER_S
        self._waiting = np.zeros(0, np.float32)

    def feed(self, data: bytes) -> Float32:
        """Decode a piece. Returns the samples ``(N,)`` at 16 kHz that are ready."""
        self._examine(data)
        data = self._undecoded + data
        whole = len(data) - len(data) % self._frame_bytes
        self._undecoded = data[whole:]
        samples = self._samples(data[:whole])
        self.repeats.feed(samples)
        if self._resampler is None:
            return self.offset.feed(samples)
        self._waiting = np.concatenate([self._waiting, samples])
        blocks = len(self._waiting) // self._block
        ready, self._waiting = np.split(self._waiting, [blocks * self._block])
        return self._resampled(ready, last=False) if blocks else ready

    def flush(self) -> Float32:
        """The rest of the samples at the end of the stream. A torn last sample is dropped."""
        self._undecoded = b""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        rest, self._waiting = self._waiting, np.zeros(0, np.float32)
        return self._resampled(rest, last=True)

    def _examine(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data[: HEAD_BYTES - len(self._head)]
            if (name := foreign(self._head)) is not None:
                what, advice = name
                raise WrongFormat(f"this is {what}, and raw samples were declared: {advice}")
            if len(self._head) == HEAD_BYTES:
                self._head = None
        for place, suspicion in self._check.feed(data):
            self.found.append((place * SAMPLE_RATE_HZ // self.bytes_per_s, suspicion))

    def _samples(self, data: bytes) -> Float32:
        if self._encoding == "pcm_s16le":
            steps = np.frombuffer(data, "<i2")
            samples: Float32 = np.multiply(steps, np.float32(1 / INT16_STEPS), dtype=np.float32)
        elif self._encoding == "pcm_f32le":
            samples = np.frombuffer(data, "<f4")
            if not np.isfinite(samples).all():
                raise AudioError("the stream has samples that are not finite (NaN or infinity)")
            # What lies beyond full scale is cut flat, as a converter would, and so told as clipped.
            samples = np.clip(samples, -1.0, 1.0)
        else:
            samples = TABLES[self._encoding][np.frombuffer(data, np.uint8)]
        return samples[self._channel :: self.channels]

    def _resampled(self, samples: Float32, *, last: bool) -> Float32:
        assert self._resampler is not None
        resampled = self._resampler.resample_chunk(samples, last=last)
        return self.offset.feed(np.asarray(resampled, np.float32))


def _check_format(encoding: str, sample_rate_hz: int, channels: int, channel: int) -> None:
    if encoding not in get_args(Encoding):
        known = ", ".join(get_args(Encoding))
        raise AudioError(f"the encoding {encoding!r} is not known: choose one of {known}")
    if not LOWEST_RATE_HZ <= sample_rate_hz <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"a sample rate of {sample_rate_hz} Hz is outside {LOWEST_RATE_HZ} to"
            f" {HIGHEST_RATE_HZ} Hz"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(f"{channels} channels are outside 1 to {MOST_CHANNELS}")
    if not 0 <= channel < channels:
        raise AudioError(
            f"channel {channel} does not exist: channels count from 0 to {channels - 1}"
        )
