"""Runs beside the oldest websockets: a stream, an enrolment refused, a monitor and a request."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.metadata import version
from pathlib import Path

from voxwatch_client import ServerError, connect, control, enroll, messages, monitor, sync


async def main(url: str, sound: str) -> None:
    pcm = Path(sound).read_bytes()
    async with monitor(url) as watched, connect(url, claim="anna") as stream:
        ready = await anext(watched)
        await stream.send(pcm)
        await stream.finalize()
        told = [message async for message in stream]
    states = [one.state for one in told if isinstance(one, messages.Utterance)]
    async with control(url) as asked:
        status = await asked.request("status")
    refused = ""
    try:
        async with enroll(url, "anna", consent=status["consent"]["text_version"]):
            pass
    except ServerError as error:
        refused = error.code
    print(
        json.dumps(
            {
                "websockets": version("websockets"),
                "states": states,
                "refused": refused,
                "watched": isinstance(ready, messages.MonitorReady),
            }
        )
    )


def without_asyncio(url: str) -> None:
    with sync.connect(url, claim="anna") as stream:
        stream.finalize()
        print(json.dumps({"sync": [type(message).__name__ for message in stream]}))


asyncio.run(main(*sys.argv[1:]))
without_asyncio(sys.argv[1])
