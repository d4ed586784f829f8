"""The sound a client has yet to send, or may have to send again. Sans-IO.

Places are counted in bytes from the beginning of the stream.
"""

from __future__ import annotations


class ResendBuffer:
    """Sound from the first byte that the server is not known to have taken.

    Two bounds, in bytes: ``window`` is how much may be under way, sent and not known to be
    taken; ``capacity`` is how much is held at all. Who adds has to wait while there is no
    ``room``: what is held is never dropped.
    """

    def __init__(self, window: int, capacity: int) -> None:
        if not 0 < window <= capacity:
            raise ValueError("the window is at least a byte and at most the capacity")
        self.window, self.capacity = window, capacity
        self.start = 0  # place of the first byte held
        self.sent = 0  # place up to which sound went out on this connection
        self._held = bytearray()

    @property
    def end(self) -> int:
        """Place after the last byte added."""
        return self.start + len(self._held)

    @property
    def held(self) -> bytes:
        """A copy of all that is held, from ``start`` to ``end``."""
        return bytes(self._held)

    @property
    def room(self) -> int:
        """Bytes that can be added."""
        return self.capacity - len(self._held)

    @property
    def all_sent(self) -> bool:
        """Whether everything added has gone out."""
        return self.sent == self.end

    def add(self, data: bytes | memoryview) -> None:
        """Sound to send. Raises ``ValueError`` for more than there is room for."""
        if len(data) > self.room:
            raise ValueError(f"{len(data)} bytes do not fit into {self.room}")
        self._held += data

    def take(self, most: int) -> bytes:
        """The next piece to send, up to ``most`` bytes; empty while the window is shut."""
        stop = min(self.end, self.sent + most, self.start + self.window)
        if stop <= self.sent:
            return b""
        piece = bytes(memoryview(self._held)[self.sent - self.start : stop - self.start])
        self.sent = stop
        return piece

    def taken(self, place: int) -> None:
        """The server has everything before ``place``: it need not be held any longer."""
        place = min(place, self.sent)
        if place > self.start:
            del self._held[: place - self.start]
            self.start = place

    def rewind(self, place: int) -> None:
        """Start again on a new connection, where the server has the sound up to ``place``.

        What follows it is sent again. Raises ``ValueError`` for a place that is not held.
        """
        if not self.start <= place <= self.end:
            raise ValueError(f"{place} is not within {self.start} to {self.end}")
        self.sent = self.end
        self.taken(place)
        self.sent = place
