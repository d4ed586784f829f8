"""Opus in, PCM out: what comes over one connection, decoded as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.audio import ebml
from engine.audio.media.library import library
from engine.audio.opus.ogg import OggPackets
from engine.audio.opus.packets import RATE_HZ, BadContainer, Header, Packet, samples
from engine.audio.opus.webm import WebmPackets
from engine.audio.signatures import foreign
from engine.errors import AudioError, WrongFormat
from engine.format import MOST_CHANNELS

Int16 = NDArray[np.int16]

PIECE_SAMPLES = RATE_HZ // 2  # of a piece of PCM, a packet more or less
# What lacks by the container's times is heard as silence. More than this says that the clock was
# set, or that a computer slept: a pause is a pause, and no stranger may make hours of a few bytes.
MOST_GAP_SAMPLES = 30 * RATE_HZ
MAGIC_BYTES = 8  # by which the container is told
EBML = ebml.EBML.to_bytes(4, "big")
WANTED = "Opus comes in pages of Ogg or in WebM (audio/webm;codecs=opus), from the first byte on"


class OpusStream:
    """Decodes one stream to one channel of 48 kHz, 16 bit, in pieces of any size.

    ``channel`` counts from zero. Raises :class:`MediaMissing` where nothing can decode it.
    """

    def __init__(self, channel: int = 0) -> None:
        self._av, self._channel = library("Opus over a connection"), channel
        self._magic = b""
        self._packets: OggPackets | WebmPackets | None = None
        self._decoder: Any = None
        self._channels = 1

    @property
    def torn(self) -> int:
        """Bytes at the end of a page or a block that was not completed."""
        return self._packets.held if self._packets is not None else len(self._magic)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The PCM of what is complete, decoded as it is asked for, half a second at a time.

        Raises :class:`WrongFormat` for what is no Opus in Ogg or WebM, and :class:`AudioError`
        for a packet that cannot be decoded. All of it is to be asked for before the next call.
        """
        if self._packets is None:
            self._magic += data
            if len(self._magic) < MAGIC_BYTES:
                return
            self._packets, data, self._magic = _container(self._magic), self._magic, b""
        ready: list[Int16] = []
        try:
            for found in self._packets.feed(data):
                if isinstance(found, Header):
                    self._open(found)
                    continue
                if ready and (found.gap or sum(map(len, ready)) >= PIECE_SAMPLES):
                    yield _pcm(ready)
                    ready = []
                yield from _silence(min(found.gap, MOST_GAP_SAMPLES))
                ready.append(self._decoded(found))
        except BadContainer as error:
            raise WrongFormat(str(error)) from error
        if ready:
            yield _pcm(ready)

    def _open(self, header: Header) -> None:
        channels = header.channels
        if not 1 <= channels <= MOST_CHANNELS:
            raise WrongFormat(f"this Opus has {channels} channels: {MOST_CHANNELS} at most")
        if self._channel >= channels:
            raise WrongFormat(f"this Opus has no channel {self._channel}: it has {channels}")
        self._channels = channels
        self._decoder = self._av.CodecContext.create("libopus", "r")
        self._decoder.extradata = header.data  # with what is to be skipped at the beginning
        self._decoder.thread_count = 1
        try:
            self._decoder.open()
        except self._av.FFmpegError as error:
            raise WrongFormat("the header of this Opus cannot be read: record it anew") from error

    def _decoded(self, packet: Packet) -> Int16:
        """A packet's samples ``(N,)``."""
        assert self._decoder is not None  # no container gives a packet before its header
        if not samples(packet.data):  # an empty one would end the decoder
            return np.zeros(0, np.int16)
        try:
            frames = self._decoder.decode(self._av.Packet(packet.data))
        except self._av.FFmpegError as error:
            raise AudioError("a packet of Opus is damaged: send all bytes in order") from error
        heard = [frame.to_ndarray().reshape(-1, self._channels) for frame in frames]
        one = [block[:, self._channel] for block in heard]
        joined: Int16 = np.concatenate(one) if one else np.zeros(0, np.int16)
        return joined[: max(0, len(joined) - packet.trim)]


def _container(magic: bytes) -> OggPackets | WebmPackets:
    if magic.startswith(b"OggS"):
        return OggPackets()
    if magic.startswith(EBML):
        return WebmPackets()
    known = foreign(magic)
    what = f"this is {known[0]}" if known else "this is neither Ogg nor WebM"
    raise WrongFormat(f"{what}: {WANTED}; packets of Opus without a container are not taken")


def _silence(count: int) -> Iterator[bytes]:
    for start in range(0, count, PIECE_SAMPLES):
        yield bytes(2 * min(PIECE_SAMPLES, count - start))


def _pcm(blocks: list[Int16]) -> bytes:
    return np.concatenate(blocks).astype("<i2").tobytes()
