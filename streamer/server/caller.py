"""Whoever is at the other end of a connection."""

from __future__ import annotations

from dataclasses import dataclass

from streamer.server.auth import Grant
from streamer.server.limits.shares import Client, counted_by
from streamer.wire.errors import WireError


@dataclass(frozen=True, slots=True)
class Caller:
    """What they may do, and the address that they come from, which goes into no log."""

    grant: Grant
    address: str

    @property
    def client(self) -> Client:
        """By what they are counted: the token first, and then the address."""
        place = counted_by(self.address)
        return (self.grant.who, place) if self.grant.holder else (place,)

    def check_rate(self, asked: float | None, own: float, most: float) -> float:
        """The false accepts to decide by, where the server's own rate is ``own``.

        Raises :class:`WireError` for more than ``most`` and than the token allows.
        """
        most = min(max(own, most), self.grant.false_accept or 1.0)
        if asked is not None and asked > most:
            message = f"false_accept: at most {most:g} may be asked for here (most_false_accept)"
            raise WireError("bad-parameter", message)
        return min(own if asked is None else asked, most)
