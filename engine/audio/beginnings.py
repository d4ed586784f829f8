"""Where a recording of another form begins among the bytes of a file.

People join recordings by joining their files, also files of unlike forms. Whoever reads the first
of them knows nothing of the rest, so it is looked for by the bytes that such files begin with: so
many that no sound holds them by chance.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice

from engine.audio.containers import Buffer
from engine.audio.parts import UnlikeError
from engine.audio.signatures import aac_frame, mp3_frame

HEAD_BYTES = 16  # of a file, in which no other begins
# What stands in a beginning after so many bytes, by which it is looked for (one pattern for all of
# them took ten times as long), then all of the beginning, and the form.
MARKS = tuple(
    (place, mark, re.compile(whole, re.DOTALL), form)
    for place, mark, whole, form in (
        (0, b"RIFF", rb"RIFF....WAVEfmt ", "WAV"),
        (0, b"RF64", rb"RF64....WAVEds64", "WAV"),
        (0, b"RIFX", rb"RIFX....WAVEfmt ", "WAV"),
        (0, b"riff\x2e\x91\xcf\x11", rb"riff", "Wave64"),
        (0, b"fLaC", rb"fLaC[\x00\x80]\x00\x00\x22", "FLAC"),
        (0, b"OggS", rb"OggS\x00[\x02\x06]\x00{8}", "Ogg"),
        (
            0,
            b"\x1a\x45\xdf\xa3",
            rb"....[^\x42]{1,8}\x42[\x82\x86\xf2\xf3\xf7]",
            "WebM or Matroska",
        ),
        (4, b"ftyp", rb"\x00\x00\x00.ftyp", "MP4"),
        (0, b"FORM", rb"FORM....AIF[FC]", "AIFF"),
        (0, b"caff", rb"caff\x00\x01\x00\x00", "CAF"),
        (0, b".snd", rb"\.snd\x00\x00", "AU"),
        (0, b"#!AMR", rb"#!AMR(-WB)?\n", "AMR"),
        (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", rb"", "WMA"),
    )
)
# Where a frame of MP3 or AAC may begin. One head alone may be chance, of 13 bits; four in a row,
# each where the one before ends, are not.
SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb\xf0\xf1\xf8\xf9]")
FRAMES = 4
# How many such places are looked at: any, and one in so many bytes. By chance there is one in 6554.
LEAST_SYNCS, BYTES_PER_SYNC = 1000, 64
FRAME_FORMS: tuple[tuple[str, Callable[[bytes], int | None]], ...] = (
    ("MP3", mp3_frame),
    ("AAC", aac_frame),
)


def check_alike(data: Buffer, start: int, end: int, own: str) -> None:
    """Raises :class:`UnlikeError` where a recording that is not of the form ``own`` begins."""
    found = [
        (place, form)
        for first, mark, whole, form in MARKS
        if form != own and (place := _first(data, start, end, first, mark, whole)) is not None
    ]
    if found:
        place, form = min(found)
        raise UnlikeError(form, place)


def _first(
    data: Buffer, start: int, end: int, first: int, mark: bytes, whole: re.Pattern[bytes]
) -> int | None:
    """The first place at which such a file begins."""
    at = start
    while (found := data.find(mark, at, end)) >= 0:
        if found - first >= start and whole.match(data, found - first):
            return found - first
        at = found + 1
    return None


def check_frames(data: Buffer, start: int, end: int, own: str = "") -> None:
    """The same of MP3 and AAC, which have no mark. Not for PCM: a tone may repeat such a head.

    Of bytes that are made to look like heads all along, only the first are looked at.
    """
    most = LEAST_SYNCS + max(end - start, 0) // BYTES_PER_SYNC
    for sync in islice(SYNC.finditer(data, start, end), most):
        check_frames_at(data, sync.start(), own)


def check_frames_at(data: Buffer, start: int, own: str = "") -> None:
    """The same of MP3 and AAC that begin at this very place, or after a tag there."""
    start = after_tags(data, start)
    for form, length_of in FRAME_FORMS:
        if form == own:
            continue
        at = start
        for _ in range(FRAMES):
            length = length_of(data[at : at + 6])
            if length is None:
                break
            at += length
        else:
            raise UnlikeError(form, start)


def after_tags(data: Buffer, at: int) -> int:
    """The place behind the ID3 tags that begin at ``at``, if any do."""
    while data[at : at + 3] == b"ID3":  # and its length in four bytes of seven bits
        size = zip(data[at + 6 : at + 10], (21, 14, 7, 0), strict=False)
        at += 10 + sum(code << shift for code, shift in size)
    return at
