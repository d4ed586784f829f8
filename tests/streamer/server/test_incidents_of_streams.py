"""Incidents of real streams: sound through sockets, and what a desk is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.audio.files import read_audio
from engine.format import SAMPLE_RATE_HZ
from engine.serving.stream import Stream
from streamer.config import Config
from streamer.records.incidents.ledger import SEVERITY
from streamer.records.rules import IncidentRules
from streamer.server.server import Server

VOICES = Path(__file__).parents[3] / "scripts" / "demo_voices"
RULES = IncidentRules(silent_s=6.0, noisy_s=15.0, dropped_s=0.3, overlap_s=1.0)
PIECE = 3200  # bytes: 0.1 s


@pytest.fixture
async def desked(
    settings: Callable[..., Config], enrol: Callable[..., None]
) -> AsyncIterator[Server]:
    async with Server(settings(incidents=RULES), drain_s=1.0) as server:
        enrol(server, "anna")
        yield server


def silence(seconds: float, seed: int = 1) -> bytes:
    return noise(seconds, 20.0, seed)


def noise(seconds: float, level: float, seed: int = 1) -> bytes:
    count = round(seconds * SAMPLE_RATE_HZ)
    return (np.random.default_rng(seed).standard_normal(count) * level).astype("<i2").tobytes()


async def incidents(server: Server, dial: Any, sound: bytes, **start: Any) -> list[dict[str, Any]]:
    """Those of a stream, as a desk asks for them once it is over; monitors were told the same."""
    async with (
        dial(server, "/v1/monitor") as monitor,
        dial(server, "/v1/control") as desk,
    ):
        await monitor.until("ready")
        async with dial(server, live="false", **start) as client:
            ready = await client.hear()
            await client.sound(sound)
            await client.say(type="finalize")
            await client.rest()
        await monitor.until("closed")
        found: list[dict[str, Any]] = await desk.ask(type="incidents", stream=ready["stream"])
    last = {one["id"]: one["until"] for one in monitor.of("incident")}
    assert last == {one["id"]: one["until"] for one in found}
    return found


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [one["kind"] for one in found]


async def test_nothing_happens_while_the_right_one_speaks(
    desked: Server, dial: Any, pcm: Any
) -> None:
    assert await incidents(desked, dial, pcm("anna", 20.0), claim="anna") == []


async def test_a_takeover(desked: Server, dial: Any, pcm: Any) -> None:
    sound = pcm("anna", 8.0) + pcm("bert", 12.0)
    (found,) = await incidents(desked, dial, sound, claim="anna")
    assert found["kind"] == "takeover"
    assert 6.0 < found["since"] < 10.0
    assert found["until"] == pytest.approx(20.0, abs=0.1)
    assert found["speech_s"] > 6.0
    assert "in place of the expected one" in found["reason"]
    assert found["until_at"] >= found["since_at"]


async def test_another_voice_that_speaks_in_between(desked: Server, dial: Any, pcm: Any) -> None:
    sound = pcm("anna", 8.0) + silence(1.5) + pcm("bert", 2.5) + silence(1.5, 2)
    found = await incidents(desked, dial, sound + pcm("anna", 8.0, seed=2), claim="anna")
    assert kinds(found) == ["other-voice"]
    assert 9.0 < found[0]["since"] < 10.5
    assert found[0]["until"] < 17.0
    assert 0.05 < found[0]["share"] < 0.4


async def test_somebody_who_was_never_the_expected_one(desked: Server, dial: Any, pcm: Any) -> None:
    (found,) = await incidents(desked, dial, pcm("bert", 14.0), claim="anna")
    assert found["kind"] == "mismatch"
    assert "is not the expected one" in found["reason"]


async def test_silence_though_speech_is_expected(desked: Server, dial: Any, pcm: Any) -> None:
    sound = pcm("anna", 6.0) + silence(14.0)
    (found,) = await incidents(desked, dial, sound + pcm("anna", 4.0, seed=3), claim="anna")
    assert found["kind"] == "silent"
    assert 5.0 < found["since"] < 9.0
    assert 19.0 < found["until"] < 24.0


async def test_noise(desked: Server, dial: Any, pcm: Any) -> None:
    voice = np.frombuffer(pcm("anna", 20.0), "<i2")
    loud = np.frombuffer(noise(20.0, 900.0), "<i2")
    pauses = np.where(np.arange(len(voice)) % (2 * SAMPLE_RATE_HZ) < SAMPLE_RATE_HZ, 0, voice)
    sound = (pauses // 2 + loud).astype("<i2").tobytes()
    found = await incidents(desked, dial, sound, claim="anna")
    assert "noisy" in kinds(found)


async def test_looped_sound(desked: Server, dial: Any, pcm: Any) -> None:
    room = np.frombuffer(noise(5.2, 60.0), "<i2")
    loop = (np.frombuffer(pcm("anna", 5.2), "<i2") + room).astype("<i2").tobytes()
    (found,) = await incidents(desked, dial, loop * 4, claim="anna")
    assert found["kind"] == "tampering"
    assert 5.2 <= found["since"] < 7.0
    assert "5.2 s before" in found["reason"]


async def test_sound_of_another_format(desked: Server, dial: Any, pcm: Any) -> None:
    floats = (np.frombuffer(pcm("anna", 2.5), "<i2") / 32768).astype("<f4").tobytes()
    found = await incidents(desked, dial, floats, claim="anna")
    assert kinds(found) == ["tampering"]
    assert "32-bit floats" in found[0]["reason"]


async def test_sound_of_another_rate(
    desked: Server, dial: Any, pcm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of its own: on a machine that stands still now and then no rate is sure."""
    began = asyncio.get_running_loop().time()
    clock = property(lambda stream: began + stream.conversation.received_s / 3)
    monkeypatch.setattr(Stream, "_clock_s", clock)
    async with dial(desked, "/v1/monitor") as monitor:
        await monitor.until("ready")
        async with dial(desked, claim="anna", live="true") as client:
            await client.sound(pcm("anna", 45.0), PIECE)
            found = await monitor.until("incident", severity=SEVERITY["tampering"])
    assert "declared rate" in found["reason"]


async def test_a_connection_that_drops_and_comes_back(desked: Server, dial: Any, pcm: Any) -> None:
    async with dial(desked, "/v1/monitor") as monitor:
        await monitor.until("ready")
        async with dial(desked, claim="anna") as client:
            ready = await client.hear()
            await client.sound(pcm("anna", 2.0))
            await client.until("vad")
            client.connection.transport.abort()
        dropped = await monitor.until("incident")
        assert (dropped["kind"], dropped["until"]) == ("dropped", None)
        assert "is lost since" in dropped["reason"]
        async with dial(desked, session=ready["session"], resume_from=1):
            back = await monitor.until("incident", id=dropped["id"])
    assert back["until"] is not None
    assert back["until_at"] - back["since_at"] > RULES.dropped_s
    assert back["reason"].startswith("the connection was lost at 0:0")


async def test_two_voices_at_once(settings: Callable[..., Config], dial: Any) -> None:
    anna, ben = (read_audio(VOICES / f"{n}.ogg").waveform[: 12 * 16_000] for n in ("anna", "ben"))
    both = np.where(np.arange(len(anna)) < 4 * SAMPLE_RATE_HZ, anna, (anna + ben) / 2)
    sound = (both * 32767).astype("<i2").tobytes()
    config = settings(incidents=RULES)
    async with Server(
        Config(data_dir=config.data_dir, port=0, threads=1, incidents=RULES), drain_s=1.0
    ) as server:
        found = await incidents(server, dial, sound, claim="")
    assert "overlap" in kinds(found)
    (overlap,) = [one for one in found if one["kind"] == "overlap"]
    assert overlap["since"] > 3.5
    assert "two voices at once" in overlap["reason"]
