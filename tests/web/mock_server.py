"""A server that speaks wire version 1 from a script: no model, and every state at will.

`python mock_server.py PORT DIST [--token TOKEN] [--roles ROLES]`. To its streams it answers by
the media time they send: too little speech, Alice, another voice, not Alice. Its monitors see one
stream for each state of `SCENES`, frozen there. An enrolment needs two seconds; the name "Noise" is
refused. `{"type": "mock", "do": "drop" | "forget" | "stop"}` on the control connection drops
the streams' connections, forgets the sessions as well, or stops answering new ones; `"hang"` leaves
all connections open and says nothing on them, until `"wake"`. Whoever comes
with the token is the candidate of `mock_seat`, too: `{"do": "seat", "seat": {...}}` changes the
seat, and `{"do": "say", "code": ..., "close": ...}` tells all streams an error, after their summary
where it has `"summary": true`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import mimetypes
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mock_seat import seat, shown_in
from scenes import (
    CONSENT,
    JOINED_S,
    LEAST_S,
    MODEL,
    NEEDED_S,
    SCENES,
    bounds,
    call,
    entry,
    peaks,
    progress,
)
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Json = dict[str, Any]

KEPT = [["The record of what is decided is kept", "30 days"]]
LIMITS = {"message_bytes": 1 << 20, "idle_s": 60, "stream_s": 14400, "resume_s": 60}
RATES = [[t, rate, rate, 0.1 / t / rate**0.3] for t in (1.0, 3.0, 9.0) for rate in (0.002, 0.05)]
POLICY = "default-src 'self'; media-src blob:; base-uri 'none'; frame-ancestors 'none'"


def profile(name: str, speech_s: float, prototypes: int = 1) -> Json:
    """A person."""
    now = time.time()
    return {
        "name": name, "created_at": now, "expires_at": now + 30 * 86400 if name == "Bob" else None,
        "prototypes": prototypes, "net_speech_s": speech_s, "usable": True,
        "consent": {"given_at": now, "text_version": "2026-11"},
    }  # fmt: skip


SUMMARY = {
    "type": "summary", "t": 4.0, "received_s": 4.0, "speech_s": 3.6, "match_s": 2.0,
    "decisions": {"match": 1}, "model": "mock 1",
}  # fmt: skip


@dataclass
class Session:
    """One stream's past, for a client that comes back."""

    rate: int
    bytes: int = 0
    sent: list[Json] = field(default_factory=list)
    ended: bool = False

    def due(self) -> list[Json]:
        """What the sound that is there adds to what was told."""
        media = self.bytes / (2 * self.rate)
        told = len(self.sent)
        script = sorted(call(60.0), key=lambda e: e["t"])
        for event in script[told:]:
            if event["t"] > media:
                break
            self.sent.append(event | {"seq": len(self.sent) + 1})
        return self.sent[told:]


class Mock:
    """The state of the server."""

    def __init__(self, dist: Path, token: str | None, roles: list[str]) -> None:
        self.dist, self.token, self.roles = dist, token, roles
        self.reset()

    def reset(self) -> None:
        """As at the start."""
        self.profiles = {p["name"]: p for p in (profile("Alice", 24.2, 2), profile("Bob", 20.1))}
        self.sessions: dict[str, Session] = {}
        self.open: set[ServerConnection] = set()
        self.away = False
        self.awake = asyncio.Event()
        self.awake.set()
        self.numbers = itertools.count(1)
        self.starts: list[Json] = []
        self.seat = seat()

    async def serve(self, connection: ServerConnection) -> None:
        """One WebSocket."""
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        query = dict(parse_qsl(parts.query))
        if parts.path != "/v1/control" and self.token and query.get("token") != "once":
            await connection.close(1008)
            return
        serve_one = {
            "/v1/control": self.control, "/v1/stream": self.stream, "/v1/enroll": self.enroll,
        }.get(parts.path)  # fmt: skip
        try:
            if serve_one:
                await serve_one(connection)
            else:
                await self.monitor(connection, query.get("stream", ""))
        except ConnectionClosed:
            pass
        finally:
            self.open.discard(connection)

    async def control(self, connection: ServerConnection) -> None:
        """Requests."""
        known = self.token is None
        async for text in connection:
            request = json.loads(text)
            kind = request["type"]
            answer: Json = {"id": request.get("id"), "ok": True, "result": {}}
            if kind != "mock":
                await self.awake.wait()
            if kind == "authenticate":
                known = request["token"] == self.token
            if not known and kind != "status":
                error = {"code": "unauthorised", "message": "that token is not known"}
                answer = {"id": request["id"], "ok": False, "error": error}
            else:
                answer["result"] = await self.answer(kind, request, known)
            await connection.send(json.dumps(answer))

    async def answer(self, kind: str, request: Json, known: bool) -> Any:
        """The result of a request."""
        if kind == "status":
            return {
                "version": "voxwatch mock", "auth_required": self.token is not None,
                "roles": self.roles if known else [],
                "consent": {"text_version": "2026-11", "text": CONSENT, "kept": KEPT},
                "model": MODEL, "provider": MODEL["provider"],
                "bounds": bounds(), "expected_rates": RATES,
            }  # fmt: skip
        if kind == "profiles":
            return list(self.profiles.values())
        if kind == "streams":
            return [entry(name) for name in SCENES]
        if kind == "url_token":
            return {"token": "once", "expires_in_s": 60}
        if kind == "export":
            return self.profiles[request["name"]] | {"embeddings": ["AAAA"]}
        if kind == "delete":
            del self.profiles[request["name"]]
        if kind == "seat":
            return shown_in(self.seat, request.get("languages", []))
        if kind == "clips":
            given = {"answer": "agreed" if request["agreed"] else "refused", "to": request}
            self.seat |= {"clips": self.seat["clips"] | given}
        if kind == "withdraw" and request.get("clips"):
            self.seat |= {"clips": self.seat["clips"] | {"answer": "refused", "to": request}}
        elif kind == "withdraw":
            self.seat |= {"enrolled": False, "withdrawn": True}
        if kind == "mock" and request["do"] == "seat":
            self.seat = seat(**request["seat"])
        elif kind == "mock" and request["do"] == "say":
            for stream in list(self.open):
                if request.get("summary"):
                    await stream.send(json.dumps(SUMMARY | {"seq": 999_999}))
                await self.fail(stream, request["code"], "as it was asked for", request["close"])
        elif kind == "mock" and request["do"] in ("hang", "wake"):
            (self.awake.clear if request["do"] == "hang" else self.awake.set)()
        elif kind == "mock":
            await self.trouble(request["do"])
        return {"starts": self.starts}

    async def trouble(self, what: str) -> None:
        """Break what is asked to be broken."""
        self.away = what == "stop"
        if what == "forget":
            self.sessions.clear()
        if what != "return":
            for connection in list(self.open):
                connection.transport.abort()

    async def stream(self, connection: ServerConnection) -> None:
        """A stream, from its start or resumed."""
        self.open.add(connection)
        start = json.loads(await connection.recv())
        self.starts.append(start)
        secret = start.get("session")
        if secret and secret not in self.sessions:
            await self.fail(connection, "unknown-session", "that session is not known")
            return
        resumed = secret is not None
        secret = secret or f"secret-{next(self.numbers)}"
        session = self.sessions.setdefault(secret, Session(start["sample_rate"]))
        ready = {
            "type": "ready", "seq": start["resume_from"] - 1 if resumed else 0, "t": 0.0,
            "session": secret, "stream": "5eed0001", "server": "voxwatch mock", "model": MODEL,
            "mode": "verify" if start["claim"] else "identify", "claims": start["claim"],
            "window_s": 3.0, "hop_s": 0.5, "first_s": 1.0, "decide_s": 1.5, "bounds": bounds(),
            "expected_rates": RATES, "limits": LIMITS, "received_bytes": session.bytes,
            "resumed": resumed,
        }  # fmt: skip
        await connection.send(json.dumps(ready))
        for event in session.sent[ready["seq"] :]:
            await connection.send(json.dumps(event))
        async for message in connection:
            if isinstance(message, bytes):
                session.bytes += len(message)
                for event in session.due():
                    await connection.send(json.dumps(event))
            else:
                await self.told(connection, session, json.loads(message))

    async def told(self, connection: ServerConnection, session: Session, message: Json) -> None:
        """Control of a stream."""
        media = session.bytes / (2 * session.rate)
        if message["type"] == "finalize":
            heard = {"t": media, "received_s": media, "speech_s": 0.9 * media}
            told = SUMMARY | heard | {"seq": len(session.sent) + 1}
            await connection.send(json.dumps(told))
            await connection.close()
        else:
            claims = message.get("claim", ["Alice"])
            configured = {
                "type": "configured", "t": media, "mode": "verify" if claims else "identify",
                "claims": claims, "bounds": bounds(message.get("false_accept", 0.01)),
            }  # fmt: skip
            session.sent.append(configured | {"seq": len(session.sent) + 1})
            await connection.send(json.dumps(session.sent[-1]))

    async def monitor(self, connection: ServerConnection, stream: str) -> None:
        """A scene up to its end, and no further."""
        await self.awake.wait()
        joined = JOINED_S.get(stream, 0.0)
        known = [entry(stream, joined)] if stream in SCENES else []
        numbers = itertools.count()

        async def say(event: Json) -> None:
            told = {"seq": next(numbers), "stream": stream} | event
            await connection.send(json.dumps(told))

        await say({"type": "ready", "t": 0.0, "server": "voxwatch mock", "streams": known})
        if known:
            end = SCENES[stream][1]
            for event in sorted(SCENES[stream][2](end), key=lambda e: e["t"]):
                if event["t"] > joined:
                    await say(event)
            sound = [1] * 200 if stream in ("waiting", "mute") else peaks(joined, end)
            await say({"type": "level", "t": end, "step_s": 0.02, "peaks": sound})
        await connection.wait_closed()

    async def enroll(self, connection: ServerConnection) -> None:
        """An enrolment."""
        start = json.loads(await connection.recv())
        self.starts.append(start)
        name, taken = start["name"], 0
        if name in self.profiles and not start["add"]:
            await self.fail(connection, "name-taken", "somebody is enrolled under that name")
            return
        ready = {"type": "ready", "seq": 0, "t": 0.0, "needed_s": NEEDED_S, "min_s": LEAST_S}
        await connection.send(json.dumps(ready))
        async for message in connection:
            if isinstance(message, bytes):
                taken += len(message)
                if (speech := taken / (2 * start["sample_rate"])) >= NEEDED_S:
                    break
                await connection.send(json.dumps(progress(speech, name)))
        if name == "Noise":
            final: Json = {"type": "refused", "code": "noisy", "message": "too noisy"}
        else:
            self.profiles[name] = profile(name, NEEDED_S)
            self.seat |= {"enrolled": True, "withdrawn": False}
            final = {"type": "enrolled", "name": name, "net_speech_s": NEEDED_S, "prototypes": 1,
                     "agreement": 0.8}  # fmt: skip
        await connection.send(json.dumps(final | {"seq": 2, "t": NEEDED_S}))
        await connection.close()

    async def fail(
        self, connection: ServerConnection, code: str, message: str, close: bool = True
    ) -> None:
        """Say why, and close."""
        error = {
            "type": "error",
            "seq": 0 if close else 1_000_000,
            "t": 0.0,
            "code": code,
            "message": message,
        }
        await connection.send(json.dumps(error))
        if close:
            await connection.close(1008)

    def http(self, connection: ServerConnection, request: Request) -> Response | None:
        """The page; ``None`` for a WebSocket."""
        if self.away and "control" not in request.path:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "away\n")
        if request.path == "/mock/reset":
            self.reset()
            return connection.respond(HTTPStatus.OK, "as new\n")
        if request.path.startswith("/v1/"):
            return None
        path = self.dist / (urlsplit(request.path).path.lstrip("/") or "index.html")
        path = path if path.is_file() else path.with_suffix(".html")  # as the server's own pages
        if not path.is_file():
            return connection.respond(HTTPStatus.NOT_FOUND, "nothing here\n")
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        body = path.read_bytes()
        headers = Headers(
            {"Content-Type": kind, "Content-Length": str(len(body)),
             "Content-Security-Policy": POLICY}
        )  # fmt: skip
        return Response(200, "OK", headers, body)


async def main() -> None:
    """Serve until killed; the first line says the port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("dist", type=Path)
    parser.add_argument("--token")
    parser.add_argument("--roles", default="admin,enrol,monitor,stream")
    arguments = parser.parse_args()
    mock = Mock(arguments.dist, arguments.token, arguments.roles.split(","))
    async with serve(mock.serve, "127.0.0.1", arguments.port, process_request=mock.http) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
