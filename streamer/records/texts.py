"""Entries as people read them, with names and texts in their places, as far as they are there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import msgspec

from streamer.records.entries import Acted, AnyEntry, Started, entry_from
from streamer.records.errors import RecordError
from streamer.records.references import named
from streamer.records.signing import Texts
from streamer.store.seal import BrokenSeal

ERASED = "(erased)"  # a text whose key is gone, or was changed


@contextlib.contextmanager
def readable(stream: str) -> Iterator[None]:
    """Raise :class:`RecordError` for an entry that was changed into what is none."""
    try:
        yield
    except msgspec.MsgspecError as error:
        why = "an entry cannot be read: `voxwatch records verify` says which"
        raise RecordError(f"the record of stream {stream}: {why}") from error


def read_entry(body: bytes, texts: Texts | None, names: Mapping[str, str]) -> AnyEntry:
    """An entry with names and texts in their places."""
    entry = entry_from(named(body, names))
    if isinstance(entry, Started) and entry.label:
        return msgspec.structs.replace(entry, label=read_text(entry.label, texts))
    if isinstance(entry, Acted) and entry.text:
        return msgspec.structs.replace(entry, text=read_text(entry.text, texts))
    return entry


def read_text(sealed: str, texts: Texts | None) -> str:
    try:
        return ERASED if texts is None else texts.open(sealed)
    except BrokenSeal:
        return ERASED
