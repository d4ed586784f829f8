"""The heads of EBML's elements (RFC 8794), of which WebM and Matroska are made."""

from __future__ import annotations

import mmap
from typing import NamedTuple

EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
# What stands in a file, in its segment and in a cluster, Void and CRC-32 included (RFC 9559).
KNOWN = frozenset({EBML, SEGMENT, CLUSTER, 0xEC, 0xBF, 0x114D9B74, 0x1549A966, 0x1654AE6B})
KNOWN |= {0x1C53BB6B, 0x1043A770, 0x1254C367, 0x1941A469}
KNOWN |= {0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF}
LONGEST_HEAD = 12  # bytes: four of the name and eight of the size


class Head(NamedTuple):
    """An element's name, the bytes of its content (None: it does not say) and of this head."""

    name: int
    size: int | None
    length: int


def head(data: bytes | bytearray | mmap.mmap, at: int = 0) -> Head | None:
    """The head of the element that begins at a place; None: not all of it is there.

    Raises ``ValueError`` where no element can begin.
    """
    start = data[at : at + LONGEST_HEAD]
    if not start:
        return None
    name_length = 9 - start[0].bit_length()
    if name_length > 4:
        raise ValueError("not an element of EBML")
    if len(start) <= name_length:
        return None
    size_length = 9 - start[name_length].bit_length()
    if size_length > 8:
        raise ValueError("not an element of EBML")
    length = name_length + size_length
    if len(start) < length:
        return None
    size, most = number(start[name_length:length], size_length)
    name = int.from_bytes(start[:name_length], "big")
    return Head(name, None if size == most else size, length)


def number(data: bytes | bytearray, length: int) -> tuple[int, int]:
    """A number of so many bytes whose first ones tell its length, and the highest there is."""
    most = (1 << 7 * length) - 1
    return int.from_bytes(data[:length], "big") & most, most
