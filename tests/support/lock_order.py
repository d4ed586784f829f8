"""Which lock comes first: the store's, and the transactions of other databases after it.

Whoever writes to exams has the store's lock and then waits for the database of records. A thread
that has a transaction there and waits for the store's lock waits for them, and they for it, until
SQLite gives up after seconds. Each of the two works where it is alone, so that a test finds it by
chance only: here the order itself is looked at.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from streamer.database.sqlite import BEGIN
from streamer.store.vault import Vault


class LockOrder:
    """What waited, or would have, for a store's lock within a transaction of another database."""

    def __init__(self) -> None:
        self.broken: list[str] = []
        self._here = threading.local()

    @property
    def _open(self) -> dict[int, Engine]:
        """The transactions of this thread."""
        found: dict[int, Engine] = self._here.__dict__.setdefault("transactions", {})
        return found

    def begin(self, connection: Connection) -> None:
        real = connection.get_execution_options().get(BEGIN, "BEGIN")
        if real and not connection.engine.url.query.get("immutable"):  # a backup, which has no lock
            self._open[id(connection)] = connection.engine

    def end(self, connection: Connection) -> None:
        self._open.pop(id(connection), None)

    def check(self, vault: Vault) -> None:
        """The store's lock is about to be taken, unless this thread has it."""
        others = [one for one in self._open.values() if one.url != vault.engine.url]
        # Nothing public says whether this thread has an RLock, nor do its types know this.
        if others and not vault._lock._is_owned():  # type: ignore[attr-defined]
            lines = traceback.format_stack(limit=12)
            self.broken.append(f"in a transaction of {others[0].url}:\n{''.join(lines)}")


def watched(order: LockOrder, enter: Callable[[Vault], Any]) -> Callable[[Vault], Any]:
    def entered(vault: Vault) -> Any:
        order.check(vault)
        return enter(vault)

    return entered


@contextlib.contextmanager
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[LockOrder]:
    """All databases and stores of this process, for as long as a test takes."""
    order = LockOrder()
    for name in ("reading", "exclusively"):  # `writing` begins with the latter
        monkeypatch.setattr(Vault, name, watched(order, getattr(Vault, name)))
    listeners = (("begin", order.begin), ("commit", order.end), ("rollback", order.end))
    for when, listener in listeners:
        event.listen(Engine, when, listener)
    try:
        yield order
    finally:
        for when, listener in listeners:
            event.remove(Engine, when, listener)
