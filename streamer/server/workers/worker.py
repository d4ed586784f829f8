"""One of several processes that serve one port: a whole server, but for the port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from engine.errors import VoxwatchError
from streamer.config import Config
from streamer.server.auth import Token
from streamer.server.logs import log_to_stderr
from streamer.server.runtime import new_loop, spare_collector
from streamer.server.server import Server
from streamer.server.workers.peers import Peers

EXIT_ERROR = 2
NewTokens = Callable[[], Sequence[Token] | None]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What goes to stderr, and how."""

    level: str
    as_json: bool


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker is started with: ``folder`` is where the workers find each other."""

    number: int
    config: Config
    folder: Path
    logs: LogSettings
    tokens: NewTokens | None = None  # see Server


def run_worker(settings: WorkerSettings, channel: socket.socket) -> None:
    """Serve the connections that come through ``channel``, until SIGTERM, or until it closes."""
    for number in (signal.SIGINT, signal.SIGHUP):  # these reach all: the parent says what to do
        signal.signal(number, signal.SIG_IGN)
    log_to_stderr(settings.logs.level, as_json=settings.logs.as_json, worker=settings.number)
    try:
        with asyncio.Runner(loop_factory=new_loop()) as runner:
            runner.run(_serve(settings, channel))
    except (VoxwatchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_ERROR)


async def _serve(settings: WorkerSettings, channel: socket.socket) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    config = shared(settings.config)
    peers = Peers(settings.number, config.workers, settings.folder)
    tokens = settings.tokens or (lambda: None)
    async with Server(config, peers=peers, tokens=tokens) as server:
        spare_collector()
        with _handed_over(server, channel, stop):
            model = server.context.model
            channel.send(f"ready {model.name} {model.version} on {model.provider}\n".encode())
            await stop.wait()


def shared(config: Config) -> Config:
    """A worker's share of the cores. Limits hold for each worker by itself."""
    threads = config.threads or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        threads = config.threads or len(os.sched_getaffinity(0))
    return structs.replace(config, threads=max(1, threads // config.workers))


@contextlib.contextmanager
def _handed_over(server: Server, channel: socket.socket, stop: asyncio.Event) -> Iterator[None]:
    """Take what the parent hands over."""
    loop = asyncio.get_running_loop()
    taking: set[asyncio.Task[None]] = set()
    channel.setblocking(False)

    def gone() -> None:
        with contextlib.suppress(OSError):
            channel.send(b"gone\n")

    def take() -> None:
        try:
            said, descriptors, *_ = socket.recv_fds(channel, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            said, descriptors = b"", []
        if not said:  # the parent has died
            loop.remove_reader(channel)
            stop.set()
        for descriptor in descriptors:
            task = loop.create_task(server.take(socket.socket(fileno=descriptor), gone))
            taking.add(task)
            task.add_done_callback(taking.discard)

    loop.add_reader(channel, take)
    try:
        yield
    finally:
        loop.remove_reader(channel)
