"""Tells sound that is not of the form that was declared, by statistics of its bytes.

Every block that has sound in it is judged by itself (:mod:`engine.audio.forms`), and blocks in a
row have to agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.audio.form_savings import ALL_BITS, Form, Found, savings
from engine.audio.forms import Bytes
from engine.audio.smoothness import is_smooth
from engine.format import SAMPLE_BYTES, Encoding

BLOCK_BYTES = 6144  # 0.19 s at 16 kHz, 16 bit: a multiple of the size of every sample
# Bits a byte that another form saves, in sum: a block counts for so many at most, either way, and
# from two such blocks on it is suspected, until as many blocks cost as six had saved.
MOST_BLOCK, NAMED, MOST = 0.75, 1.5, 4.5
# From so many bits on no verdict is given until it is clear: in 80 recordings of voices and noise,
# as 16 bits and floats, no form saved more than 0.22; of mu-law and A-law 1 % of the blocks did.
DOUBTED = 0.4
FADING = 0.9
# To judge a block costs as much as all else that is done with its sound. So after CLOSELY blocks in
# which no other form saves anything, one in SPARSELY is judged, until one saves again. After
# CHECKED such blocks, which is after 13 s at 16 kHz and 16 bit with sound in all of them, they are
# judged only where a glance (:mod:`engine.audio.smoothness`), for a hundredth of the cost, gives
# cause.
CLOSELY, SPARSELY, CHECKED = 6, 8, 14
# One block in GLANCED is glanced at, and after one that is not smooth the next: with ROUGH in a row
# it is judged. Where that finds nothing, it is some hiss: twice as many are skipped each time.
GLANCED, ROUGH, MOST_SKIPPED = 4, 3, 64
# A block with fewer different samples has no sound in it to be judged by, nor has one that is all
# but of a single byte: clicks in silence. A square wave whose halves are of an even number of
# samples is the same as two equal channels of switched direct current.
LEAST_SAMPLES, MOST_OF_ONE = 12, 0.95


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Sound seems to be other than was declared: ``likely`` is what, ``advice`` what to do.

    Until it is ``sure`` no verdict is given, and it is not told as a problem of the sound.
    """

    problem: Literal["format-suspect", "rate-suspect"]
    likely: str
    advice: str
    sure: bool = True


_TURNED = "these look like {} with swapped bytes: send little-endian 16-bit samples"
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
    "int8": ("int8", "these look like signed 8-bit samples: convert them to 16-bit"),
    "uint16": ("uint16", "these look like unsigned 16-bit samples: convert them to signed ones"),
    "uint32": ("uint32", "these look like unsigned 32-bit samples: convert them to signed 16-bit"),
    "uint16be": (
        "uint16be",
        "these look like unsigned 16-bit samples with swapped bytes: convert them to signed"
        " little-endian ones",
    ),
    "int24be": ("int24be", _TURNED.format("24-bit samples")),
    "int32be": ("int32be", _TURNED.format("32-bit integers")),
    "float16be": ("float16be", _TURNED.format("16-bit floats")),
    "float32be": ("float32be", _TURNED.format("32-bit floats")),
    "float64be": ("float64be", _TURNED.format("64-bit floats")),
    "stereo": (
        "channels=2",
        "this looks like two channels, interleaved: start with channels=2, or, if these are 32-bit"
        " integers, convert them to 16-bit",
    ),
    "shifted": (
        "shifted",
        "each sample seems to begin a byte or more late, as behind a header or a message of an odd"
        " length: send whole samples",
    ),
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

    What other forms save is added up, block by block. Two channels are looked for where one was
    declared; more are judged by the form of their samples alone.
    """

    def __init__(self, encoding: Encoding, channels: int) -> None:
        self._encoding, self._channels = encoding, channels
        self._held = bytearray()
        self._taken = 0  # bytes judged
        self._good = 0  # blocks looked at, in which nothing was saved
        self._skipped = 0  # blocks still to be skipped
        self._rough = 0  # blocks in a row that were not smooth
        self._resting = SPARSELY  # blocks to be skipped after such that were in order
        self._saved: dict[Form, float] = {}  # bits a byte, of those forms that save some
        # Bits that each form takes, since one of them saves; the latest count most.
        self._bits: dict[Form, float] = {}
        self.form: Form | None = None  # that is suspected
        self.doubted: Form | None = None  # that would be with more of the same

    def feed(self, data: bytes) -> list[tuple[int, Suspicion | None]]:
        """What is suspected from a byte of the stream on, wherever that changes; None: nothing."""
        self._held += data
        changes = []
        while len(self._held) >= BLOCK_BYTES:
            self._taken += BLOCK_BYTES
            if self._skipped:
                self._skipped -= 1
            else:
                block = np.frombuffer(bytes(self._held[:BLOCK_BYTES]), np.uint8)
                if self._is_judged(block) and self._changes(block):
                    changes.append((self._taken, self._suspicion()))
            del self._held[:BLOCK_BYTES]
        return changes

    def _is_judged(self, block: Bytes) -> bool:
        """Whether a block that is not skipped has sound to be judged, and gives cause to."""
        if self._good >= CHECKED and not self._saved:
            if is_smooth(block, self._encoding, self._channels):
                self._rough, self._resting, self._skipped = 0, SPARSELY, GLANCED - 1
                return False
            self._rough += 1
            if self._rough < ROUGH:
                return False
        return self._has_sound(block)

    def _changes(self, block: Bytes) -> bool:
        self._add(savings(block, self._encoding, self._channels))
        if not self._saved:
            self._good += 1
            self._skipped = SPARSELY - 1 if self._good >= CLOSELY else 0
            if self._rough:
                self._skipped = self._resting - 1
                self._resting = min(2 * self._resting, MOST_SKIPPED)
            self._rough = 0
        before, doubted = self.form, self.doubted
        if before not in self._saved:
            self.form = self._likely(NAMED)
        self.doubted = self._likely(DOUBTED)
        return self.form != before or (before is None and self.doubted != doubted)

    def _suspicion(self) -> Suspicion | None:
        form = self.form or self.doubted
        if form is None:
            return None
        return Suspicion("format-suspect", *ADVICE[form], sure=self.form is not None)

    def _has_sound(self, block: Bytes) -> bool:
        if np.bincount(block).max() > MOST_OF_ONE * len(block):  # first, as silence goes no further
            return False
        samples = np.unique(block.view(f"u{SAMPLE_BYTES[self._encoding]}"))
        return len(samples) >= LEAST_SAMPLES

    def _likely(self, enough: float) -> Form | None:
        """Of the forms that save some, the one that takes the fewest bits, if one saves enough."""
        if max(self._saved.values(), default=0) < enough:
            return None
        return min(self._saved, key=lambda form: self._bits[form])

    def _add(self, found: Found) -> None:
        if not self._saved:
            self._bits.clear()  # of what came before, whose form may have been another
        for form in ADVICE:
            more = found.saved.get(form, -MOST_BLOCK)
            total = self._saved.pop(form, 0) + min(max(more, -MOST_BLOCK), MOST_BLOCK)
            if total > 0:
                self._saved[form] = min(total, MOST)
            bits = found.bits.get(form, ALL_BITS)
            self._bits[form] = FADING * self._bits.get(form, 0) + bits
