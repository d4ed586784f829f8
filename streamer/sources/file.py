"""Where sound comes from, as pieces of PCM: a file, standard input; at its own pace or at once.

A microphone is one more: `streamer.sources.microphone`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from engine.audio.files import chosen_channel
from engine.audio.recording import Recording
from engine.format import SAMPLE_BYTES, Encoding

log = logging.getLogger("voxwatch.audio")

PIECE_S = 0.1
READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Format:
    """How sound is written: ``channel`` of ``channels``, from 0, is the one that counts."""

    encoding: Encoding
    sample_rate: int
    channels: int = 1
    channel: int = 0

    @property
    def bytes_per_s(self) -> int:
        """Bytes of all channels in a second."""
        return SAMPLE_BYTES[self.encoding] * self.channels * self.sample_rate


class FileSource:
    """One channel of a sound file of any kind libsndfile reads, at the file's own rate.

    It is read as it is sent, whatever its length. Raises :class:`AudioError` here and while
    reading, for a file that is none, has several channels and none chosen, or is damaged.
    ``duration_s`` is what its header says, None: nothing.
    """

    def __init__(self, path: Path, channel: int | None = None) -> None:
        self.path = path
        with Recording(path) as recording:
            recording.check_rate()
            self._channel = chosen_channel(recording, channel)
            self.format = Format("pcm_f32le", recording.rate_hz)
            self.duration_s = recording.frames / recording.rate_hz if recording.frames else None
            for words in recording.warnings:
                log.warning("warning: %s", words)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces():
            yield piece
            await asyncio.sleep(0)  # decoding takes a moment: others shall have theirs

    def _pieces(self) -> Iterator[bytes]:
        frames = round(PIECE_S * self.format.sample_rate)
        with Recording(self.path) as recording:
            for block in recording.blocks(frames):
                yield np.ascontiguousarray(block[:, self._channel], "<f4").tobytes()


class StdinSource:
    """Raw PCM from standard input, or another open file, as it comes."""

    def __init__(self, format_: Format, file: IO[bytes] | None = None) -> None:
        self.format = format_
        self._file = file or sys.stdin.buffer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        mode = stat.S_IFMT(os.fstat(self._file.fileno()).st_mode)
        if mode in (stat.S_IFIFO, stat.S_IFSOCK):
            async for piece in self._from_pipe():
                yield piece
        else:  # a file: reading never waits for anybody
            while piece := self._file.read(READ_BYTES):
                yield piece
                await asyncio.sleep(0)

    async def _from_pipe(self) -> AsyncIterator[bytes]:
        """Read without a thread, which nothing could wake from reading once the stream is over."""
        reader = asyncio.StreamReader(READ_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._file
        )
        try:
            while piece := await reader.read(READ_BYTES):
                yield piece
        finally:
            transport.close()


async def paced(
    pieces: AsyncIterator[bytes], bytes_per_s: int, speed: float | None
) -> AsyncGenerator[bytes, None]:
    """``pieces`` when they are due at ``speed`` times real time; at once where it is None."""
    loop = asyncio.get_running_loop()
    begun, sent = loop.time(), 0
    async for piece in pieces:
        sent += len(piece)
        if speed is not None:  # a piece is there once its last sample has been spoken
            await asyncio.sleep(begun + sent / bytes_per_s / speed - loop.time())
        yield piece
