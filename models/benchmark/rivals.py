"""Other systems on the same audio: programs behind a pipe, their answers kept on disk.

A rival is any command. It first writes one line of JSON, ``{"name", "accept", "reject"}``: a
running score of at least ``accept`` is a match, one under ``reject`` another voice. Then, for
as long as its input lasts, it reads two little-endian uint32, the samples of an enrolment and
of a stream, and that many float32 of 16 kHz net speech each; it answers with a uint32 ``K`` and
``K`` pairs of float32: seconds of the stream's speech at which it speaks, and its score.
"""

from __future__ import annotations

import hashlib
import shlex
import struct
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.errors import VoxwatchError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class RivalError(VoxwatchError):
    """Another system that cannot be run or does not keep to the protocol."""


class Introduction(msgspec.Struct, frozen=True):
    """What a rival says of itself: its name and the bounds of its demonstration."""

    name: str
    accept: float
    reject: float


@dataclass(frozen=True, slots=True, eq=False)
class RunningScore:
    """A running score: at ``t`` ``(K,)`` seconds of media it has the ``value`` ``(K,)``."""

    t: Float64
    value: Float64


class Rival:
    """Another system's process; asked by one thread at a time. A context manager."""

    def __init__(self, command: str, cache: Path | None = None) -> None:
        """Raises :class:`RivalError` when ``command`` does not start."""
        try:
            self._process = subprocess.Popen(
                shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise RivalError(f"the rival {command!r} does not start: {error.strerror}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._into: IO[bytes] = self._process.stdin
        self._out: IO[bytes] = self._process.stdout
        self._lock = threading.Lock()
        try:
            self.about = msgspec.json.decode(self._out.readline(), type=Introduction)
        except msgspec.DecodeError as error:
            self.close()
            raise RivalError(
                f"the rival {command!r} did not introduce itself: see its message above"
            ) from error
        self._cache = None
        if cache is not None:
            self._cache = cache / "".join(c if c.isalnum() else "-" for c in self.about.name)
            self._cache.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Rival:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process; one that is gone already is no new error."""
        with suppress(BrokenPipeError):
            self._into.close()
        self._out.close()
        self._process.wait()

    def score(self, enrolment: Float32, speech: Float32) -> tuple[Float64, Float64]:
        """Seconds of ``speech`` ``(samples,)`` and the scores then, both ``(K,)``."""
        if not len(speech):
            return np.empty(0), np.empty(0)
        pairs = self._kept(enrolment, speech)
        return pairs[:, 0].astype(np.float64), pairs[:, 1].astype(np.float64)

    def _kept(self, enrolment: Float32, speech: Float32) -> Float32:
        if self._cache is None:
            return self._ask(enrolment, speech)
        sound = hashlib.blake2b(enrolment.tobytes(), digest_size=16)
        sound.update(struct.pack("<I", len(enrolment)) + speech.tobytes())
        place = self._cache / f"{sound.hexdigest()}.npy"
        if place.exists():
            return np.asarray(np.load(place), np.float32)
        pairs = self._ask(enrolment, speech)
        partial = place.with_suffix(".part")
        with open(partial, "wb") as file:
            np.save(file, pairs)
        partial.rename(place)  # a killed run leaves no half answer
        return pairs

    def _ask(self, enrolment: Float32, speech: Float32) -> Float32:
        sound = np.concatenate([enrolment, speech]).astype("<f4").tobytes()
        with self._lock:
            try:
                self._into.write(struct.pack("<II", len(enrolment), len(speech)) + sound)
                self._into.flush()
                header = self._out.read(4)
                count = struct.unpack("<I", header)[0] if len(header) == 4 else 0
                answer = self._out.read(8 * count)
            except BrokenPipeError:
                header, answer, count = b"", b"", 0
        pairs = np.frombuffer(answer, "<f4").reshape(-1, 2)
        if len(header) != 4 or len(pairs) != count or not np.isfinite(pairs).all():
            raise RivalError(f"{self.about.name} failed on a conversation: see its message above")
        return pairs


def media_time(spans: Float64, speech_s: Float64) -> Float64:
    """Media seconds at which so much net speech of ``spans`` ``(S, 2)`` has been heard."""
    if not len(spans):
        return np.zeros_like(speech_s)
    lengths = spans[:, 1] - spans[:, 0]
    before = np.concatenate([[0.0], np.cumsum(lengths)])
    speech_s = np.clip(speech_s, 0.0, before[-1])
    span = np.clip(np.searchsorted(before, speech_s, side="left") - 1, 0, len(spans) - 1)
    return np.asarray(spans[span, 0] + speech_s - before[span], np.float64)


def speech_of(waveform: Float32, spans: Float64, rate_hz: int) -> Float32:
    """The sound within ``spans`` ``(S, 2)``, joined."""
    parts = [waveform[round(a * rate_hz) : round(b * rate_hz)] for a, b in spans]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
