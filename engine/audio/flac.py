"""Where the sound lies in a FLAC, and how much of it there is, by its last frame.

Its header may say nothing of that, or the wrong: whoever writes to a pipe cannot go back to state
the number of samples, and leaves zero. libsndfile reads as many as are stated, and of an unknown
number fails at the end of the file (RFC 9639).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, pairwise

from engine.audio.beginnings import check_alike, check_frames
from engine.audio.containers import MOST_CHUNKS, Buffer
from engine.audio.parts import NotWholeError, Part

START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
STATED_AT, STATED_BYTES = 21, 5  # in these lie the 36 bits that state the number of samples
STATED_BITS = 36
SEARCHED_BYTES = 1 << 24  # from the end on: the largest frame there may be
PIECE_BYTES = 1 << 16  # that are searched at a time
HEAD_BYTES, MARK_BYTES = 16, 4  # the longest header of a frame; of it, what frames have in common
MOST_WRONG = 4096  # headers with a wrong sum in a file: by chance there are hardly any
MOST_LAST = 4  # frames that may be the last one: the sound of a frame may look like a frame
# Samples of a frame by their code; of 6 and 7 they stand behind the number, in a byte or two.
SIZES = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)}}
SIZES |= {code: 256 << code - 8 for code in range(8, 16)}


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame holds ``size`` samples, and the one ``after`` it begins with that number."""

    size: int
    after: int


def flac_parts(data: Buffer) -> Iterator[tuple[Part, str]]:
    """Recordings in a FLAC, each with what is wrong with it."""
    marks = (mark.start() for mark in START.finditer(data, 4))
    wrong = iter(range(MOST_WRONG))
    for start, end in pairwise(chain((0,), marks, (len(data),))):
        sound = _flac_sound(data, start)
        check_alike(data, sound, end, "FLAC")
        check_frames(data, sound, end)
        yield _whole_flac(data, Part(start, end), sound, wrong)


def _whole_flac(data: Buffer, part: Part, sound: int, wrong: Iterator[int]) -> tuple[Part, str]:
    """The part with as many samples stated as there are, and what is wrong with its header.

    Frames are no longer looked for once ``wrong`` ends, of which each wrong header takes one.
    """
    stated = _stated_samples(data, part.start)
    there = _samples_there(data, Part(sound, part.end), stated, wrong)
    if there is None or there == stated:
        return part, ""
    rate_hz = (int.from_bytes(data[part.start + 18 : part.start + 21], "big") >> 4) or 1
    there_s, stated_s = there / rate_hz, stated / rate_hz
    if there < stated:
        raise NotWholeError(f"{there_s:.1f} s of {stated_s:.1f} s are there")
    words = f"states {stated_s:.1f} s, and all {there_s:.1f} s were read" if stated else ""
    return replace(part, patches=(_stating(data, part.start, there),)), words


def _flac_sound(data: Buffer, start: int) -> int:
    """Where the sound begins, after blocks that may hold the heads of other files and pictures."""
    at = start + 4
    for _ in range(MOST_CHUNKS):
        head = data[at : at + 4]
        at += 4 + int.from_bytes(head[1:], "big")
        if not head or head[0] & 0x80:  # the last one
            break
    return at


def _stated_samples(data: Buffer, start: int) -> int:
    """How many samples the file that begins at ``start`` states; 0: it does not."""
    at = start + STATED_AT
    return int.from_bytes(data[at : at + STATED_BYTES], "big") & (1 << STATED_BITS) - 1


def _stating(data: Buffer, start: int, samples: int) -> tuple[int, bytes]:
    """What has to be read, and where, for the file to state so many samples."""
    at = start + STATED_AT
    other_bits = int.from_bytes(data[at : at + STATED_BYTES], "big") >> STATED_BITS << STATED_BITS
    return at, (other_bits | samples).to_bytes(STATED_BYTES, "big")


def _samples_there(data: Buffer, sound: Part, stated: int, wrong: Iterator[int]) -> int | None:
    """How many samples the frames of ``sound`` hold.

    The last frame tells it. Where its own sound looks like a frame too, it is the one that ends
    with the stated number, unless another goes on from there. None: that cannot be told, as the
    frames are not understood.
    """
    first = _frame(data[sound.start : sound.start + HEAD_BYTES], 0)
    if first is None:
        return None
    last: Frame | None = None
    behind = 0
    for frame in islice(_frames_backwards(data, sound, first.size, wrong), MOST_LAST):
        if frame.after == stated and behind != stated:
            return stated
        behind = frame.after - frame.size
        last = last or frame
    return None if last is None else last.after


def _frames_backwards(
    data: Buffer, sound: Part, usual: int, wrong: Iterator[int]
) -> Iterator[Frame]:
    """What looks like a frame of the recording, the last first; ``usual`` as in :func:`_frame`."""
    like = _like(data[sound.start : sound.start + MARK_BYTES])
    least = max(sound.start, sound.end - SEARCHED_BYTES)
    for after in range(sound.end, least, -PIECE_BYTES):
        piece_end = min(after + MARK_BYTES - 1, sound.end)
        places = [
            m.start() for m in like.finditer(data, max(after - PIECE_BYTES, least), piece_end)
        ]
        for place in reversed(places):
            frame = _frame(data[place : min(place + HEAD_BYTES, sound.end)], usual)
            if frame is not None:
                yield frame
            elif next(wrong, None) is None:
                return


def _like(first: bytes) -> re.Pattern[bytes]:
    """Where a frame of the same recording may begin, by the first four bytes of its first frame.

    Frames of a recording are counted alike and have one rate and as many bits a sample; their size
    and how their channels are coded may differ, which stand in the high halves of two bytes.
    """
    size, channels = (
        b"".join(b"\\x%02x" % (high << 4 | code & 15) for high in range(16)) for code in first[2:4]
    )
    return re.compile(rb"\xff(?=\x%02x[%s][%s])" % (first[1], size, channels))


def _frame(head: bytes, usual: int) -> Frame | None:
    """The frame of which this is the header, if its sum is right.

    ``usual`` is the size of the first frame, by which frames are counted where all have the same.
    """
    try:
        length = _number_bytes(head[4])
        number, at = _number(head[4 : 4 + length]), 4 + length
        code = head[2] >> 4
        extra = {6: 1, 7: 2}.get(code, 0)
        size = int.from_bytes(head[at : at + extra], "big") + 1 if extra else SIZES[code]
        at += extra + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
        if head[at] != _sum(head[:at]):
            return None
    except (IndexError, KeyError, ValueError):
        return None
    return Frame(size, (number if head[1] & 1 else number * (usual or size)) + size)


def _number_bytes(first: int) -> int:
    """How many bytes a number has, by the first of them, as in UTF-8."""
    ones = 8 - (first ^ 0xFF).bit_length()
    if ones in (1, 8):
        raise ValueError
    return ones or 1


def _number(code: bytes) -> int:
    if len(code) == 1:
        return code[0]
    number = code[0] & (0x7F >> len(code))
    for part in code[1:]:
        if part >> 6 != 2:
            raise ValueError
        number = number << 6 | part & 0x3F
    return number


def _sum(head: bytes) -> int:
    """CRC-8, of x^8 + x^2 + x + 1."""
    found = 0
    for code in head:
        found = SUMS[found ^ code]
    return found


def _sum_of_byte(code: int) -> int:
    for _ in range(8):
        code = code << 1 & 0xFF ^ (0x07 if code & 0x80 else 0)
    return code


SUMS = bytes(map(_sum_of_byte, range(256)))
