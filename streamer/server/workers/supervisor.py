"""The parent of the workers: it has the port, hands out connections and starts who has died.

A stream lasts for hours, so that what counts is how many each worker has, and not how evenly they
come: by SO_REUSEPORT the kernel would choose by a hash, which of sixteen workers gives one half as
much again as its share, and of several processes that accept on one socket whoever wakes first
takes all of a burst. So the parent accepts, and the worker with the fewest connections gets the
next one, as a file descriptor (``SCM_RIGHTS``). Of several with as few, it is the one whose last
connection came longest ago: that one may be over, and the worker has not said so yet. The parent
reads no byte of any of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import multiprocessing.process
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from engine.errors import VoxwatchError
from streamer.config import Config
from streamer.server.listening import reason
from streamer.server.server import address
from streamer.server.workers.worker import LogSettings, NewTokens, WorkerSettings, run_worker

log = logging.getLogger("voxwatch.serve")

BACKLOG = 512  # connections that the kernel holds until they are accepted
BURST = 64  # accepted in one go
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # before a worker that died is started again
STEADY_S = 30.0  # a worker that has lived so long is started again at once when it dies
STOP_S = 30.0  # for a worker to drain; after that it is killed
HAND_OVER = b"c"


class WorkerFailed(VoxwatchError):
    """A worker could not be started; it has said itself why."""


class Worker:
    """A process and the channel to it. ``busy`` counts the connections that it has.

    ``latest`` is the number, among those of all workers, of the last one that it was given.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.number, self.busy, self.latest, self.model = settings.number, 0, 0, ""
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self.started_s = self._loop.time()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._said = b""
        context = multiprocessing.get_context("spawn")  # a fork would inherit the event loop
        self.process = context.Process(
            target=run_worker, args=(settings, theirs), name=f"voxwatch worker {self.number}"
        )
        try:
            self.process.start()
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()
        self._loop.add_reader(self.channel, self._hear)
        self._loop.add_reader(self.process.sentinel, self._died)

    @property
    def serves(self) -> bool:
        """Whether it takes connections."""
        return self.ready.done() and not self.ended.done()

    def give(self, connection: socket.socket, number: int) -> bool:
        """Hand a connection over. False where the worker takes none just now."""
        try:
            socket.send_fds(self.channel, [HAND_OVER], [connection.fileno()])
        except OSError:
            return False
        self.busy += 1
        self.latest = number
        return True

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Tell it to drain, or kill it."""
        if not self.ended.done() and self.process.pid is not None:
            os.kill(self.process.pid, number)

    def close(self) -> int:
        """Let go of the process, which has ended; its exit status, or less a signal's number."""
        self._loop.remove_reader(self.channel)
        self.channel.close()
        self.process.join()
        status = self.process.exitcode or 0
        self.process.close()
        return status

    def _hear(self) -> None:
        """Lines of the worker: ``ready`` and the model's name, or ``gone`` for a connection."""
        with contextlib.suppress(OSError):
            said = self.channel.recv(1 << 16)
            if not said:
                self._loop.remove_reader(self.channel)
            *lines, self._said = (self._said + said).split(b"\n")
            self.busy -= lines.count(b"gone")
            for line in lines:
                if line.startswith(b"ready ") and not self.ready.done():
                    self.model = line.decode().partition(" ")[2]
                    self.ready.set_result(None)

    def _died(self) -> None:
        self._loop.remove_reader(self.process.sentinel)
        self.ended.set_result(None)


class Supervisor:
    """An async context manager: the workers serve from its start, and drain at its end."""

    def __init__(self, config: Config, logs: LogSettings, tokens: NewTokens | None = None) -> None:
        self._config, self._logs, self._tokens = config, logs, tokens
        self._workers: dict[int, Worker] = {}
        self._stack = contextlib.AsyncExitStack()
        self._keeping: list[asyncio.Task[None]] = []
        self._accepting = False
        self._accepted = 0  # connections so far
        self.model = ""

    async def __aenter__(self) -> Supervisor:
        try:
            self._folder = Path(self._stack.enter_context(_private_folder()))
            self._sockets = [self._stack.enter_context(s) for s in listening(self._config)]
            await self._start()
        except BaseException:
            await self._stop()
            raise
        self._accept(True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    @property
    def port(self) -> int:
        """The port of all workers."""
        return int(self._sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The dashboard's address, from which clients find everything else."""
        return address(self._config, self.port)

    async def _start(self) -> None:
        """The first makes what the store lacks; the others find it."""
        loop, count = asyncio.get_running_loop(), self._config.workers
        self._workers[1] = self._worker(1)
        await self._ready(self._workers[1])
        self.model = self._workers[1].model
        others = [self._worker(number) for number in range(2, count + 1)]
        self._workers |= {worker.number: worker for worker in others}
        for worker in others:
            await self._ready(worker)
        self._keeping = [loop.create_task(self._keep(n)) for n in self._workers]

    async def _ready(self, worker: Worker) -> None:
        await asyncio.wait([worker.ready, worker.ended], return_when=asyncio.FIRST_COMPLETED)
        if not worker.ready.done():
            raise WorkerFailed(f"worker {worker.number} could not be started")

    def _worker(self, number: int) -> Worker:
        return Worker(WorkerSettings(number, self._config, self._folder, self._logs, self._tokens))

    async def _keep(self, number: int) -> None:
        """Start a worker again whenever it dies."""
        loop, pause_s = asyncio.get_running_loop(), FIRST_PAUSE_S
        while True:
            worker = self._workers[number]
            await asyncio.shield(worker.ended)
            del self._workers[number]  # it is closed here, and whoever stops the rest leaves it out
            lived_s, status = loop.time() - worker.started_s, worker.close()
            pause_s = FIRST_PAUSE_S if lived_s > STEADY_S else min(2 * pause_s, LONGEST_PAUSE_S)
            how = f"status {status}" if status >= 0 else signal.Signals(-status).name
            log.error("worker %d died (%s): it is started again, its streams are lost", number, how)
            await asyncio.sleep(0 if lived_s > STEADY_S else pause_s)
            self._workers[number] = await self._started(number)
            ready = self._workers[number].ready
            ready.add_done_callback(partial(self._back, number))

    async def _started(self, number: int) -> Worker:
        """A worker in the place of one that died: the system may have nothing left for it now."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return self._worker(number)
            except Exception as error:  # whatever it is, the others serve, and it may pass
                why = f"{type(error).__name__}: {error}"
                log.error("worker %d cannot be started (%s): again in %g s", number, why, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _back(self, number: int, _: asyncio.Future[None]) -> None:
        log.info("worker %d serves again", number)
        self._accept(True)

    def _accept(self, on: bool) -> None:
        """Take connections from the kernel, or leave them there while no worker serves."""
        loop = asyncio.get_running_loop()
        if on == self._accepting:
            return
        self._accepting = on
        for listener in self._sockets:
            if on:
                loop.add_reader(listener, self._take, listener)
            else:
                loop.remove_reader(listener)

    def _take(self, listener: socket.socket) -> None:
        for _ in range(BURST):
            serving = [worker for worker in self._workers.values() if worker.serves]
            if not serving:
                self._accept(False)
                return
            try:
                connection, _ = listener.accept()
            except OSError:  # none is left, or it is gone already
                return
            self._accepted += 1
            with connection:
                for worker in sorted(serving, key=lambda worker: (worker.busy, worker.latest)):
                    if worker.give(connection, self._accepted):
                        break

    async def _stop(self) -> None:
        """Take nothing new; the workers drain, all at once."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self._accept(False)
        for worker in self._workers.values():
            worker.stop()
        ended = [worker.ended for worker in self._workers.values()]
        if ended:
            await asyncio.wait(ended, timeout=STOP_S)
        for worker in self._workers.values():
            worker.stop(signal.SIGKILL)
            await worker.ended
            worker.close()
        self._workers.clear()
        await self._stack.aclose()


def listening(config: Config) -> list[socket.socket]:
    """Sockets on the configured host and port. Raises :class:`VoxwatchError`."""
    if not hasattr(socket, "send_fds"):
        raise VoxwatchError("workers: this system serves with one worker only")
    place = f"{config.host}:{config.port}"
    try:
        found = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        return [_listener(family, address) for family, *_, address in dict.fromkeys(found)]
    except OSError as error:
        message = f"cannot listen on {place} ({reason(error)}): choose another port, or host"
        raise VoxwatchError(message) from error


def _listener(family: int, address: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(address)
    made.listen(BACKLOG)
    made.setblocking(False)
    return made


@contextlib.contextmanager
def _private_folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="voxwatch-") as name:  # mode 0700
        yield name
