"""The client's gate against a real server: verdicts on spans, whatever happens to the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from streamer.cli import app
from streamer.config import Config
from streamer.server.server import Server
from voxwatch_client import ConnectionFailed, ServerError
from voxwatch_client.gate import SpeakerGate
from voxwatch_client.verdicts import GateVerdict
from voxwatch_client.watching import Watch

PIECE = 3200  # bytes: a tenth of a second
SILENCE = bytes(2 * PIECE)


@pytest.fixture
async def server(settings: Callable[..., Config], enrol: Any) -> AsyncIterator[Server]:
    async with Server(settings(), drain_s=0.2) as running:
        enrol(running, "anna")
        yield running


def gate(server: Server, **options: Any) -> SpeakerGate:
    return SpeakerGate(server.url, **{"claim": "anna", "wait_s": 10.0, **options})


async def hear(gate: SpeakerGate, pcm: bytes) -> tuple[float, float]:
    """Give all of it, as a live source does but faster; the span that it fills."""
    since_s = gate.heard_s
    for start in range(0, len(pcm), PIECE):
        gate.hear(pcm[start : start + PIECE])
        await asyncio.sleep(0.005)
    return since_s, gate.heard_s


async def judged(gate: SpeakerGate, since_s: float, until_s: float, **options: Any) -> GateVerdict:
    """The verdict, while the microphone goes on and hears nobody."""
    asking = asyncio.create_task(gate.judge(since_s, until_s, **options))
    while not asking.done():
        gate.hear(SILENCE)
        await asyncio.sleep(0.02)
    return asking.result()


@pytest.mark.parametrize("url", ["nonsense", "tcp://127.0.0.1:8765", "ws://", "127.0.0.1:8765"])
def test_an_address_that_no_server_can_have_is_an_error_and_not_tried_again(url: str) -> None:
    with pytest.raises(ConnectionFailed, match="no address of a server"):
        SpeakerGate(url, claim="anna")
    with pytest.raises(ConnectionFailed, match="no address of a server"):
        Watch(url)
    for command in (["mcp"], ["wyoming", "--upstream", "tcp://127.0.0.1:9"]):
        done = CliRunner().invoke(app, [*command, "--server", url])
        assert isinstance(done.exception, ConnectionFailed)


async def test_each_span_is_judged_by_its_own_speech(server: Server, pcm: Any) -> None:
    async with gate(server) as heard:
        hers = await hear(heard, pcm("anna", 3.0))
        await hear(heard, 10 * SILENCE)
        his = await hear(heard, pcm("bert", 3.0))
        second = await judged(heard, *his)
        first = await judged(heard, *hers)  # asked later, and still of then
    assert (first.state, first.allowed, first.speaker) == ("match", True, "anna")
    assert (second.state, second.allowed) == ("mismatch", False)
    assert second.llr is not None
    assert second.llr < 0


async def test_a_verdict_needs_no_pause_after_the_speech(server: Server, pcm: Any) -> None:
    async with gate(server) as heard:
        span = await hear(heard, pcm("anna", 3.0))
        verdict = await judged(heard, *span)
        assert verdict.state == "match"
        assert verdict.turns[-1].t < span[1] + 0.5  # a turn is over after 0.6 s of silence


async def test_a_span_in_which_two_speak_is_not_let_through(server: Server, pcm: Any) -> None:
    async with gate(server) as heard:
        since_s, _ = await hear(heard, pcm("anna", 3.0))
        await hear(heard, 10 * SILENCE)
        _, until_s = await hear(heard, pcm("bert", 3.0))
        verdict = await judged(heard, since_s, until_s)
    assert (verdict.state, verdict.allowed, len(verdict.turns)) == ("mismatch", False, 2)


@pytest.mark.parametrize(("when_unsure", "allowed"), [("drop", False), ("pass", True)])
async def test_what_nobody_said_is_insufficient(
    server: Server, when_unsure: Any, allowed: bool
) -> None:
    async with gate(server, when_unsure=when_unsure) as heard:
        since_s, until_s = await hear(heard, 5 * SILENCE)
        await hear(heard, 20 * SILENCE)
        verdict = await judged(heard, since_s, until_s)
    assert (verdict.state, verdict.allowed, verdict.turns) == ("insufficient", allowed, ())


@pytest.mark.parametrize(("when_unsure", "allowed"), [("drop", False), ("pass", True)])
async def test_a_server_that_is_away_makes_no_agent_wait_for_ever(
    when_unsure: Any, allowed: bool
) -> None:
    away = SpeakerGate("ws://127.0.0.1:9", claim="anna", wait_s=0.2, when_unsure=when_unsure)
    async with away as heard:
        heard.hear(SILENCE)
        verdict = await heard.judge(0.0)
    assert (verdict.state, verdict.allowed) == ("unavailable", allowed)


async def test_a_restart_in_the_middle_of_a_turn_is_survived(
    settings: Callable[..., Config], enrol: Any, pcm: Any
) -> None:
    async with Server(settings(), drain_s=0.2) as first:
        enrol(first, "anna")
        port = first.port
        heard = await gate(first, wait_s=5.0).__aenter__()
        span = await hear(heard, pcm("anna", 2.0))
    try:
        assert (await judged(heard, *span)).state in ("match", "unavailable")
        while heard.connected:
            await asyncio.sleep(0.01)
        lost = await hear(heard, pcm("anna", 1.0))
        assert (await judged(heard, *lost)).state == "unavailable"
        again = msgspec.structs.replace(settings(), port=port)
        async with Server(again, drain_s=0.2):
            while not heard.connected:
                await asyncio.sleep(0.01)
            span = await hear(heard, pcm("anna", 3.0))
            assert (await judged(heard, *span)).state == "match"
            assert (await judged(heard, *lost)).state == "unavailable"  # nobody has heard it
    finally:
        await heard.__aexit__()


async def test_a_claim_that_cannot_be_is_told_at_once(server: Server) -> None:
    with pytest.raises(ServerError, match="unknown-speaker"):
        async with gate(server, claim="eve"):
            pass


async def test_our_own_loudspeaker_is_no_turn(server: Server, pcm: Any) -> None:
    async with gate(server) as heard:
        since_s, _ = await hear(heard, pcm("anna", 3.0))
        heard.turn()
        heard.mute(True)
        await hear(heard, pcm("bert", 3.0))
        heard.mute(False)
        _, until_s = await hear(heard, 10 * SILENCE)
        verdict = await judged(heard, since_s, until_s)
    assert verdict.state == "match"
    assert [turn.state for turn in verdict.turns if turn.speech_s > 0.4] == ["match"]


async def test_who_speaks_now_is_known_before_the_turn_has_ended(server: Server, pcm: Any) -> None:
    async with gate(server) as heard:
        await hear(heard, pcm("bert", 3.0))
        await hear(heard, 10 * SILENCE)
        await hear(heard, pcm("anna", 3.0))
        async with asyncio.timeout(20):
            while heard.live.state != "match":
                heard.hear(pcm("anna", 0.1))
                await asyncio.sleep(0.01)


async def test_sound_that_the_server_does_not_take_is_not_kept_for_ever(
    server: Server, pcm: Any
) -> None:
    async with gate(server) as heard:
        for _ in range(8):
            heard.hear(pcm("anna", 1.0))  # all in one moment: nothing can go out meanwhile
        assert heard._waiting_bytes <= 7 * 32_000
        assert (await heard.judge(0.0, wait_s=1.0)).state == "unavailable"


async def test_a_turn_of_some_time_ago_is_known_without_waiting_for_the_next_news(
    settings: Callable[..., Config], enrol: Any, pcm: Any
) -> None:
    """In silence the server says something every two seconds only, unless it is asked."""
    async with Server(settings(stall_s=60.0), drain_s=0.2) as server:
        enrol(server, "anna")
        async with gate(server) as heard:
            await hear(heard, pcm("anna", 3.0))
            for _ in range(4):
                await hear(heard, 3 * SILENCE)
                asking = asyncio.create_task(heard.judge_last())
                await hear(heard, 3 * SILENCE)
                assert (await asking).state == "match"


async def test_while_our_own_loudspeaker_speaks_the_last_turn_is_known(
    server: Server, pcm: Any
) -> None:
    async with gate(server) as heard:
        await hear(heard, pcm("anna", 3.0))
        await hear(heard, 10 * SILENCE)
        heard.mute(True)
        await hear(heard, pcm("bert", 2.0))
        asking = asyncio.create_task(heard.judge_last())
        while not asking.done():
            await hear(heard, pcm("bert", 0.1))
        assert asking.result().state == "match"


async def test_a_gate_that_was_left_is_entered_again(server: Server, pcm: Any) -> None:
    heard = gate(server)
    for _ in range(2):
        async with heard:
            span = await hear(heard, pcm("anna", 3.0))
            assert (await judged(heard, *span)).state == "match"


async def test_after_a_restart_it_is_still_muted(
    settings: Callable[..., Config], enrol: Any, pcm: Any
) -> None:
    async with Server(settings(), drain_s=0.2) as first:
        enrol(first, "anna")
        port = first.port
        heard = await gate(first).__aenter__()
        heard.mute(True)
    try:
        while heard.connected:
            await asyncio.sleep(0.01)
        async with Server(msgspec.structs.replace(settings(), port=port), drain_s=0.2):
            while not heard.connected:
                await asyncio.sleep(0.01)
            span = await hear(heard, pcm("bert", 2.0))
            verdict = await judged(heard, *span)
            assert (verdict.state, verdict.turns) == ("insufficient", ())
    finally:
        await heard.__aexit__()
