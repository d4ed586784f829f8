"""The sound of the last commands, in memory alone, for an enrolment that somebody asks for.

A proxy keeps a few for some minutes (:class:`PastCommands`) and gives them to whoever runs as the
same user on the same machine (:func:`offer`, :func:`ask`): a Unix socket in a folder that no one
else may enter. They are never written to a disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from voxwatch_client.errors import ClientError, ConnectionFailed

KEPT = 10  # commands
MOST_KEPT = 20
KEPT_S = 600.0  # after which a command is forgotten, whatever comes or does not
ASK_S = 10.0  # for somebody to ask, and to read what they are given


class PastCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command: ``at`` when it ended, in seconds since 1970; ``pcm`` of 16 bit.

    ``speaker`` is who of those enrolled it was, None for anybody else.
    """

    at: float
    rate: int
    channels: int
    speaker: str | None
    pcm: bytes

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.pcm) / (2 * self.channels * self.rate)

    @property
    def mono(self) -> bytes:
        """Its first channel, the one that is listened to."""
        whole = len(self.pcm) // (2 * self.channels) * 2 * self.channels
        return memoryview(self.pcm)[:whole].cast("h")[:: self.channels].tobytes()


class PastCommands:
    """The last ``most`` commands, each for ``KEPT_S`` at most."""

    def __init__(self, most: int) -> None:
        self._kept: deque[PastCommand] = deque(maxlen=most)

    @property
    def most(self) -> int:
        """How many are kept."""
        return self._kept.maxlen or 0

    def keep_none(self) -> None:
        """Forget them, and keep none from now on."""
        self._kept = deque(maxlen=0)

    def add(self, command: PastCommand) -> None:
        """Keep it for its time."""
        if self.most:
            self._kept.append(command)
            asyncio.get_running_loop().call_later(KEPT_S, self._forget, command)

    def last(self, count: int) -> list[PastCommand]:
        """The last ones, oldest first."""
        return list(self._kept)[-count:] if count > 0 else []

    def _forget(self, command: PastCommand) -> None:
        self._kept = deque((c for c in self._kept if c is not command), self._kept.maxlen)


def places(uri: str) -> list[Path]:
    """Where the proxy that listens at ``uri`` may be asked, the first where it can be.

    Raises :class:`ClientError` where there is no place that this user has alone.
    """
    port = uri.rpartition(":")[2]
    name = port if port.isdigit() else hashlib.sha256(uri.encode()).hexdigest()[:16]
    # A service may have been started without the variable that a shell has.
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    bases = [base for base in (runtime, tempfile.gettempdir()) if base]
    return [_own_folder(Path(base)) / f"wyoming-{name}" for base in bases]


def _own_folder(base: Path) -> Path:
    """A folder in ``base`` that nobody else may enter, also where everybody may make one."""
    if not hasattr(os, "getuid"):
        raise ClientError("this system has no sockets of one user alone")
    folder = base / f"voxwatch-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ClientError(f"{folder}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ClientError(f"{folder} is not a folder of this user alone: remove it")
    return folder


@asynccontextmanager
async def offer(past: PastCommands, path: Path) -> AsyncIterator[None]:
    """Answer at ``path`` for as long as the context lasts. Raises ``OSError``."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)  # to wait until all of it is read
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(ASK_S):
                count = int(await reader.readline())
                writer.write(msgspec.msgpack.encode(past.last(count)))
                await writer.drain()
                writer.close()
        writer.transport.abort()

    async with await asyncio.start_unix_server(answer, path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


async def ask(uri: str, count: int) -> list[PastCommand]:
    """The last commands of the proxy that listens at ``uri``, oldest first.

    Raises :class:`ClientError`.
    """
    for path in places(uri):
        with contextlib.suppress(OSError, TimeoutError, msgspec.MsgspecError):
            async with asyncio.timeout(ASK_S):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    writer.write(f"{count}\n".encode())
                    told = await reader.read()
                finally:
                    writer.close()
            return msgspec.msgpack.decode(told, type=list[PastCommand])
    raise ConnectionFailed(f"no proxy of this user listens at {uri}, or it keeps nothing (--keep)")
