"""The voices that a command without a server compares with: the store's, and those of files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from engine.scoring.scorer import PreparedEmbeddings
from streamer.config import Config
from streamer.local.replay import Replay
from streamer.store.keys import has_store
from streamer.store.profile import clean_name
from streamer.store.store import Store


def names_of(claim: str | None) -> list[str]:
    """The names in a claim, which commas separate, each once, in order."""
    names = [clean_name(name) for name in (claim or "").split(",") if name.strip()]
    return list(dict.fromkeys(names))


def voices(
    replay: Replay,
    config: Config,
    named: Mapping[str, PreparedEmbeddings],
    names: Sequence[str],
) -> dict[str, PreparedEmbeddings]:
    """Voices by name, those ``named`` and the store's: of ``names``, or where there are none
    of everybody enrolled with this model.

    Raises :class:`~engine.errors.VoxwatchError` for a name that neither has.
    """
    known = dict(named)
    lacking = [name for name in names if name not in known] if names else None
    if has_store(config.data_dir) and lacking != []:
        model = replay.bundle.manifest.model_sha256
        with Store.in_folder(config.data_dir, config.database, os.environ) as store:
            found = store.voiceprints(model, store.now(), lacking)
        known = {name: found[name].prepare(replay.scorer) for name in found} | known
    return known
