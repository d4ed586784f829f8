"""A server that says what a test wants and notes every byte, and a line to it that breaks.

The server speaks wire version 1 and says something of every tenth of a second of sound, so that a
sample or an event that is lost or told twice is seen.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from engine.events import (
    Failure,
    Progress,
    Quality,
    Refused,
    Summary,
)
from streamer.wire import errors, messages

MODEL = messages.Model(name="none", version="1", sha256="0" * 64, provider="cpu")
BOUNDS = messages.Bounds(false_accept=0.01, miss=0.05, accept_llr=4.55, reject_llr=-2.99)
STEP_BYTES, STEP_S = 3200, 0.1  # of 16 kHz s16le


class Session:
    """What the server keeps of one stream."""

    def __init__(self) -> None:
        self.received = b""
        self.said: list[str] = []
        self.finals = 0
        self.holder: ServerConnection | None = None  # the newest connection has the session

    def say(self, message: msgspec.Struct) -> None:
        numbered = msgspec.structs.replace(message, seq=len(self.said) + 1)
        self.said.append(msgspec.json.encode(numbered).decode())


class Scripted:
    """The server. ``before`` may hold it up, ``after`` sees each message it has taken in."""

    def __init__(self, **limits: float) -> None:
        self.limits = messages.StreamLimits(
            **{
                "message_bytes": 1 << 20,
                "idle_s": 60.0,
                "stream_s": 3600.0,
                "backlog_s": 10.0,
                "resume_s": 20.0,
                **limits,
            }
        )
        self.sessions: dict[str, Session] = {}
        self.starts: list[dict[str, Any]] = []
        self.controls: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        self.may_take = asyncio.Event()
        self.may_take.set()
        self.refuse: Failure | None = None
        self.fail_next: Failure | None = None
        self.fail_last: Failure | None = None  # after the summary
        self.url = ""

    @property
    def only(self) -> Session:
        (session,) = self.sessions.values()
        return session

    async def __call__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.headers.append(connection.request.headers.get("Authorization"))
        with suppress(ConnectionClosed):
            path = connection.request.path.partition("?")[0]
            if path == "/v1/stream":
                await self.stream(connection)
            elif path == "/v1/enroll":
                await self.enroll(connection)
            elif path == "/v1/control":
                await self.control(connection)
            else:
                await self.monitor(connection)

    async def stream(self, connection: ServerConnection) -> None:
        start = json.loads(await connection.recv())
        self.starts.append(start)
        if self.refuse:
            await self.end(connection, self.refuse)
            return
        name = start.get("session") or f"session {len(self.sessions)}"
        if "session" in start and name not in self.sessions:
            lost = Failure(seq=0, t=0, code="unknown-session", message="connect again")
            await self.end(connection, lost)
            return
        session = self.sessions.setdefault(name, Session())
        session.holder = connection
        told = start.get("resume_from", 1) - 1
        await connection.send(self.ready(name, told, session))
        for text in session.said[told:]:
            await connection.send(text)
        await self.converse(connection, session)

    def ready(self, name: str, told: int, session: Session) -> str:
        ready = messages.Ready(
            seq=told,
            t=0.0,
            session=name,
            stream="public",
            server="test",
            model=MODEL,
            mode="changes",
            claims=(),
            window_s=3,
            hop_s=0.5,
            first_s=1,
            decide_s=1.5,
            bounds=BOUNDS,
            expected_rates=(),
            operating_points=None,
            limits=self.limits,
            received_bytes=len(session.received),
            resumed=told > 0,
        )
        return msgspec.json.encode(ready).decode()

    async def converse(self, connection: ServerConnection, session: Session) -> None:
        async for message in connection:
            await self.may_take.wait()
            if session.holder is not connection:
                return
            count = len(session.said)
            if self.fail_next:
                session.say(self.fail_next)
                self.fail_next = None
            if isinstance(message, bytes):
                self.take(session, message)
            else:
                self.obey(session, json.loads(message))
            for text in session.said[count:]:
                await connection.send(text)
            if session.said and '"summary"' in session.said[-1]:
                if self.fail_last:
                    await self.end(connection, self.fail_last)
                await connection.close(1000)

    def take(self, session: Session, data: bytes) -> None:
        steps = len(session.received) // STEP_BYTES
        session.received += data
        for step in range(steps, len(session.received) // STEP_BYTES):
            session.say(
                Quality(
                    t=(step + 1) * STEP_S,
                    level_dbfs=None,
                    clipped=0,
                    snr_db=None,
                    speech_share=0,
                    problems=(),
                )
            )

    def obey(self, session: Session, asked: dict[str, Any]) -> None:
        self.controls.append(asked)
        if asked["type"] == "finalize":
            session.finals += 1
        if asked["type"] in ("finalize", "close") and "summary" not in (session.said or [""])[-1]:
            t = len(session.received) / 32_000
            session.say(
                Summary(t=t, received_s=t, speech_s=0, match_s=0, decisions={}, model="none")
            )
        if asked["type"] == "configure":
            session.say(messages.Configured(t=0, mode="verify", claims=("bob",), bounds=BOUNDS))

    async def end(self, connection: ServerConnection, failure: Failure) -> None:
        await connection.send(msgspec.json.encode(failure).decode())
        await connection.close(errors.CLOSE_CODES[failure.code])

    async def enroll(self, connection: ServerConnection) -> None:
        self.starts.append(json.loads(await connection.recv()))
        ready = messages.EnrollReady(
            seq=0,
            t=0,
            server="test",
            model=MODEL,
            name="alice",
            needed_s=20,
            min_s=10,
            consent_text_version="2026-11",
            limits=self.limits,
        )
        await connection.send(msgspec.json.encode(ready).decode())
        seq = 0
        async for message in connection:
            if isinstance(message, str):
                refused = Refused(seq=seq + 1, t=1, code="too-short", message="record more")
                await connection.send(msgspec.json.encode(refused).decode())
                await connection.close(1000)
                return
            seq += 1
            progress = Progress(
                seq=seq,
                t=seq,
                net_speech_s=5.0 * seq,
                needed_s=20,
                percent=25 * seq,
                level_dbfs=-20,
                clipped=0,
                snr_db=None,
                problems=(),
            )
            await connection.send(msgspec.json.encode(progress).decode())
            if seq == 4:
                done = messages.EnrolledAs(
                    seq=5, t=4, name="alice", net_speech_s=20, prototypes=1, agreement=0.9
                )
                await connection.send(msgspec.json.encode(done).decode())
                await connection.close(1000)
                return

    async def control(self, connection: ServerConnection) -> None:
        async for text in connection:
            asked = json.loads(text)
            self.controls.append(asked)
            answer: dict[str, Any] = {"id": asked["id"], "ok": True, "result": [asked["type"]]}
            if asked["type"] == "delete":
                told = {"code": "unknown-speaker", "message": "nobody is called that"}
                answer = {"id": asked["id"], "ok": False, "error": told}
            await connection.send(json.dumps(answer))

    async def monitor(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.controls.append({"path": connection.request.path})
        await connection.send(
            '{"type": "ready", "seq": 0, "t": 0, "server": "test", "streams": []}'
        )
        failed = {
            "type": "error",
            "seq": 1,
            "t": 0,
            "stream": "s",
            "code": "window-failed",
            "message": "once",
        }
        await connection.send(json.dumps(failed))
        await connection.close(1000)


class Line:
    """A TCP line to a server that can be cut, and that can swallow everything in silence."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.url = ""

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[Line]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def leads_to(self, port: int) -> None:
        """From here on connections that are made lead to another server."""
        self._port = port

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    def silence(self) -> None:
        """From here on nothing passes on the connections there are, and nobody is told."""
        self._silent |= self._open

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        pair = {writer}
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            pair.add(back)
            self._open |= pair
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        except OSError:
            pass  # cut, or nobody is there
        finally:
            for side in pair:
                side.transport.abort()
            self._open -= pair

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            while writer in self._silent:
                await asyncio.Event().wait()  # until the end of the test cancels it
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def serving(scripted: Scripted, port: int = 0) -> AsyncIterator[WebSocketServer]:
    async with serve(scripted, "127.0.0.1", port, compression=None, close_timeout=0.2) as server:
        found = next(iter(server.sockets)).getsockname()[1]
        scripted.url = f"ws://127.0.0.1:{found}"
        yield server
        scripted.may_take.set()
