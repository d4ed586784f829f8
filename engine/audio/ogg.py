"""Where the sound lies in an Ogg, and whether all of its pages are there (RFC 3533).

Decoders leave out a page whose sum is wrong, and go on over one that is lacking, without a word.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from engine.audio.beginnings import check_alike, check_frames
from engine.audio.containers import Buffer
from engine.audio.parts import NotWholeError, Part

FIRST, LAST = 2, 4  # flags of a page
HEAD_BYTES = 27
# The sum of a page is CRC-32, but with the bits of each byte the other way round as zlib has them.
TURNED = bytes(int(f"{code:08b}"[::-1], 2) for code in range(256))


def ogg_parts(data: Buffer) -> Iterator[tuple[Part, str]]:
    """Recordings in an Ogg, each with what is wrong with it."""
    start = at = 0
    begun = ended = False  # pages of sound have been seen, and the last one
    last: dict[bytes, int] = {}  # number of the last page of sound, by stream
    while at < len(data):
        head = data[at : at + HEAD_BYTES]
        if head[:4] != b"OggS":
            check_alike(data, at, len(data), "Ogg")
            check_frames(data, at, len(data))
            if data.find(b"OggS", at) >= 0:
                raise NotWholeError("some of it is damaged")
            break  # something was appended
        if len(head) < HEAD_BYTES:
            raise NotWholeError("its last page is torn")
        if head[5] & FIRST and begun:
            yield Part(start, at), "" if ended else "a recording in it was not completed"
            start, begun, ended = at, False, False
            last.clear()
        begun = begun or not head[5] & FIRST
        ended = bool(head[5] & LAST)
        end = at + HEAD_BYTES + head[-1]
        end += sum(data[at + HEAD_BYTES : end])
        if end > len(data):
            raise NotWholeError("its last page is torn")
        _check(data[at:end], last)
        at = end
    yield Part(start, len(data)), "" if ended else "the recorder did not complete it"


def _check(page: bytes, last: dict[bytes, int]) -> None:
    """Raises :class:`NotWholeError` for a damaged page, and where one before it is lacking.

    Who listens to a live stream gets its headers first and then the pages of now, far ahead; and
    some count none of their pages.
    """
    granules, stream, number = page[6:14], page[14:18], int.from_bytes(page[18:22], "little")
    if page[22:26] != _sum(page[:22] + bytes(4) + page[26:]):
        raise NotWholeError("some of it is damaged")
    before = last.get(stream)
    if before is not None and number not in (before, before + 1):
        raise NotWholeError("some of its pages are lacking, or not in order")
    if any(granules):  # it is none of the headers
        last[stream] = number


def _sum(page: bytes) -> bytes:
    turned = zlib.crc32(page.translate(TURNED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return turned.to_bytes(4, "big").translate(TURNED)
