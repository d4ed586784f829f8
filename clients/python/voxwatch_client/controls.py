"""What a caller asks for while the stream runs, and where in the sound. Sans-IO.

Places are counted in bytes from the beginning of the stream, as in :mod:`voxwatch_client.resend`.
"""

from __future__ import annotations

import msgspec

from voxwatch_client.messages import Configure, Mute, Reset, Turn
from voxwatch_client.opening import given

Control = Configure | Turn | Reset | Mute


class Controls:
    """Controls that the server is not known to have taken, in order.

    Each is sent when the sound before its place has gone out, and sent again on a new connection
    unless the server has taken sound that came after it: none of them does anything by being
    said twice at one place. Of each kind one is held at a place, so that they are bounded by the
    sound that is held.
    """

    def __init__(self) -> None:
        self._asked: list[tuple[int, Control]] = []
        self._told = 0  # how many of them this connection has been told

    @property
    def next_place(self) -> int | None:
        """Where the next one that is to be sent belongs; None where there is none."""
        return self._asked[self._told][0] if self._told < len(self._asked) else None

    def add(self, place: int, control: Control) -> None:
        """Ask for something from ``place`` on, which is not before the places of those before."""
        for i, (where, earlier) in enumerate(self._asked):
            if where == place and type(earlier) is type(control):
                del self._asked[i]
                self._told -= i < self._told
                control = _together(earlier, control)
                break
        self._asked.append((place, control))

    def take(self, place: int) -> Control | None:
        """The next one to send on this connection, which has been sent the sound to ``place``."""
        if self.next_place is None or self.next_place > place:
            return None
        self._told += 1
        return self._asked[self._told - 1][1]

    def taken(self, place: int) -> None:
        """The server has the sound before ``place``, and with it what was asked before that."""
        gone = sum(where < place for where, _ in self._asked)
        del self._asked[:gone]
        self._told = max(0, self._told - gone)

    def connected(self) -> None:
        """Note a new connection, which has been told nothing."""
        self._told = 0


def _together(earlier: Control, later: Control) -> Control:
    """One control that does what both do."""
    if isinstance(earlier, Configure):
        return msgspec.convert({**given(earlier), **given(later)}, Configure)
    return later
