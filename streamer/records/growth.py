"""How the chain of a stream goes on: entries in; rows, a new end and notes for the register out.

Pure: :mod:`streamer.records.journal` reads where a chain ends and writes what comes of this.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from engine import events
from streamer.records.chain import link, start
from streamer.records.entries import Acted, AnyEntry, Clip, Ended, Started, Terms, Told
from streamer.records.errors import BrokenChain
from streamer.records.register import RegisterAct, RegisterEntry
from streamer.records.signing import Secret, Texts
from streamer.store.seal import BrokenSeal


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream as the table has it: see :mod:`streamer.records.tables`."""

    stream: str
    exam: str | None
    candidate: str | None
    started_at: float
    ended_at: float | None
    held_by: str | None
    text_key: bytes | None
    length: int
    hash: bytes
    signature: bytes

    @classmethod
    def opened(cls, stream: str, first: AnyEntry, secret: Secret) -> StreamRow:
        """A stream without entries; ``first`` is no start where that could not be written."""
        facts = first if isinstance(first, Started) else None
        return cls(
            stream=stream,
            exam=facts.exam if facts else None,
            candidate=facts.candidate if facts else None,
            started_at=first.at,
            ended_at=None,
            held_by=None,
            text_key=secret.new_text_key(stream),
            length=0,
            hash=start(stream),
            signature=b"",
        )

    def columns(self) -> dict[str, Any]:
        """By name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of a stream: its row, the rows of new entries, and whose record it is.

    ``notes`` are for the register.
    """

    row: StreamRow
    entries: list[dict[str, Any]]
    people: frozenset[str]
    notes: tuple[RegisterEntry, ...]


# After these nothing may come for long: where the chain ends is signed, and told to the register.
# While a stream goes on the sum over all streams' ends (`streamer.records.heads`) is signed alone.
PINNED = (Acted, Clip, Ended)
# Acts that the register tells of as well, so that all of them can be read in one place.
REGISTERED: dict[str, RegisterAct] = {
    "viewed": "viewed",
    "exported": "exported",
    "hold": "held",
    "release": "released",
}


def grown(row: StreamRow, entries: Sequence[AnyEntry], secret: Secret) -> Growth:
    """The stream with these entries. Raises :class:`BrokenChain` where its key was changed."""
    acts = [entry for entry in entries if isinstance(entry, Acted)]
    text_key, texts = row.text_key, None
    if any(_typed(entry) for entry in entries):
        # A new key, where the old one was erased, is that of what is typed after the erasure.
        text_key = text_key or secret.new_text_key(row.stream)
        texts = _texts(row.stream, text_key, secret)
    last, rows = row.hash, []
    for number, entry in enumerate(entries, row.length + 1):
        body = encoded(entry, texts)
        last = link(last, number, body)
        rows.append({"stream": row.stream, "number": number, "hash": last, "body": body})
    length = row.length + len(rows)
    pinned = any(isinstance(entry, PINNED) for entry in entries)
    signature = secret.sign(row.stream, length, last).signature if pinned else ""
    ends = [entry.at for entry in entries if isinstance(entry, Ended)]
    holds = [act for act in acts if act.act in ("hold", "release")]
    after = replace(
        row,
        ended_at=ends[-1] if ends else row.ended_at,
        held_by=_holder(holds[-1]) if holds else row.held_by,
        text_key=text_key,
        length=length,
        hash=last,
        signature=bytes.fromhex(signature),
    )
    told = [
        RegisterEntry(
            at=act.at, act=REGISTERED[act.act], stream=row.stream, who=act.who, why=_listened(act)
        )
        for act in acts
        if act.act in REGISTERED
    ]
    notes = (*told, seal(after, entries[-1].at)) if pinned else ()
    return Growth(after, rows, frozenset(people_in(entries)), notes)


def seal(row: StreamRow, at: float) -> RegisterEntry:
    """What the register says of how far a stream has come."""
    return RegisterEntry(
        at=at, act="sealed", stream=row.stream, count=row.length, hash=row.hash.hex()
    )


def people_in(entries: Iterable[AnyEntry]) -> set[str]:
    """References of those whose record this is: who was claimed, who was recognised, whose seat."""
    found: set[str] = set()
    for entry in entries:
        if isinstance(entry, Started) and entry.candidate is not None:
            found.add(entry.candidate)
        if isinstance(entry, Terms):
            found.update(one.speaker for one in entry.voiceprints)
        elif isinstance(entry, Told) and (speaker := _recognised(entry.event)):
            found.add(speaker)
    return found


def encoded(entry: AnyEntry, texts: Texts | None) -> bytes:
    """The entry as it is stored: what people typed is sealed with ``texts``.

    An event is stored without the fields that are as they mostly are.
    """
    if isinstance(entry, Told):
        usual = _defaults(type(entry.event))
        event = msgspec.to_builtins(entry.event)
        told = {name: value for name, value in event.items() if usual.get(name, event) != value}
        return msgspec.json.encode({"kind": "told", "at": entry.at, "t": entry.t, "event": told})
    if (typed := _typed(entry)) is not None:
        assert texts is not None
        name, text = typed
        entry = msgspec.structs.replace(entry, **{name: texts.close(text)})
    return msgspec.json.encode(entry)


@functools.cache
def _defaults(kind: type[events.Event]) -> dict[str, Any]:
    """What the fields of an event are that nobody sets, by name, as JSON has it."""
    fields = msgspec.structs.fields(kind)
    return {
        field.encode_name: msgspec.to_builtins(field.default)
        for field in fields
        if field.default not in (msgspec.NODEFAULT, msgspec.UNSET)
    }


def _listened(act: Acted) -> str:
    return f"sound of incident {act.incident}" if act.act == "viewed" and act.incident else ""


def _holder(act: Acted) -> str | None:
    return act.who if act.act == "hold" else None


def _recognised(event: events.Event) -> str | None:
    if isinstance(event, events.Decision) and event.state == "match":
        return event.speaker
    return None


def _typed(entry: AnyEntry) -> tuple[str, str] | None:
    """The field in which there is something that somebody typed, and what it is."""
    if isinstance(entry, Started) and entry.label:
        return "label", entry.label
    if isinstance(entry, Acted) and entry.text:
        return "text", entry.text
    return None


def _texts(stream: str, text_key: bytes, secret: Secret) -> Texts:
    try:
        return secret.texts(stream, text_key)
    except BrokenSeal as error:
        raise BrokenChain(stream) from error
