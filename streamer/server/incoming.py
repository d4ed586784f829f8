"""Frames of one client that wait to be heard, bounded by their bytes as well as by their number."""

from __future__ import annotations

import array
import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from websockets.asyncio.messages import Assembler, SimpleQueue
from websockets.frames import BINARY, Frame

if sys.platform != "win32":
    import fcntl
    import termios

MOST_FRAMES = 4  # that wait, beyond those in the slice of bytes that brought them
MOST_BYTES = 1 << 17  # four seconds of 16 kHz, 16 bit; one message that is longer may wait alone
JOINED_BYTES = 1 << 14  # sound in small messages is joined up to here: half a second
LEAST_JSON = 6  # bytes of an object with a field


def kernel_bytes(socket: int) -> int:
    """Bytes that the kernel holds unread for a socket; 0 where it does not tell."""
    if sys.platform == "win32" or socket < 0:
        return 0
    size = array.array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(socket, termios.FIONREAD, size)
    return size[0]


class _Frames(SimpleQueue[Frame]):
    """A queue of frames that knows how many bytes it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def put(self, item: Frame) -> None:
        self.size += len(item.data)
        super().put(item)

    async def get(self, block: bool = True) -> Frame:
        frame = await super().get(block)
        self.size -= len(frame.data)
        return frame

    def put_back(self, items: Sequence[Frame]) -> None:
        self.size += sum(len(frame.data) for frame in items)
        super().put_back(items)


class Incoming(Assembler):
    """Messages from frames. ``messages`` counts the binary ones, those that were joined as well.

    ``pause`` and ``resume`` are called when too much waits, and when there is room again.
    """

    def __init__(self, pause: Callable[[], Any], resume: Callable[[], Any]) -> None:
        super().__init__(MOST_FRAMES, 0, pause, resume)
        self.frames: _Frames = _Frames()
        self.messages = 0

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self.frames.size

    def put(self, frame: Frame) -> None:
        """Add a frame. Sound that follows sound is joined to it: only the bytes matter."""
        waiting = self.frames.queue
        if frame.opcode is BINARY and frame.fin:
            self.messages += 1
            if waiting and not self.closed and self._join(waiting[-1], frame):
                return
        super().put(frame)

    def maybe_pause(self) -> None:
        """Pause when more waits than may."""
        if not self.paused and (len(self.frames) > MOST_FRAMES or self.size > MOST_BYTES):
            self.paused = True
            self.pause()

    def _join(self, last: Frame, frame: Frame) -> bool:
        if last.opcode is not BINARY or not last.fin:
            return False
        joined = isinstance(last.data, bytearray)
        if _may_be_json(frame.data) or (not joined and _may_be_json(last.data)):
            return False  # which is told only as a message of its own
        if len(last.data) + len(frame.data) > JOINED_BYTES:
            return False
        if not isinstance(last.data, bytearray):
            last.data = bytearray(last.data)
        last.data += frame.data
        self.frames.size += len(frame.data)
        self.maybe_pause()
        return True


def _may_be_json(data: bytes | bytearray | memoryview) -> bool:
    """Whether it begins and ends as an object does that says something."""
    ends = bytes(data[:1]), bytes(data[-LEAST_JSON:]).rstrip()[-1:]
    return len(data) >= LEAST_JSON and ends == (b"{", b"}")
