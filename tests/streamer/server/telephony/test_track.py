"""The order of a call's messages, and silence for what is lacking, by numbers and time stamps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.server.telephony.opening import Format
from streamer.server.telephony.track import MOST_HELD, SILENCE, Track

MU_LAW = Format("mulaw", 8000)
Message = tuple[int | None, float | None, bytes]
FRAME = 160  # bytes of 20 ms


def frame(number: int) -> bytes:
    return bytes([number % 255]) * FRAME


def fed(track: Track, *messages: Message) -> bytes:
    return b"".join(track.add(*message) for message in messages) + track.flush()


def in_order(count: int, first: int = 1) -> list[tuple[int, float, bytes]]:
    return [(first + n, 20.0 * n, frame(n)) for n in range(count)]


def whole(count: int) -> bytes:
    return b"".join(frame(n) for n in range(count))


@given(st.integers(1, 30), st.integers(0, 1000), st.data())
def test_messages_that_come_a_little_out_of_order_are_put_in_order(
    count: int, first: int, data: st.DataObject
) -> None:
    rest, mixed = in_order(count, first), []
    while rest:
        waiting = sum(message > rest[0] for message in mixed)
        ahead = 0 if not mixed or waiting == MOST_HELD else len(rest) - 1
        mixed.append(rest.pop(data.draw(st.integers(0, ahead))))
    assert fed(Track(MU_LAW), *mixed) == whole(count)


def test_sound_in_order_waits_for_nothing() -> None:
    track = Track(MU_LAW)
    for number, at_ms, sound in in_order(50):
        assert track.add(number, at_ms, sound) == sound
    assert track.flush() == b""


@pytest.mark.parametrize(
    ("sound", "silence"),
    [
        (MU_LAW, b"\xff" * 480),
        (Format("alaw", 8000), b"\xd5" * 480),
        (Format("pcm_s16le", 8000), bytes(960)),
        (Format("pcm_s16le", 8000, channels=2), bytes(1920)),
    ],
)
def test_what_is_lacking_is_as_much_silence(sound: Format, silence: bytes) -> None:
    size = len(silence) // 3
    messages = [(n, 20.0 * n, bytes([n]) * size) for n in range(20) if n not in (7, 8, 9)]
    out = fed(Track(sound), *messages)
    assert out[7 * size : 10 * size] == silence
    assert len(out) == 20 * size


def test_a_number_that_belongs_to_the_other_track_lacks_nothing() -> None:
    both = [(2 * n, 20.0 * n, frame(n)) for n in range(20)]
    out = fed(Track(MU_LAW), *[m for n, at, s in both for m in ((n, at, s), (n + 1, None, b""))])
    assert out == whole(20)


def test_numbers_with_gaps_of_their_own_lose_nothing() -> None:
    """Somebody counts messages that never come here: time stamps say that all is there."""
    assert fed(Track(MU_LAW), *((3 * n, 20.0 * n, frame(n)) for n in range(40))) == whole(40)


def test_numbers_that_stand_still_or_begin_anew_lose_nothing() -> None:
    still = [(0, 20.0 * n, frame(n)) for n in range(10)]
    assert fed(Track(MU_LAW), *still) == whole(10)
    anew = [(n % 5 + 1, 20.0 * n, frame(n)) for n in range(20)]
    assert fed(Track(MU_LAW), *anew) == whole(20)


@pytest.mark.parametrize("numbered", [True, False])
def test_a_jump_of_the_time_stamps_is_a_pause(numbered: bool) -> None:
    """A telephone that sends nothing in silence."""
    messages = [
        (n if numbered else None, 20.0 * n + (1000.0 if n >= 10 else 0.0), frame(n))
        for n in range(20)
    ]
    out = fed(Track(MU_LAW), *messages)
    assert out[10 * FRAME : 10 * FRAME + 8000] == SILENCE["mulaw"] * 8000
    assert len(out) == 20 * FRAME + 8000


@pytest.mark.parametrize(
    "stamps",
    [
        [20.0 * n + (-1) ** n * 60.0 for n in range(60)],  # a clock that jitters
        [160.0 * n for n in range(60)],  # samples instead of milliseconds
        [1.0 * n for n in range(60)],
        [0.0] * 60,
        [None] * 60,
        [20.0 * n + (1e7 if n >= 30 else 0.0) for n in range(60)],  # on hold for three hours
        [20.0 * n - (1e7 if n >= 30 else 0.0) for n in range(60)],
    ],
)
def test_time_stamps_that_say_nothing_add_nothing(stamps: list[float | None]) -> None:
    out = fed(Track(MU_LAW), *((n, at, frame(n)) for n, at in enumerate(stamps)))
    assert out == whole(60)


def test_time_stamps_in_samples_add_nothing_to_long_pieces_either() -> None:
    piece = bytes(800)  # 100 ms, and 800 samples
    out = fed(Track(MU_LAW), *((n, 800.0 * n, piece) for n in range(30)))
    assert len(out) == 30 * len(piece)


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-5, 60),
            st.none() | st.floats(-1e9, 1e9),
            st.binary(max_size=40),
        ),
        max_size=60,
    )
)
def test_whatever_comes_no_sound_is_lost(
    messages: list[tuple[int | None, float | None, bytes]],
) -> None:
    longest = 5000 * 8  # bytes of silence before one piece
    out = fed(Track(MU_LAW), *messages)
    said = sum(len(sound) for _, _, sound in messages)
    assert said <= len(out) + _twice(messages)
    assert len(out) <= said + longest * len(messages)


def _twice(messages: list[Message]) -> int:
    """Bytes of messages whose number waits already: they are told twice, and kept once."""
    return sum(len(sound) for number, _, sound in messages if number is not None)
