"""The re-send buffer: whatever was sent, lost and sent again, the server gets every byte once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwatch_client.resend import ResendBuffer


@given(
    st.binary(max_size=300),
    st.integers(1, 20),
    st.integers(0, 60),
    st.lists(st.tuples(st.sampled_from(["add", "take", "tell", "drop"]), st.integers(0, 40))),
)
def test_every_byte_arrives_once_and_in_order(
    sound: bytes, window: int, more: int, steps: list[tuple[str, int]]
) -> None:
    buffer, added, arrived = ResendBuffer(window, window + more), 0, b""
    for step, amount in steps:
        if step == "add":
            count = min(amount, buffer.room, len(sound) - added)
            buffer.add(sound[added : added + count])
            added += count
        elif step == "take":
            arrived += buffer.take(amount)
        elif step == "tell":
            buffer.taken(max(0, len(arrived) - amount))
        else:  # what was under way is lost, at most back to what is known to be taken
            arrived = arrived[: max(buffer.start, len(arrived) - amount)]
            buffer.rewind(len(arrived))
        assert arrived == sound[: len(arrived)]
        assert buffer.sent - buffer.start <= window
        assert buffer.end - buffer.start <= buffer.capacity
        assert buffer.end == added


def test_the_window_shuts_until_sound_is_taken() -> None:
    buffer = ResendBuffer(window=4, capacity=10)
    buffer.add(b"0123456789")
    assert buffer.room == 0
    assert buffer.take(3) == b"012"
    assert buffer.take(3) == b"3"
    assert buffer.take(3) == b""
    assert not buffer.all_sent
    buffer.taken(2)
    assert buffer.room == 2
    assert buffer.take(9) == b"45"


def test_nothing_is_let_go_before_it_was_sent() -> None:
    buffer = ResendBuffer(4, 10)
    buffer.add(b"abcdef")
    buffer.take(2)
    buffer.taken(5)
    assert buffer.start == 2


def test_what_does_not_fit_or_is_not_held_is_refused() -> None:
    buffer = ResendBuffer(2, 3)
    with pytest.raises(ValueError, match="4 bytes do not fit into 3"):
        buffer.add(b"1234")
    buffer.add(b"123")
    buffer.take(2)
    buffer.taken(1)
    for place in (0, 4):
        with pytest.raises(ValueError, match="not within 1 to 3"):
            buffer.rewind(place)
    with pytest.raises(ValueError, match="capacity"):
        ResendBuffer(3, 2)
