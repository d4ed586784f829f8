"""The clients of `voxwatch bench streams`, against a server that answers by a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from streamer import load
from streamer.load import PIECE_S, Crowd, Load

PIECE = 2 * round(PIECE_S * 16_000)
PIECES = 10  # in the file

Answer = Callable[[ServerConnection, list[bytes]], Awaitable[None]]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A file whose pieces are told apart by their first byte."""
    path = tmp_path / "speech.raw"
    path.write_bytes(b"".join(bytes([number]) * PIECE for number in range(PIECES)))
    return path


@pytest.fixture(autouse=True)
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "SETTLE_S", 0.0)


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


async def crowd_of(url: str, sound: Path, seconds: float, streams: int = 1) -> load.Measured:
    crowd = Crowd(Load(url, sound, seconds))
    await crowd.grow(streams)
    try:
        return await crowd.measure()
    finally:
        await crowd.leave()


async def test_a_delay_is_counted_from_the_last_piece_of_a_scores_window(sound: Path) -> None:
    held_s = 0.05

    async def answer(connection: ServerConnection, pieces: list[bytes]) -> None:
        await asyncio.sleep(held_s)
        ends = len(pieces) * PIECE_S
        await connection.send(compact(type="score", t=ends))
        # Of an earlier window: it comes one piece later than it could have.
        if len(pieces) > 1:
            await connection.send(compact(type="score", t=ends - PIECE_S))

    heard: list[list[bytes]] = []
    async with serving(answer, heard) as url:
        told = await crowd_of(url, sound, 1.5)
    assert told.lost == 0
    assert told.scores >= 2
    assert told.delay_p99_s >= told.delay_p50_s >= held_s
    assert told.delay_p99_s >= held_s + PIECE_S / 2


async def test_each_stream_begins_elsewhere_in_the_sound_and_goes_round(sound: Path) -> None:
    async def answer(connection: ServerConnection, pieces: list[bytes]) -> None:
        pass

    heard: list[list[bytes]] = []
    async with serving(answer, heard) as url:
        told = await crowd_of(url, sound, (PIECES + 2) * PIECE_S, streams=2)
    assert (told.streams, told.scores, told.lost) == (2, 0, 0)
    assert (told.delay_p50_s, told.delay_p99_s) == (0.0, 0.0)
    starts = {pieces[0][0] for pieces in heard}
    assert starts == {0, 7}
    for pieces in heard:
        numbers = np.array([piece[0] for piece in pieces])
        assert {len(piece) for piece in pieces} == {PIECE}
        assert ((numbers[1:] - numbers[:-1]) % PIECES == 1).all()


async def test_lags_are_counted_and_streams_that_the_server_ended(sound: Path) -> None:
    async def answer(connection: ServerConnection, pieces: list[bytes]) -> None:
        if pieces[0][0] == 7:  # the second stream
            await connection.close()
        else:
            await connection.send(compact(type="lag", lost_s=0.5))

    async with serving(answer, []) as url:
        told = await crowd_of(url, sound, 1.0, streams=2)
    assert told.lost == 1
    assert told.lag_events >= 1
