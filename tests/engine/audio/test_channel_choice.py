"""Which channel of a microphone is listened to."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio.channel_choice import ChannelChoice

RATE, BLOCK = 16_000, 320
Int16 = NDArray[np.int16]


def tones(*levels: float, seconds: float = 2.0) -> Int16:
    """``(N, channels)``: the same tone on each channel, at these levels."""
    tone = np.sin(np.arange(round(seconds * RATE)) / 5)
    return np.round(32767 * np.stack([level * tone for level in levels], axis=1)).astype(np.int16)


def heard(choice: ChannelChoice, sound: Int16) -> list[int]:
    """The channel in use after each block."""
    found = []
    for start in range(0, len(sound), BLOCK):
        block = sound[start : start + BLOCK]
        taken = choice.take(block)
        np.testing.assert_array_equal(taken, block[:, choice.chosen])
        found.append(choice.chosen)
    return found


@pytest.mark.parametrize(
    ("levels", "chosen"),
    [
        ((0.3, 0.3), 0),  # as loud: the first
        ((0.3, 0.4), 0),  # a little louder
        ((0.1, 0.5), 1),
        ((0.0, 0.01), 1),  # nothing is plugged into the first
        ((0.0, 0.0, 0.2, 0.0), 2),
        ((0.3, -0.3), 0),  # of opposite phase
        ((0.0, 0.0), 0),
    ],
)
def test_the_louder_channel_is_heard(levels: tuple[float, ...], chosen: int) -> None:
    assert heard(ChannelChoice(len(levels), RATE), tones(*levels))[-1] == chosen


def test_a_voice_between_two_channels_does_not_move_the_choice() -> None:
    choice = ChannelChoice(2, RATE)
    sound = np.concatenate([tones(0.3, 0.2), tones(0.2, 0.35), tones(0.3, 0.25)])
    assert set(heard(choice, sound)) == {0}


def test_a_channel_that_goes_dead_is_left_and_not_for_its_noise() -> None:
    choice = ChannelChoice(2, RATE)
    sound = np.concatenate([tones(0.3, 0.05), tones(0.0, 0.2, seconds=3.0), tones(0.0, 1e-5)])
    chosen = heard(choice, sound)
    assert chosen[99] == 0
    assert chosen[-1] == 1
    assert np.count_nonzero(np.diff(chosen)) == 1


def test_an_empty_block_changes_nothing() -> None:
    choice = ChannelChoice(3, RATE)
    assert choice.take(np.zeros((0, 3), np.int16)).shape == (0,)
    assert choice.chosen == 0
