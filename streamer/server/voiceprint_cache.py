"""The store's voiceprints, prepared for the scorer and kept until the store changes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Mapping, Sequence

import numpy as np

from engine.scoring.like_voices import like_voices
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from streamer.store.errors import BadName, OtherModel, StoreError, UnknownSpeaker
from streamer.store.profile import Profile, clean_name
from streamer.store.store import Store
from streamer.wire.errors import WireError


class VoiceprintCache:
    """The voiceprints of one model. All methods but :meth:`find` read the disk, so they are called
    in a thread and not on the event loop."""

    def __init__(
        self, store: Store, scorer: CalibratedScorer, model_sha256: str, accept_llr: float
    ) -> None:
        self._store, self._scorer, self._model = store, scorer, model_sha256
        self._accept_llr = accept_llr
        self._lock = threading.Lock()
        self._version: int | None = None
        self.generation = 0  # grows whenever the store was read again
        self._voices: dict[str, PreparedEmbeddings] = {}
        self.profiles: dict[str, Profile] = {}  # of all who can be found

    def refresh(self) -> None:
        """Read the store again if it changed. Raises ``StoreError``."""
        with self._lock:
            version = self._store.version
            if version == self._version:
                return
            now = self._store.now()
            found = self._store.voiceprints(self._model, now)
            self.profiles = {profile.name: profile for profile in self._store.profiles(now)}
            self._voices = {name: print_.prepare(self._scorer) for name, print_ in found.items()}
            self._version = version
            self.generation += 1

    async def find(self, names: Sequence[str]) -> dict[str, PreparedEmbeddings]:
        """Voiceprints of those named, or of everybody. Raises :class:`WireError`."""
        if not names:
            return await asyncio.to_thread(self.everybody)
        return await asyncio.to_thread(self.named, names)

    async def like(self, name: str) -> tuple[str, ...]:
        """Who else could be taken for ``name``; nobody while the store cannot be read."""
        with contextlib.suppress(WireError):
            return await asyncio.to_thread(self._like, name)
        return ()

    def _like(self, name: str) -> tuple[str, ...]:
        others = self.everybody()
        voice = others.pop(name, None)
        if voice is None:  # of another model, or deleted meanwhile
            return ()
        return like_voices(self._scorer, voice, others, self._accept_llr)

    def everybody(self) -> dict[str, PreparedEmbeddings]:
        """Everybody enrolled with this model. Raises :class:`WireError` ``store-failed``."""
        try:
            self.refresh()
        except StoreError as error:
            raise WireError("store-failed", str(error)) from error
        return dict(self._voices)

    def names(self) -> dict[str, str]:
        """Names by reference of everybody enrolled, with whichever model. Raises ``StoreError``."""
        self.refresh()
        known = self.profiles.copy()  # to which another thread may add somebody meanwhile
        return {profile.reference: name for name, profile in known.items()}

    def named(self, names: Sequence[str]) -> dict[str, PreparedEmbeddings]:
        """Those named, by the names they are enrolled under. Raises :class:`WireError`."""
        everybody = self.everybody()
        try:
            cleaned = [clean_name(name) for name in names]
            missing = [name for name in cleaned if name not in everybody]
            now = self._store.now()
            found = self._store.voiceprints(self._model, now, missing)
            for name in missing:  # enrolled since the store was read
                self.profiles[name] = self._store.profile(name, now)
        except (UnknownSpeaker, BadName) as error:
            raise WireError("unknown-speaker", str(error)) from error
        except OtherModel as error:
            raise WireError("unusable-voiceprint", str(error)) from error
        except StoreError as error:
            raise WireError("store-failed", str(error)) from error
        everybody |= {name: print_.prepare(self._scorer) for name, print_ in found.items()}
        return {name: everybody[name] for name in cleaned}


def alike(some: Mapping[str, PreparedEmbeddings], others: Mapping[str, PreparedEmbeddings]) -> bool:
    """Whether both are the same voiceprints: a name may have been given to another voice."""
    return some.keys() == others.keys() and all(
        np.array_equal(prepared.embeddings, others[name].embeddings)
        for name, prepared in some.items()
    )
