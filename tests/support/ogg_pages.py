"""The pages of an Ogg, taken apart and numbered anew."""

from __future__ import annotations


def pages(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        end = at + 27 + data[at + 26]
        end += sum(data[at + 27 : end])
        found.append(data[at:end])
        at = end
    return found


def numbered(page: bytes, number: int) -> bytes:
    """The same page with another number, and its sum, by shifts."""
    head = page[:18] + number.to_bytes(4, "little") + bytes(4) + page[26:]
    rest = 0
    for code in head:
        rest ^= code << 24
        for _ in range(8):
            rest = (rest << 1 ^ (0x04C11DB7 if rest >> 31 else 0)) & 0xFFFFFFFF
    return head[:22] + rest.to_bytes(4, "little") + head[26:]
