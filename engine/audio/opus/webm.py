"""Opus in WebM or Matroska (RFC 9559): elements in, packets out. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator

from engine.audio import ebml
from engine.audio.opus.packets import (
    HEAD,
    HEAD_BYTES,
    MOST_BYTES,
    RATE_HZ,
    BadContainer,
    Found,
    Header,
    Packet,
    samples,
    what_follows,
)

INFO, TRACKS, TRACK, GROUP = 0x1549A966, 0x1654AE6B, 0xAE, 0xA0
SCALE, NUMBER, CODEC, PRIVATE, ENCODINGS = 0x2AD7B1, 0xD7, 0x86, 0x63A2, 0x6D80
TIME, SIMPLE_BLOCK, BLOCK = 0xE7, 0xA3, 0xA1
# Their content is taken apart as it comes, so that none of it has to be held. As their own ends
# say nothing, they may be as long as they like, which live recordings leave open.
ENTERED = frozenset({ebml.SEGMENT, ebml.CLUSTER, INFO, TRACKS, TRACK, GROUP})
READ = frozenset({SCALE, NUMBER, CODEC, PRIVATE, ENCODINGS, TIME})
BLOCKS = frozenset({SIMPLE_BLOCK, BLOCK})
# What else may come once there is sound. Any other name says that bytes were lost: to pass over as
# many as stand there would be to hear nothing, without a word.
PASSED = frozenset({ebml.EBML, 0xEC, 0xBF})  # a next recording, Void, CRC-32
PASSED |= {0xAB, 0xA7, 0x5854}  # in a cluster: PrevSize, Position, SilentTracks
PASSED |= {0x9B, 0xFB, 0xFA, 0xA4, 0x75A1, 0x75A2, 0x8E}  # beside a block: of its length and order
PASSED |= {0x1C53BB6B, 0x114D9B74, 0x1254C367, 0x1043A770, 0x1941A469}  # after all clusters
LACED = 0x06  # flags of a block that holds several packets
SCALE_NS = 1_000_000  # of a tick, where it is not stated
LOST = "no element of WebM begins where one should: send all bytes in order"
# Times are rounded to ticks, and a browser takes them from the clock of its microphone.
GAP_SAMPLES = RATE_HZ // 10


class _Track:
    """What is known of a track so far."""

    def __init__(self) -> None:
        self.number, self.codec, self.header = 0, b"", b""
        self.encoded = False  # compressed once more, or encrypted


class WebmPackets:
    """The packets of the first track of Opus in what comes; recordings may follow each other.

    Other tracks are passed over as they come. What is held is at most one block of the track.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._passed = 0  # bytes of an element, still to come, that is passed over
        self._reset()

    def _reset(self) -> None:
        self._tracks: list[_Track] = []
        self._chosen: _Track | None = None
        self._scale_ns, self._cluster = SCALE_NS, 0
        self._at: int | None = None  # where the next packet is due, in samples

    @property
    def held(self) -> int:
        """Bytes of an element that is not complete."""
        return len(self._held) + self._passed

    def feed(self, data: bytes) -> Iterator[Found]:
        """The headers and packets that are complete. Raises :class:`BadContainer`."""
        self._held += data
        while True:
            if self._passed:
                count = min(self._passed, len(self._held))
                del self._held[:count]
                self._passed -= count
            try:
                head = ebml.head(self._held)
            except ValueError as error:
                raise what_follows(self._held, "WebM", LOST) from error
            if head is None:
                return
            if head.name in ENTERED:
                del self._held[: head.length]
                if head.name == TRACK:
                    self._tracks.append(_Track())
                elif head.name == ebml.CLUSTER and self._chosen is None:
                    yield self._choose()
                continue
            if head.name == ebml.EBML:
                self._reset()
            if head.size is None:
                raise BadContainer("an element of WebM states no length: send what a browser made")
            whole = head.length + head.size
            if not self._wanted(head):
                if head.name in BLOCKS and len(self._held) < min(whole, head.length + 1):
                    return  # it is not known yet whose block it is
                self._check(head)
                del self._held[: head.length]
                self._passed = head.size
                continue
            if whole > MOST_BYTES:
                raise BadContainer("a block is longer than any of Opus: is this Opus?")
            if len(self._held) < whole:
                return
            content = bytes(self._held[head.length : whole])
            del self._held[:whole]
            yield from self._read(head.name, content)

    def _wanted(self, head: ebml.Head) -> bool:
        if head.name in BLOCKS:
            numbered = self._held[head.length : head.length + 1]
            return (
                bool(numbered)
                and self._chosen is not None
                and (numbered[0] & 0x7F == self._chosen.number)
            )
        return head.name in READ

    def _check(self, head: ebml.Head) -> None:
        """Raises :class:`BadContainer` for what is no part of a recording that goes on."""
        known = head.name in PASSED or head.name in BLOCKS
        if head.name in BLOCKS and self._chosen is not None:
            known = any(self._held[head.length] & 0x7F == track.number for track in self._tracks)
        if self._chosen is not None and not known:
            raise what_follows(self._held, "WebM", LOST)

    def _choose(self) -> Header:
        for track in self._tracks:
            if track.codec == b"A_OPUS" and track.header.startswith(HEAD):
                if len(track.header) < HEAD_BYTES or track.encoded or not 0 < track.number < 0x7F:
                    break
                self._chosen = track
                return Header(track.header)
        else:
            names = [track.codec.decode("ascii", "replace") for track in self._tracks]
            what = ", ".join(names) or "no track: send the recording from its beginning"
            raise BadContainer(f"this WebM holds {what}: record audio/webm;codecs=opus")
        raise BadContainer("this WebM is encrypted or damaged: record audio/webm;codecs=opus")

    def _read(self, name: int, content: bytes) -> Iterator[Found]:
        track = self._tracks[-1] if self._tracks else _Track()
        if name == TIME:
            self._cluster = int.from_bytes(content, "big")
        elif name == SCALE:
            self._scale_ns = int.from_bytes(content, "big") or SCALE_NS
        elif name == NUMBER:
            track.number = int.from_bytes(content, "big")
        elif name == CODEC:
            track.codec = content.rstrip(b"\0")
        elif name == PRIVATE:
            track.header = content
        elif name == ENCODINGS:
            track.encoded = True
        else:
            yield self._packet(content)

    def _packet(self, block: bytes) -> Packet:
        if len(block) < 4 or block[3] & LACED:
            raise BadContainer("a block holds several packets: send what a browser made")
        ticks = self._cluster + int.from_bytes(block[1:3], "big", signed=True)
        place, data = ticks * self._scale_ns * RATE_HZ // 1_000_000_000, block[4:]
        due = place if self._at is None else self._at
        gap = place - due if place - due >= GAP_SAMPLES else 0
        # Times that fall behind what was heard are made good by no later gap.
        self._at = (due + gap if gap or place >= due else place) + samples(data)
        return Packet(data, gap)
