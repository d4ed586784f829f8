"""Opus in Ogg (RFC 3533 and RFC 7845): pages in, packets out. Sans-IO."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from engine.audio.opus.packets import (
    HEAD,
    HEAD_BYTES,
    MOST_BYTES,
    BadContainer,
    Found,
    Header,
    Packet,
    samples,
    what_follows,
)

PAGE = struct.Struct("<4sBBqIIIB")
LOST = "no page of Ogg begins where one should: send all bytes in order"
FIRST, LAST = 2, 4  # flags of a page
NOWHERE = -1  # the position of a page on which no packet ends
GAP_SAMPLES = 960  # Less than 20 ms is no gap: some encoders round.
# Of the first packet, by what it holds instead of Opus.
OTHERS = {
    b"\x01vorbis": "Vorbis",
    b"\x7fFLAC": "FLAC",
    b"Speex   ": "Speex",
    b"\x80theora": "video",
}


class OggPackets:
    """The packets of the first stream of Opus in what comes; recordings may follow each other.

    What is held is at most a page and a packet.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._serial: int | None = None
        self._others: set[str] = set()
        self._tagged = False  # the tags, which follow the header, have ended
        self._packet = b""  # the part of a packet that goes on on the next page
        self._at: int | None = None  # the position at which the next packet begins

    @property
    def held(self) -> int:
        """Bytes of a page that is not complete."""
        return len(self._held)

    def feed(self, data: bytes) -> Iterator[Found]:
        """The headers and packets that are complete. Raises :class:`BadContainer`."""
        self._held += data
        while len(self._held) >= PAGE.size:
            if self._held[:4] != b"OggS":
                raise what_follows(self._held, "Ogg", LOST)
            count = self._held[26]
            table = self._held[PAGE.size : PAGE.size + count]
            length = PAGE.size + count + sum(table)
            if len(table) < count or len(self._held) < length:
                return
            page = bytes(self._held[:length])
            del self._held[:length]
            yield from self._page(page)

    def _page(self, page: bytes) -> Iterator[Found]:
        _, _, flags, position, serial, _, _, count = PAGE.unpack_from(page)
        body = page[PAGE.size + count :]
        if flags & FIRST:
            yield from self._begin(body, serial)
        elif self._serial is None:
            what = ", ".join(sorted(self._others)) or "something else"
            raise BadContainer(f"this Ogg holds {what}, no Opus: record audio/ogg;codecs=opus")
        elif serial == self._serial:
            found = self._packets(page[PAGE.size : PAGE.size + count], body)
            yield from self._placed(found, position, bool(flags & LAST))

    def _begin(self, body: bytes, serial: int) -> Iterator[Header]:
        if not body.startswith(HEAD):
            known = [name for mark, name in OTHERS.items() if body.startswith(mark)]
            self._others.update(known)
            return
        if len(body) < HEAD_BYTES:
            raise BadContainer("the header of Opus is cut: send all bytes in order")
        self._serial, self._tagged, self._packet, self._at = serial, False, b"", None
        yield Header(body)

    def _packets(self, table: bytes, body: bytes) -> list[bytes]:
        """The packets that end on a page."""
        found, at = [], 0
        for size in table:
            if self._tagged:
                self._packet += body[at : at + size]
                if len(self._packet) > MOST_BYTES:
                    raise BadContainer("a packet is longer than any of Opus: is this Opus?")
            at += size
            if size < 255:
                if self._tagged:
                    found.append(self._packet)
                self._tagged, self._packet = True, b""
        return found

    def _placed(self, found: list[bytes], position: int, last: bool) -> Iterator[Packet]:
        """The packets of a page, which end at its ``position``: what was lost lies before them."""
        if not found or position == NOWHERE:
            yield from map(Packet, found)
            self._at = None if self._at is None else self._at + sum(map(samples, found))
            return
        length = sum(map(samples, found))
        begins = position - length if self._at is None else self._at
        lacking = position - begins - length
        gap = lacking if lacking >= GAP_SAMPLES else 0
        trim = min(-lacking, samples(found[-1])) if last and lacking < 0 else 0
        self._at = position
        for number, data in enumerate(found):
            is_last = number == len(found) - 1
            yield Packet(data, gap if number == 0 else 0, trim if is_last else 0)
