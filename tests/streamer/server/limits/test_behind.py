"""Sound that waits unread is told, not too often, and so is the end of it."""

from __future__ import annotations

from streamer.server.limits.behind import AGAIN_S, BEHIND_S, LOOK_S, Behind


def test_it_is_told_again_and_again_and_then_that_it_is_over() -> None:
    behind = Behind()
    assert behind.look(0.0, BEHIND_S / 2) is None
    assert behind.look(1.0, 3.0) == 3.0
    assert behind.look(1.0 + AGAIN_S / 2, 4.0) is None
    assert behind.look(1.0 + AGAIN_S, 5.0) == 5.0
    assert behind.look(9.0, 0.8 * BEHIND_S) is None  # not yet
    assert behind.look(9.5, 0.1 * BEHIND_S) == 0.0
    assert behind.look(10.0, 0.1 * BEHIND_S) is None


def test_looks_are_not_too_many() -> None:
    behind = Behind()
    assert behind.due(0.0)
    assert not behind.due(LOOK_S / 2)
    assert behind.due(LOOK_S)
