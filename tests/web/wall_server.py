"""A server that speaks of an exam from a script.

`python wall_server.py PORT DIST [--candidates N] [--rate R] [--token TOKEN]`. The wall sees 30
candidates: one taken over, one with somebody beside them, one silent, and the rest fine; R events
a second tell of them.
`{"type": "mock", "do": "incident", "place": 3, "what": "takeover"}` lets something happen,
`{"type": "mock", "do": "withdraw", "place": 3}` has somebody take their consent back,
`{"type": "mock", "do": "drop"}` cuts the monitors, `{"type": "mock", "do": "erase"}` erases
what the record has of sound.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
from mock_server import Mock
from scenes import score
from wall_scenes import EXAM, SECOND_EXAM, SINCE_S, Candidates, stream_of
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from streamer.records.sound import CLIP_SAMPLES, ogg_of

Json = dict[str, Any]

PAGE = 500  # entries of a record in one answer
TICK_S = 0.05
CLIP = re.compile(r"/v1/records/[0-9a-f]{8}/clips/\d+\.ogg")
TONE = ogg_of((8000 * np.sin(np.arange(CLIP_SAMPLES) * 0.17)).astype(np.int16))


class WallMock(Mock):
    """The state of the server."""

    def __init__(self, dist: Path, many: int, token: str | None) -> None:
        self.many = many
        super().__init__(dist, token, ["monitor"])

    def reset(self) -> None:
        super().reset()
        self.candidates = Candidates(self.many, time.time())
        self.monitors: dict[ServerConnection, itertools.count[int]] = {}
        self.erased = False

    async def answer(self, kind: str, request: Json, known: bool) -> Any:
        candidates = self.candidates
        if kind == "status":
            return await super().answer(kind, request, known) | {"record": {"written": 1}}
        if kind == "exam-list":
            exams = ((EXAM, "Medicine II, oral"), (SECOND_EXAM, "Law I, oral"))
            return [{"exam": exam, "name": name, "starts_at": 0.0} for exam, name in exams]
        if kind == "exam-show":
            return {"roster": candidates.roster() if request["exam"] == EXAM else []}
        if kind == "recorded":
            return candidates.recorded() if request["exam"] == EXAM else []
        if kind == "incidents":
            return [one for one in candidates.incidents.values() if wanted(one, request)]
        if kind == "history":
            entries = candidates.history(request["stream"])[request["after"] :]
            after = request["after"] + len(entries[:PAGE])
            page = {"entries": entries[:PAGE], "after": after, "more": len(entries) > PAGE}
            told = candidates.history(request["stream"])
            clips = [one["incident"] for one in told if one["kind"] == "clip"]
            return page | {"clips": [] if self.erased else clips}
        if kind == "act":
            return await self.acted(request)
        if kind == "mock" and request["do"] == "incident":
            return await self.happen(request)
        if kind == "mock" and request["do"] == "withdraw":
            candidates.withdrawn.add(request["place"])
            closed = {"type": "closed", "code": 1008, "stream": stream_of(request["place"])}
            return await self.publish(closed)
        if kind == "mock" and request["do"] == "erase":
            self.erased = True
            return {}
        return await super().answer(kind, request, known)

    async def acted(self, request: Json) -> Json:
        """Note what somebody did, and tell the monitors."""
        acted, incident = self.candidates.act(request)
        await self.publish(acted | {"type": "act", "stream": request["stream"]})
        if incident:
            await self.publish(incident)
        return acted

    async def happen(self, request: Json) -> Json:
        """An incident of the moment."""
        told = {
            "kind": request["what"], "since": SINCE_S, "until": None, "evidence": -5.0,
            "voice": "voice-2", "speech_s": 3.0, "share": None, "reason": "another voice began",
        }  # fmt: skip
        incident = self.candidates.happen(request["place"], told)
        incident["since_at"] = time.time()
        await self.publish(incident)
        return incident

    async def trouble(self, what: str) -> None:
        for connection in list(self.monitors):
            connection.transport.abort()
        await super().trouble(what)

    async def publish(self, event: Json) -> None:
        """To all monitors."""
        if not self.awake.is_set():
            return
        for connection, numbers in list(self.monitors.items()):
            with suppress(ConnectionClosed):
                await connection.send(json.dumps({"seq": next(numbers), "t": SINCE_S} | event))

    def http(self, connection: ServerConnection, request: Request) -> Response | None:
        """The page, and the sound of incidents."""
        if not CLIP.fullmatch(request.path):
            return super().http(connection, request)
        if self.erased:
            return connection.respond(HTTPStatus.NOT_FOUND, "no sound\n")
        headers = Headers({"Content-Type": "audio/ogg", "Content-Length": str(len(TONE))})
        return Response(200, "OK", headers, TONE)

    async def monitor(self, connection: ServerConnection, stream: str) -> None:
        await self.awake.wait()
        streams = self.candidates.entries()
        ready = {"type": "ready", "seq": 0, "t": 0.0, "server": "voxwatch mock", "streams": streams}
        await connection.send(json.dumps(ready))
        self.monitors[connection] = itertools.count(1)
        try:
            await connection.wait_closed()
        finally:
            self.monitors.pop(connection, None)


def wanted(incident: Json, request: Json) -> bool:
    """Whether it is of the stream or the exam that is asked for."""
    return all(request.get(name, incident[name]) == incident[name] for name in ("stream", "exam"))


async def chatter(mock: WallMock, rate: float) -> None:
    """Candidates are scored, begin and end to speak, as long as the server runs."""
    for tick in itertools.count():
        for turn in range(int(tick * rate * TICK_S), int((tick + 1) * rate * TICK_S)):
            event: Json = {"stream": stream_of(7 * turn % mock.candidates.present)}
            if turn % 4:
                event |= score(SINCE_S, "somebody", 5.0)
            else:
                event |= {"type": "vad", "speech": turn % 8 == 0, "at": SINCE_S}
            await mock.publish(event)
        await asyncio.sleep(TICK_S)


async def main() -> None:
    """Serve until killed; the first line says the port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("dist", type=Path)
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--token")
    parser.add_argument("--rate", type=float, default=10.0)
    arguments = parser.parse_args()
    mock = WallMock(arguments.dist, arguments.candidates, arguments.token)
    async with (
        asyncio.TaskGroup() as tasks,
        serve(mock.serve, "127.0.0.1", arguments.port, process_request=mock.http) as server,
    ):
        tasks.create_task(chatter(mock, arguments.rate))
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
