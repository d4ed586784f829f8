"""Which frames that wait are joined."""

from __future__ import annotations

import pytest
from websockets.frames import BINARY, TEXT, Frame, Opcode

from streamer.server.incoming import Incoming

FINALIZE = b'{"type": "finalize"}'


async def waiting(*frames: tuple[Opcode, bytes]) -> list[bytes]:
    """The messages that wait once all of these have come."""
    incoming = Incoming(lambda: None, lambda: None)
    for opcode, data in frames:
        incoming.put(Frame(opcode, data, fin=True))
    return [bytes(frame.data) for frame in incoming.frames.queue]


@pytest.mark.parametrize("piece", [b"{", b"}", b"{}", b"{\0\0\0\0\0\0\0", b"\0", b""])
async def test_sound_in_small_messages_is_joined_whatever_its_bytes(piece: bytes) -> None:
    assert await waiting(*[(BINARY, piece)] * 50) == [50 * piece]


@pytest.mark.parametrize("json", [FINALIZE, FINALIZE + b"\n", b'{"":0}'])
async def test_json_in_a_binary_message_stays_by_itself(json: bytes) -> None:
    found = await waiting((BINARY, b"\0\0"), (BINARY, json), (BINARY, b"\1\0"), (BINARY, b"\2\0"))
    assert found == [b"\0\0", json, b"\1\0\2\0"]


async def test_text_is_joined_with_nothing() -> None:
    found = await waiting((BINARY, b"\0\0"), (TEXT, FINALIZE), (BINARY, b"\1\0"))
    assert found == [b"\0\0", FINALIZE, b"\1\0"]
