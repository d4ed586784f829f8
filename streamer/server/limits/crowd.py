"""Who is connected: strangers, who have shown nothing yet, and members, who may do something.

Strangers have a small share of their own, so that they never take a member's place. When it is
full, the stranger that came first from the address with the most of them is cut off, and not the
one that comes: a health check, or a client with a token in its request, is a stranger for some
milliseconds only, and has got its answer before its turn comes.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from streamer.server.limits.shares import Client, Shares, counted_by


class Guest(Protocol):
    """A socket of the server."""

    def cut_off(self) -> None:
        """Close it at once, without a word."""


class Crowd:
    """Everybody that is connected, and the bytes that the server holds for each.

    At most ``strangers`` are strangers and ``members`` members. With more than ``held_bytes`` held
    for all, whoever holds the most is cut off. ``cut`` counts those that were, by the reason.
    """

    def __init__(self, *, strangers: int, members: int, held_bytes: int) -> None:
        self._most, self._most_held = strangers, held_bytes
        self._places = Shares(members)
        self._strangers: dict[Guest, str] = {}  # their addresses, in the order in which they came
        self._addresses: Counter[str] = Counter()
        self._members: dict[Guest, Client] = {}
        self._held: dict[Guest, int] = {}
        self.held = 0
        self.left_since = self.peak = 0  # who has left, and the most held, since they were read
        self.cut: Counter[str] = Counter()

    @property
    def members(self) -> int:
        """How many have shown that they may do something."""
        return len(self._members)

    @property
    def strangers(self) -> int:
        """How many have not."""
        return len(self._strangers)

    def came(self, guest: Guest, address: str) -> None:
        """Somebody has connected."""
        address = counted_by(address)
        self._held[guest] = 0
        self._strangers[guest] = address
        self._addresses[address] += 1
        while len(self._strangers) > self._most:
            busiest = max(self._strangers.values(), key=self._addresses.__getitem__)
            self._cut(next(g for g, a in self._strangers.items() if a == busiest), "strangers")

    def joined(self, guest: Guest, client: Client) -> bool:
        """A stranger has shown that it may do something. Whether there is a place for it."""
        if guest not in self._strangers:
            return guest in self._members
        if not self._places.take(client):
            return False
        self._forget_stranger(guest)
        self._members[guest] = client
        return True

    def left(self, guest: Guest) -> None:
        """Somebody is gone. Idempotent."""
        self._forget_stranger(guest)
        if (client := self._members.pop(guest, None)) is not None:
            self._places.give_back(client)
        self.held -= self._held.pop(guest, 0)
        self.left_since += 1

    def holds(self, guest: Guest, size: int) -> None:
        """So many bytes of its messages wait in the server's memory now."""
        if guest not in self._held:
            return
        self.held += size - self._held[guest]
        self._held[guest] = size
        self.peak = max(self.peak, self.held)
        if self.held > self._most_held:
            self._cut(max(self._held, key=self._held.__getitem__), "memory")

    def _cut(self, guest: Guest, why: str) -> None:
        self.cut[why] += 1
        self.left(guest)
        guest.cut_off()

    def _forget_stranger(self, guest: Guest) -> None:
        address = self._strangers.pop(guest, None)
        if address is not None:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
