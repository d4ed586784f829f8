"""Many streams at once, and one for which there is no room."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from streamer.config import Config
from streamer.server.server import Server
from streamer.server.voiceprint_cache import VoiceprintCache
from streamer.wire.errors import WireError


async def test_fifty_streams_at_once_are_told_what_each_is_told_alone(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    sounds = [pcm("anna", 3.0) + pcm("bert", 2.0), pcm("bert", 4.0, seed=3)]

    async def told(number: int) -> list[dict[str, Any]]:
        async with dial(server, claim="anna", live="false") as client:
            await client.sound(sounds[number % 2], 997 + 613 * number)
            await client.say(type="finalize")
            assert await client.rest() == 1000
        return [
            {
                key: round(value, 3) if isinstance(value, float) else value
                for key, value in message.items()
                if key != "at_time"
            }
            for message in client.seen[1:]
            if message["type"] != "lag"  # fifty files at once may be late; what is said is not
        ]

    alone = [await told(0), await told(1)]
    async with asyncio.TaskGroup() as tasks:
        together = [tasks.create_task(told(number)) for number in range(50)]
    for number, task in enumerate(together):
        assert task.result() == alone[number % 2]


async def test_a_file_is_taken_where_there_is_no_room_for_one_more_live_stream(
    server: Server, dial: Any, pcm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has only what live streams leave."""

    async def full() -> None:
        raise WireError("overloaded", "the machine is busy with other streams", retry_s=5.0)

    monkeypatch.setattr(server.streams.admission, "enter", full)
    async with dial(server, live="true") as client:
        assert await client.rest() == 1013
    async with dial(server, live="false") as client:
        await client.sound(pcm("anna", 1.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000


async def test_thirty_files_at_once_lose_no_window(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any, monkeypatch: Any
) -> None:
    """The model is so slow that every stream's whole backlog is in line."""
    sound = pcm("anna", 14.0)
    full = threading.Event()

    async def told(server: Server) -> list[str]:
        async with dial(server, claim="anna", live="false", hop_s=0.25) as client:
            await client.sound(sound, 1 << 16)
            await client.say(type="finalize")
            assert await client.rest() == 1000
            return [message["type"] for message in client.seen]

    async with Server(settings(), drain_s=1.0) as server:
        enrol(server, "anna")
        embed, engine = server.context.engine.backend.embed, server.context.engine

        def slowly(waveforms: Any) -> Any:
            full.wait(0.05)
            return embed(waveforms)

        monkeypatch.setattr(engine.backend, "embed", slowly)
        async with asyncio.TaskGroup() as tasks:
            together = [tasks.create_task(told(server)) for _ in range(30)]
            async with asyncio.timeout(60):
                while engine.stats().queued < 30 * 36 and not engine.stats().failures:
                    await asyncio.sleep(0.01)
            full.set()
        assert engine.stats().failures == 0
    assert all("error" not in task.result() for task in together)


async def test_a_stream_that_could_not_be_opened_takes_no_place(
    server: Server, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def changing(enrolled: VoiceprintCache, names: tuple[str, ...]) -> dict[str, Any]:
        if not names:
            raise WireError("store-failed", "the store cannot be read just now")
        enrolled.generation += 1
        return {}

    monkeypatch.setattr(VoiceprintCache, "find", changing)
    async with dial(server, claim="anna") as client:
        assert await client.rest() == 1011
        assert client.seen[-1]["code"] == "store-failed"
    assert len(server.streams) == 0
