"""The clients of `voxwatch bench streams`, against a server that answers by a script."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve

from streamer.bench.clients import PIECE_S, Crowd, Load, Measured, Paced

PIECE = 2 * round(PIECE_S * 16_000)
PIECES = 10  # in the file

Answer = Callable[[ServerConnection, list[bytes]], Awaitable[None]]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A file whose pieces are told apart by their first byte."""
    path = tmp_path / "speech.raw"
    path.write_bytes(b"".join(bytes([number]) * PIECE for number in range(PIECES)))
    return path


def compact(**message: object) -> str:
    """As our server writes it."""
    return json.dumps(message, separators=(",", ":"))


@asynccontextmanager
async def serving(answer: Answer, heard: list[list[bytes]]) -> AsyncIterator[str]:
    """A server that is ready at once and calls ``answer`` after every piece of sound."""

    async def handle(connection: ServerConnection) -> None:
        pieces: list[bytes] = []
        heard.append(pieces)
        await connection.send(compact(type="ready"))
        async for message in connection:
            assert isinstance(message, bytes)
            pieces.append(message)
            await answer(connection, pieces)

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def measured(
    url: str, sound: Path, enough: Callable[[Measured], bool], streams: int = 1
) -> Measured:
    """The first half second with enough in it: on a busy machine it may not be the first."""
    crowd = Crowd(Load(url, sound, seconds=0.5, settle_s=0.0))
    try:
        async with asyncio.timeout(60):
            await crowd.grow(streams)
            while not enough(told := await crowd.measure()):
                pass
            return told
    finally:
        await crowd.leave()


async def scores_of(*moments: float) -> AsyncIterator[str]:
    for t in moments:
        yield compact(type="score", t=t)


async def test_a_delay_is_counted_from_the_piece_in_which_a_window_ends() -> None:
    paced = Paced(b"", 0)
    sent = [1000.0, 2000.0, 4000.0]  # when each piece was sent
    paced._sent = sent
    await paced._receive(cast("ClientConnection", scores_of(0.1, 0.15, 0.2, 0.3)))
    assert len(paced.scores) == 4
    for (at, delay, _), begun in zip(paced.scores, [1000.0, 2000.0, 2000.0, 4000.0], strict=True):
        assert at - delay == pytest.approx(begun, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "widened_at", "served_at"),
    [
        ([(1.0, 0.1, 0.5), (1.5, 0.1, 1.0)], 0.0, 1.5),
        ([(1.0, 0.1, 0.5), (2.5, 0.1, 2.0), (3.0, 0.1, 2.5)], 0.0, 3.0),  # a wider hop before
        ([(1.0, 1.5, 0.5), (1.5, 1.5, 1.0), (1.6, 0.9, 1.5)], 0.0, 1.6),  # late before
        ([(1.0, 0.1, 0.5), (1.5, 0.1, 1.0), (2.6, 0.1, 1.5)], 2.0, 2.6),  # widened in between
        ([(1.0, 0.1, 0.5)], 0.0, math.inf),
    ],
)
def test_when_a_stream_has_its_scores(
    scores: list[tuple[float, float, float]], widened_at: float, served_at: float
) -> None:
    paced = Paced(b"", 0)
    paced.scores, paced.widened_at = scores, widened_at
    assert paced.served_at() == served_at


async def test_delays_have_the_servers_time_in_them(sound: Path) -> None:
    held_s = 0.05

    async def answer(connection: ServerConnection, pieces: list[bytes]) -> None:
        await asyncio.sleep(held_s)
        await connection.send(compact(type="score", t=len(pieces) * PIECE_S))

    async with serving(answer, []) as url:
        told = await measured(url, sound, lambda told: told.scores >= 2)
    assert told.lost == 0
    assert told.delay_p99_s >= told.delay_p50_s >= held_s


async def test_each_stream_begins_elsewhere_in_the_sound_and_goes_round(sound: Path) -> None:
    async def answer(connection: ServerConnection, pieces: list[bytes]) -> None:
        pass

    heard: list[list[bytes]] = []

    def round_and_on(told: Measured) -> bool:
        return len(heard) == 2 and min(map(len, heard)) > PIECES + 2

    async with serving(answer, heard) as url:
        told = await measured(url, sound, round_and_on, streams=2)
    assert (told.streams, told.scores, told.lost) == (2, 0, 0)
    assert (told.delay_p50_s, told.delay_p99_s) == (0.0, 0.0)
    assert {pieces[0][0] for pieces in heard} == {0, 7}
    for pieces in heard:
        numbers = np.array([piece[0] for piece in pieces], int)
        assert {len(piece) for piece in pieces} == {PIECE}
        assert ((numbers[1:] - numbers[:-1]) % PIECES == 1).all()


async def test_lags_are_counted_and_streams_that_the_server_ended(sound: Path) -> None:
    async def answer(connection: ServerConnection, pieces: list[bytes]) -> None:
        if pieces[0][0] == 7:  # the second stream
            await connection.close()
        else:
            await connection.send(compact(type="lag", lost_s=0.5))

    async with serving(answer, []) as url:
        told = await measured(url, sound, lambda told: told.lag_events > 0 < told.lost, streams=2)
    assert told.lost == 1
