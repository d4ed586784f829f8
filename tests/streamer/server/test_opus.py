"""Opus in Ogg and WebM over the socket: the same as PCM, cut anywhere, resumed, refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soxr
from encoded import encoded

from streamer.server.server import Server

CONTAINERS = ["ogg", "webm"]


@pytest.fixture
def opus(voice: Any) -> Callable[..., bytes]:
    """``opus("webm", ("anna", 4.0), ("bert", 4.0))``: those voices one after the other."""

    def make(form: str, *parts: tuple[str, float], seed: int = 0) -> bytes:
        joined = np.concatenate([voice(name, seconds, seed=seed) for name, seconds in parts])
        return encoded(form, "libopus", soxr.resample(joined, 16_000, 48_000))

    return make


def seqs_without_gap(seen: list[dict[str, Any]]) -> bool:
    numbers = [message["seq"] for message in seen]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("form", CONTAINERS)
@pytest.mark.parametrize("piece", [1_000_000, 977])
async def test_the_verdict_is_that_of_pcm(
    server: Server, dial: Any, enrol: Any, pcm: Any, opus: Any, form: str, piece: int
) -> None:
    enrol(server, "anna")
    enrol(server, "bert")
    told = []
    for encoding, data in [("pcm_s16le", pcm("anna", 6.0)), ("opus", opus(form, ("anna", 6.0)))]:
        async with dial(server, claim="anna", encoding=encoding, live="false") as client:
            await client.sound(data, piece)
            await client.say(type="finalize")
            assert await client.rest() == 1000
        assert seqs_without_gap(client.seen)
        told.append(client)
    raw, packed = told
    (one,), (other,) = raw.of("utterance"), packed.of("utterance")
    assert (other["state"], other["speaker"]) == (one["state"], one["speaker"]) == ("match", "anna")
    assert other["start"] == pytest.approx(one["start"], abs=0.1)
    assert other["end"] == pytest.approx(one["end"], abs=0.1)
    assert packed.of("summary")[0]["received_s"] == pytest.approx(6.0, abs=0.03)
    assert not any(
        set(q["problems"]) & {"format-suspect", "rate-suspect", "repeated"}
        for q in packed.of("quality")
    )
    assert packed.of("received")[-1]["received_bytes"] <= len(opus(form, ("anna", 6.0)))
    assert not raw.of("received")


@pytest.mark.parametrize("form", CONTAINERS)
async def test_a_connection_that_breaks_is_resumed_by_bytes(
    server: Server, dial: Any, enrol: Any, opus: Any, form: str
) -> None:
    enrol(server, "anna")
    data = opus(form, ("anna", 6.0))
    async with dial(server, claim="anna", encoding="opus") as client:
        ready = await client.hear()
        await client.sound(data[:20_011], 1_001)
        await client.until("received")
        client.connection.transport.abort()
    seq = client.seen[-1]["seq"]
    async with dial(server, session=ready["session"], resume_from=seq + 1) as again:
        resumed = await again.hear()
        assert resumed["resumed"]
        await again.sound(data[resumed["received_bytes"] :], 1_003)
        await again.say(type="finalize")
        assert await again.rest() == 1000
    assert again.of("summary")[0]["received_s"] == pytest.approx(6.0, abs=0.03)
    assert again.of("utterance")[0]["speaker"] == "anna"
