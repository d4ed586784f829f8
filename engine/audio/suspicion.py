"""Tells sound that is not of the form that was declared, by statistics of its bytes.

Every block that has sound in it is judged by itself (:mod:`engine.audio.forms`), and blocks in a
row have to agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.audio.forms import JUDGES, Bytes, Form
from engine.format import Encoding

BLOCK_BYTES = 6144  # 0.19 s at 16 kHz, 16 bit: a multiple of the size of every sample
AGREEING = 3  # blocks in a row that say the same make a suspicion,
CLEARING = 8  # and so many of the declared form end it.
CHECKED = 60  # blocks with sound in them: after so many of the declared form nothing is suspected
LEAST_CODES = 24  # A block with fewer different bytes has no sound in it to be judged by.


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Sound seems to be other than was declared: ``likely`` is what, ``advice`` what to do."""

    problem: Literal["format-suspect", "rate-suspect"]
    likely: str
    advice: str


ADVICE: dict[Form, tuple[str, str]] = {
    "float16": ("float16", "these look like 16-bit floats: convert them to 32-bit floats"),
    "float32": ("pcm_f32le", "these look like 32-bit floats: start with encoding=pcm_f32le"),
    "float64": ("float64", "these look like 64-bit floats: convert them to 32-bit floats"),
    "unscaled": (
        "float32 beyond 1",
        "these look like 32-bit floats that go far beyond 1: divide them by 32768, and start with"
        " encoding=pcm_f32le",
    ),
    "int16": ("pcm_s16le", "these look like 16-bit samples: start with encoding=pcm_s16le"),
    "int24": ("int24", "these look like 24-bit samples: convert them to 16-bit"),
    "int32": ("int32", "these look like 32-bit integers: convert them to 16-bit"),
    "byte-swapped": (
        "pcm_s16be",
        "the bytes of each sample look swapped: send little-endian samples",
    ),
    "stereo": ("channels=2", "this looks like two channels, interleaved: start with channels=2"),
    "mulaw": ("mulaw", "this looks like mu-law: start with encoding=mulaw"),
    "alaw": ("alaw", "this looks like A-law: start with encoding=alaw"),
    "uint8": ("uint8", "these look like 8-bit samples: convert them to 16-bit"),
    "compressed": (
        "compressed",
        "this looks like compressed sound, as Opus or MP3: decode it, and send its samples",
    ),
}


class FormCheck:
    """Judges one stream's bytes, in pieces of any size, against the declared ``encoding``.

    Multi-channel sound is judged by its bytes alone.
    """

    def __init__(self, encoding: Encoding, channels: int) -> None:
        self._judge = JUDGES[encoding]
        self._mono = channels == 1
        self._block = BLOCK_BYTES
        self._held = bytearray()
        self._taken = 0  # bytes judged
        self._good = self._alike = 0
        self._last: Form | None = None
        self.form: Form | None = None  # that is suspected

    def feed(self, data: bytes) -> list[tuple[int, Suspicion | None]]:
        """What is suspected from a byte of the stream on, wherever that changes; None: nothing."""
        if self._good >= CHECKED:
            return []
        self._held += data
        changes = []
        while len(self._held) >= BLOCK_BYTES and self._good < CHECKED:
            block = np.frombuffer(bytes(self._held[:BLOCK_BYTES]), np.uint8)
            del self._held[:BLOCK_BYTES]
            self._taken += BLOCK_BYTES
            if self._changes(block):
                changes.append((self._taken, suspicion(self.form)))
        return changes

    def _changes(self, block: Bytes) -> bool:
        if np.count_nonzero(np.bincount(block, minlength=256)) < LEAST_CODES:
            return False
        found = self._judge(block)
        if found == "stereo" and not self._mono:
            found = None
        self._alike = self._alike + 1 if found == self._last else 1
        self._last = found
        if found is None:
            self._good += self.form is None
        needed = CLEARING if found is None else AGREEING
        if self._alike < needed or found == self.form:
            return False
        self.form = found
        return True


def suspicion(form: Form | None) -> Suspicion | None:
    """What is said of a form."""
    return None if form is None else Suspicion("format-suspect", *ADVICE[form])
