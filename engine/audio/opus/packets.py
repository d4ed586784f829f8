"""Packets of Opus, as their containers give them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.audio.signatures import HEAD_BYTES as SEEN_BYTES
from engine.audio.signatures import foreign

RATE_HZ = 48_000  # at which Opus counts, whatever was encoded
HEAD = b"OpusHead"  # begins the header, in both containers (RFC 7845, section 5.1)
HEAD_BYTES = 19  # of the least header
MOST_BYTES = 1 << 16  # of what is held: the longest page of Ogg, or one block of WebM
# Samples of a frame, by the coding mode and bandwidth in the first five bits (RFC 6716, 3.1).
SILK, HYBRID, CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
FRAME_SAMPLES = 3 * SILK + 2 * HYBRID + 4 * CELT


@dataclass(frozen=True, slots=True)
class Header:
    """A recording begins; ``data`` is its ``OpusHead``."""

    data: bytes

    @property
    def channels(self) -> int:
        """Channels of the sound."""
        return self.data[9]


@dataclass(frozen=True, slots=True)
class Packet:
    """Sound. ``gap`` samples lack before it, by the container; the last ``trim`` are none."""

    data: bytes
    gap: int = 0
    trim: int = 0


Found = Header | Packet


def samples(packet: bytes) -> int:
    """Samples in a packet, of each channel. Of an empty one, which says nothing, there are none."""
    if not packet:
        return 0
    kind = packet[0] & 3
    count = min(kind + 1, 2)
    if kind == 3:
        count = packet[1] & 0x3F if len(packet) > 1 else 0
    return count * FRAME_SAMPLES[packet[0] >> 3]


class BadContainer(ValueError):
    """Bytes that are no Ogg or WebM, or that hold no Opus; says what is wrong and what to do."""


def what_follows(held: bytes | bytearray, container: str, lost: str) -> BadContainer:
    """What is wrong where neither a page nor an element begins: another file, or bytes lack."""
    found = foreign(bytes(held[:SEEN_BYTES]))
    if found is None:
        return BadContainer(lost)
    return BadContainer(
        f"{found[0]} follows the recording in {container}: send each recording in its own stream"
    )
