"""What a caller changed while the stream runs, until the server has confirmed it. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streamer.client.opening import given
from streamer.wire.requests import Configure


class Settings:
    """All changes that are not confirmed, as one request, which each new connection is told."""

    def __init__(self) -> None:
        self._pending: Configure | None = None
        self._unconfirmed = 0
        self._told = True  # on this connection

    def change(
        self, claim: str | Sequence[str] | None, false_accept: float | None, miss: float | None
    ) -> None:
        """Add a change; what is None stays as it is."""
        named = claim if claim is None or isinstance(claim, str) else list(claim)
        new = Configure(claim=named, false_accept=false_accept, miss=miss)
        before = given(self._pending) if self._pending else {}
        self._pending = msgspec.convert({**before, **given(new)}, Configure)
        self._unconfirmed += 1
        self._told = False

    def confirm(self) -> None:
        """Note that the server says that a change holds."""
        self._unconfirmed = max(0, self._unconfirmed - 1)
        if not self._unconfirmed:
            self._pending = None

    def connected(self) -> None:
        """Note a new connection, which knows nothing of what was not confirmed."""
        self._told = self._pending is None

    def take(self) -> Configure | None:
        """What this connection has to be told now; None where it knows."""
        if self._told:
            return None
        self._told = True
        return self._pending
