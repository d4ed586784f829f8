"""The time by which a store goes: `streamer.store.clock`, remembered in the database."""

from __future__ import annotations

import contextlib
import threading
import time

import msgspec

from streamer.store import clock
from streamer.store.errors import StoreError
from streamer.store.vault import Vault

_NOTES: msgspec.json.Decoder[clock.Witness] = msgspec.json.Decoder(clock.Witness)


class StoreClock:
    """One for each open store. Any thread may ask it."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lock = threading.Lock()
        self._witness: clock.Witness | None = None
        self._noted: clock.Witness | None = None

    def now(self) -> float:
        """The time that is believed, in seconds since 1970."""
        with self._lock:
            try:
                if self._witness is None:
                    self._witness = self._noted = self._remembered()
            except StoreError:
                return time.time()  # nothing is deleted from a store that cannot be read
            now, self._witness = clock.judge(self._witness, clock.read())
            if _matters(self._noted, self._witness):
                self._note(self._witness)
            return now

    @property
    def doubted(self) -> bool:
        """Whether the time of day was set, and has not gone on for long enough since."""
        self.now()
        return self._witness is not None and self._witness.doubted is not None

    def _remembered(self) -> clock.Witness | None:
        with self._vault.reading():
            said = self._vault.about().clock
        return None if said is None else _NOTES.decode(said)

    def _note(self, witness: clock.Witness) -> None:
        # Where the store takes nothing just now, it is noted when it is next asked.
        with contextlib.suppress(StoreError), self._vault.exclusively():
            with self._vault.transaction():
                self._vault.say(clock=msgspec.json.encode(witness).decode())
            self._noted = witness


def _matters(noted: clock.Witness | None, witness: clock.Witness) -> bool:
    """Whether the next process has to know."""
    if noted is None or noted.doubted_since_s != witness.doubted_since_s:
        return True
    new, old = witness.believed, noted.believed
    return new.start != old.start or new.wall_s - old.wall_s >= clock.NOTED_S
