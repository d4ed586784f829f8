"""Where the sound lies in files of chunks, and how long they say that it is.

RIFX, RF64, AIFF, AIFF-C, CAF, Wave64, AU and NIST SPHERE, of which libsndfile reads as much as they
state, or as much as there is, and says nothing of the difference. WAV and what may be joined are
taken apart in :mod:`engine.audio.layout`.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Buffer = bytes | mmap.mmap

UNKNOWN = 0xFFFF_FFFF  # is stated by programs that write to a pipe
MOST_CHUNKS = 1000  # before the sound
# Bytes of a sample, by the code of the encoding: 23, 25 and 26 are G.721 and G.723.
AU_BYTES = {1: 1.0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 23: 0.5, 25: 3 / 8, 26: 5 / 8, 27: 1}
NIST_FIELD = re.compile(rb"^(\w+) -i (\d{1,15})\s*$", re.MULTILINE)
# The code of an encoding in the header of WAV that says that the real one stands further on, at the
# beginning of a GUID.
WAV_EXTENSIBLE, GUID_AT = 0xFFFE, 24
# Where in `fmt ` the code, channels, samples and bytes a second and bits of a sample stand, and in
# how many bytes; the codes of PCM and floats, and of A-law and mu-law, which have a byte a sample.
FMT_FIELDS = ((0, 2), (2, 2), (4, 4), (8, 4), (14, 2))
LINEAR, LOGARITHMIC, LOGARITHMIC_BYTES = (1, 3), (6, 7), 1
W64_HEAD = 40  # bytes: name, size, and what the file holds


@dataclass(frozen=True, slots=True)
class StatedSound:
    """The sound begins at ``start`` and has ``size`` bytes, by what is stated; ``None``: it is not.

    ``end`` is where the file ends by that, with all that follows the sound.
    """

    start: int
    size: int | None
    end: int
    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class _Form:
    """How chunks are written: a name and a size, which may include these and be padded."""

    first: int  # the place of the first chunk
    name: int  # bytes
    size: int  # bytes
    order: Literal["little", "big"]
    align: int
    inclusive: bool = False

    def chunks(self, data: Buffer, start: int) -> Iterator[tuple[bytes, int, int]]:
        """Name, place and stated size of what they hold."""
        head = self.name + self.size
        while start + head <= len(data):
            size = int.from_bytes(data[start + self.name : start + head], self.order)
            size -= head if self.inclusive else 0
            name = data[start : start + self.name]
            if size < 0 or not all(32 <= code < 127 for code in name[:4]):
                return
            yield name, start + head, size
            start = self.after(start + head, size)

    def after(self, place: int, size: int) -> int:
        """Where a chunk ends that begins to hold something at ``place``."""
        return place + size + -size % self.align


FORMS = {
    b"RIFX": _Form(12, 4, 4, "big", 2),
    b"RF64": _Form(12, 4, 4, "little", 2),
    b"FORM": _Form(12, 4, 4, "big", 2),
    b"caff": _Form(8, 4, 8, "big", 1),
    b"riff": _Form(W64_HEAD, 16, 8, "little", 8, inclusive=True),
}


def little(data: Buffer, at: int, size: int = 4) -> int:
    """A whole number whose lowest byte comes first."""
    return int.from_bytes(data[at : at + size], "little")


def riff_chunks(data: Buffer, start: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and stated size of the chunks of a RIFF file, as long as they look like some."""
    while start + 8 <= len(data):
        name, size = data[start : start + 4], little(data, start + 4)
        if not name.isascii() or not all(32 <= code < 127 for code in name) or name == b"RIFF":
            return
        yield name, start + 8, size
        start += 8 + size + size % 2


def wav_code(data: Buffer, start: int = 0) -> int | None:
    """The code of the encoding of the WAV that begins at ``start``. None: it is none.

    It is ``WAV_EXTENSIBLE`` only where the header is too short to say more.
    """
    if (data[start : start + 4], data[start + 8 : start + 12]) != (b"RIFF", b"WAVE"):
        return None
    for name, place, size in riff_chunks(data, start + 12):
        if name == b"fmt ":
            code = little(data, place, 2)
            told = code == WAV_EXTENSIBLE and size >= GUID_AT + 16
            return little(data, place + GUID_AT, 2) if told else code
    return None


def fmt_bytes_per_s(fields: Buffer, order: Literal["little", "big"] = "little") -> int:
    """Of the sound that the ``fmt`` of WAV and its like is of; 0 where it does not say.

    Of samples it follows from their size, and what is stated as that is not looked at; of coded
    sound that is believed, up to what samples of 16 bits come to.
    """
    code, channels, rate_hz, stated, bits = (
        int.from_bytes(fields[at : at + size], order) for at, size in FMT_FIELDS
    )
    if code == WAV_EXTENSIBLE:
        code = int.from_bytes(fields[GUID_AT : GUID_AT + 2], order)
    size = LOGARITHMIC_BYTES if code in LOGARITHMIC else -(-bits // 8)
    if code in (*LINEAR, *LOGARITHMIC) and size:
        return rate_hz * channels * size
    return min(stated, rate_hz * channels * 2)


def stated_sound(data: Buffer) -> StatedSound | None:
    """What such a file states of its sound. ``None``: it is none, or says too little."""
    if data[:4] == b".snd":
        return _au(data)
    if data[:8] == b"NIST_1A\n":
        return _nist(data)
    form = FORMS.get(data[:4])
    if form is None:
        return None
    bytes_per_s, long_size = 0.0, 0
    try:
        for count, (name, place, size) in enumerate(form.chunks(data, form.first)):
            if name[:4] in (b"fmt ", b"COMM", b"desc"):
                bytes_per_s = _bytes_per_s(name[:4], data[place : place + 32], form.order)
            elif name == b"ds64":
                long_size = int.from_bytes(data[place + 8 : place + 16], "little")
            elif name[:4] in (b"data", b"SSND"):
                return _stated(data, form, place, long_size or size, bytes_per_s)
            if count > MOST_CHUNKS:
                return None
    except struct.error:  # a header that is torn, of which libsndfile says what is wrong
        return None
    return None


def _stated(
    data: Buffer, form: _Form, place: int, size: int, bytes_per_s: float
) -> StatedSound | None:
    if not bytes_per_s:
        return None
    end = form.after(place, size)
    if size in (0, UNKNOWN) or size >> 63:
        return StatedSound(place, None, len(data), bytes_per_s)
    for _, after, more in form.chunks(data, end):
        if after + more > len(data):  # what looks like a chunk is sound
            break
        end = form.after(after, more)
    return StatedSound(place, size, end, bytes_per_s)


def _bytes_per_s(name: bytes, fields: bytes, order: Literal["little", "big"]) -> float:
    if name == b"fmt ":
        return float(fmt_bytes_per_s(fields, order))
    if name == b"desc":
        rate, packet_bytes, packet_frames = struct.unpack_from(">d8xII", fields)
        return float(rate * packet_bytes / packet_frames) if packet_frames else 0.0
    channels, bits, exponent, mantissa = struct.unpack_from(">H4xHHQ", fields)
    rate = mantissa * 2.0 ** (exponent - 16383 - 63)  # an 80-bit float
    return float(channels * -(-bits // 8) * rate)


def _au(data: Buffer) -> StatedSound | None:
    if len(data) < 24:
        return None
    start, size, code, rate, channels = struct.unpack_from(">5I", data, 4)
    bytes_per_s = AU_BYTES.get(code, 0) * rate * channels
    if not bytes_per_s:
        return None
    if size == UNKNOWN:
        return StatedSound(start, None, len(data), bytes_per_s)
    return StatedSound(start, size, start + size, bytes_per_s)


def _nist(data: Buffer) -> StatedSound | None:
    """A header of lines of text, whose length the second of them says."""
    length = data[8:16].strip()
    if not length.isdigit():
        return None
    start = int(length)
    fields = {name: int(number) for name, number in NIST_FIELD.findall(data[:start])}
    try:
        frame = fields.get(b"sample_n_bytes", 1) * fields[b"channel_count"]
        size, bytes_per_s = fields[b"sample_count"] * frame, fields[b"sample_rate"] * frame
    except KeyError:
        return None
    return StatedSound(start, size, start + size, bytes_per_s) if bytes_per_s else None
