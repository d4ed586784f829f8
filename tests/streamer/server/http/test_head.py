"""What is a WebSocket is known from as few bytes as can be, whatever pieces they come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.server.http.head import MOST_BYTES, is_websocket

UPGRADES = (
    b"GET /v1/stream HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET / HTTP/1.1\r\nUPGRADE:WebSocket\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nupgrade : h2c, websocket\r\n\r\n",
)
PLAIN = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\n\n",
    b"GET /Upgrade:websocket HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: upgrade: websocket\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nUpgrade: websocket\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
    b"GET\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
    b"\x16\x03\x01",
)


@given(
    head=st.sampled_from([(head, True) for head in UPGRADES] + [(head, False) for head in PLAIN]),
    more=st.binary(max_size=20),
    cuts=st.lists(st.integers(1, 120), max_size=5),
)
def test_any_pieces_come_to_the_same(
    head: tuple[bytes, bool], more: bytes, cuts: list[int]
) -> None:
    came, expected = head
    ends = sorted({min(cut, len(came)) for cut in cuts})
    told = [is_websocket(came[:end]) for end in ends]
    known = [answer for answer in told if answer is not None]
    assert is_websocket(came + more) is expected
    assert known == [expected] * len(known)
    assert told[: len(told) - len(known)] == [None] * (len(told) - len(known))


@pytest.mark.parametrize("start", [b"", b"G", b"GET", b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n"])
def test_it_waits_for_the_end_of_the_head(start: bytes) -> None:
    assert is_websocket(start) is None


def test_a_head_without_an_end_is_no_websocket() -> None:
    endless = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n" + b"a: b\r\n" * MOST_BYTES
    assert is_websocket(endless) is False
