"""Packets of Opus into pages of Ogg, for sources that have packets: RTP, satellites, voice chats.

    ogg = OggOpus()
    async with connect("ws://localhost:8765", claim="alice", encoding="opus") as stream:
        async for packet in source:
            await stream.send(ogg.packet(packet))

A page holds one packet, so that nothing waits (RFC 3533, RFC 7845). Sans-IO.
"""

from __future__ import annotations

import struct

RATE_HZ = 48_000  # at which Opus counts, whatever was encoded
FIRST = 2  # flag of the page with the header
PAGE = struct.Struct("<4sBBqIIIB")
MOST_BYTES = 255 * 254  # of a packet that ends on its own page; Opus has none as long
# Samples of a frame, by the coding mode and bandwidth in the first five bits (RFC 6716, 3.1).
FRAME_SAMPLES = 3 * (480, 960, 1920, 2880) + 2 * (480, 960) + 4 * (120, 240, 480, 960)


def _table() -> list[int]:
    """Of the checksum of a page: the polynomial 0x04C11DB7, its highest bit first."""
    found = []
    for code in range(256):
        code <<= 24
        for _ in range(8):
            code = (code << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if code >> 31 else code << 1
        found.append(code)
    return found


TABLE = _table()


class OggOpus:
    """One stream. ``channels`` is 1 or 2, ``pre_skip`` what the encoder adds at the beginning."""

    def __init__(self, channels: int = 1, pre_skip: int = 0) -> None:
        if channels not in (1, 2):
            raise ValueError("packets of Opus have one channel or two")
        self._at = self._pages = 0
        head = struct.pack("<8sBBHIHB", b"OpusHead", 1, channels, pre_skip, RATE_HZ, 0, 0)
        self._head = self._page(head, FIRST)
        self._head += self._page(b"OpusTags" + struct.pack("<I8sI", 8, b"voxwatch", 0))

    def packet(self, data: bytes) -> bytes:
        """The page of a packet; the first one comes behind the headers.

        Raises ``ValueError`` for what is no packet of Opus.
        """
        samples = samples_in(data)
        if not samples or len(data) > MOST_BYTES:
            raise ValueError("not a packet of Opus")
        self._at += samples
        head, self._head = self._head, b""
        return head + self._page(data)

    def lost(self, seconds: float) -> None:
        """So much did not come, or was not sent as nobody spoke: the server hears silence."""
        self._at += round(seconds * RATE_HZ)

    def _page(self, data: bytes, flags: int = 0) -> bytes:
        table = b"\xff" * (len(data) // 255) + bytes([len(data) % 255])
        fields = (b"OggS", 0, flags, self._at, 1, self._pages)
        page = PAGE.pack(*fields, 0, len(table)) + table + data
        self._pages += 1
        return PAGE.pack(*fields, _checksum(page), len(table)) + table + data


def samples_in(packet: bytes) -> int:
    """Samples of each channel in a packet; 0 for what is none."""
    if not packet:
        return 0
    count = min((packet[0] & 3) + 1, 2)
    if packet[0] & 3 == 3:
        count = packet[1] & 0x3F if len(packet) > 1 else 0
    return count * FRAME_SAMPLES[packet[0] >> 3]


def _checksum(page: bytes) -> int:
    found = 0
    for code in page:
        found = (found << 8 & 0xFFFFFFFF) ^ TABLE[found >> 24 ^ code]
    return found
