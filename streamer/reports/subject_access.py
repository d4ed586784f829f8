"""All that is held of a person: voiceprint, consents, rosters, records with sound, who saw them.

It is for that person (GDPR, article 15): whoever else stands in their records is told as somebody
else. It blocks.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from streamer.exams.book import Exams
from streamer.exams.exam import Candidate, ConsentRow
from streamer.exams.named import lines_called, lines_of
from streamer.records.book import Book, StreamFacts
from streamer.records.entries import Acted, AnyEntry, Clip
from streamer.records.errors import UnknownClip
from streamer.records.references import deleted
from streamer.reports.attempts import attempts_of
from streamer.store.errors import UnknownSpeaker
from streamer.store.store import Store

RECORDS = '\n  "records": []'  # a line's end stands in no text, so that this is found once
ANOTHER = "somebody else"
NOTED = "all that is held of a person"  # what the record says that was exported


def held_of(name: str, store: Store, exams: Exams, book: Book, who: str) -> Iterator[str]:
    """Everything of who is enrolled under ``name``, or known by it on a roster; JSON in pieces.

    Of the records one is in memory at a time. That it was exported is noted in the store and in
    each record, before this returns. Raises
    :class:`~streamer.store.errors.UnknownSpeaker` for somebody of whom there is nothing, and
    :class:`~streamer.exams.errors.ExamError` where several people are called so.
    """
    now = store.now()
    name, lines = who_is_called(name, store, exams)
    kept: dict[str, Any] = {"name": name, "prototypes": []}
    reference = ""
    with contextlib.suppress(UnknownSpeaker):
        reference = store.profile(name, now).reference
        kept = store.export(name, now, who=who)
    own = {reference: kept["name"]} if reference else {}
    own |= {line.id: line.shown for line in lines}
    streams = _streams(book, own)
    for facts in streams:
        act = Acted(at=now, t=book.last_t(facts.stream), who=who, act="exported", text=NOTED)
        book.act(facts.stream, act)
    consents = _consents(exams, reference, lines)
    # Voiceprints of before are told by their number: whoever withdrew and enrolled anew had one.
    called = {kept["name"], *(deleted(row["person"]) for row in consents)}
    around = kept | {
        "consents": consents,
        "exams": [_place(exams, book, line) for line in lines],
        "records": [],
        "acts": [_act(act) for act in store.acts() if act.person in called],
    }
    return _pieces(around, _told_to(book, own), streams)


def who_is_called(name: str, store: Store, exams: Exams) -> tuple[str, list[Candidate]]:
    """The name that somebody is or would be enrolled under, and their lines on rosters.

    Raises :class:`~streamer.store.errors.UnknownSpeaker` where that is nobody, and
    :class:`~streamer.exams.errors.ExamError` where it is several people.
    """
    everybody = exams.everybody()
    try:
        enrolled = store.profile(name, store.now()).name
    except UnknownSpeaker:
        if not (lines := lines_called(everybody, name)):
            raise
        return lines[0].voiceprint, lines
    return enrolled, lines_of(everybody, enrolled)


def _pieces(around: Any, book: Book, streams: Sequence[StreamFacts]) -> Iterator[str]:
    before, _, after = _json(around).partition(RECORDS)
    yield before + RECORDS.removesuffix("]")
    for number, facts in enumerate(streams):
        record = _json(_record(book, facts.stream)).replace("\n", "\n    ")
        yield f"{',' if number else ''}\n    {record}"
    yield ("\n  ]" if streams else "]") + after


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2)


def _streams(book: Book, references: Mapping[str, str]) -> list[StreamFacts]:
    """Streams in which one of these was claimed, recognised, or sat as a candidate; each once."""
    found = {facts.stream: facts for one in references for facts in book.streams(person=one)}
    return sorted(found.values(), key=_began)


def _began(facts: StreamFacts) -> tuple[float, str]:
    return facts.started_at, facts.stream


class _Own(dict[str, str]):
    """Names by reference for one reader: their own, and nobody else's."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, ANOTHER)


def _told_to(book: Book, own: Mapping[str, str]) -> Book:
    """The same record, as the person may read it."""
    names = _Own(own)
    return Book(book.journal, lambda: names)


def _record(book: Book, stream: str) -> dict[str, Any]:
    head, entries = book.head(stream), book.history(stream)
    facts: dict[str, Any] = msgspec.to_builtins(book.facts(stream))
    return facts | {
        "entries_held": msgspec.to_builtins(entries),
        "sound": dict(_sound(book, stream, entries)),
        "head": msgspec.to_builtins(head),
        "register": msgspec.to_builtins(book.register(stream)),
    }


def _sound(book: Book, stream: str, entries: Iterable[AnyEntry]) -> Iterator[tuple[str, str]]:
    """The sound of incidents, Ogg Opus in base64, by the incident."""
    for entry in entries:
        if isinstance(entry, Clip):
            with contextlib.suppress(UnknownClip):  # erased
                ogg = book.clip(stream, entry.incident)
                yield entry.incident, base64.b64encode(ogg).decode()


def _consents(exams: Exams, reference: str, lines: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Each once, with the text that was agreed to."""
    rows: list[ConsentRow] = []
    if reference:
        rows += exams.consents.of(person=bytes.fromhex(reference))
    for line in lines:
        rows += [row for row in exams.consents.of(candidate=line.id) if row not in rows]
    return [msgspec.to_builtins(r) | {"text": exams.consents.text(r.text_sha256)} for r in rows]


def _place(exams: Exams, book: Book, line: Candidate) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(line)
    attempts = attempts_of(line.id, book.journal.engine, book.journal.secret)
    return told | {"exam": msgspec.to_builtins(exams.exam(line.exam)), "attempts": list(attempts)}


def _act(act: Any) -> dict[str, Any]:
    return {"at": act.at, "who": act.who, "act": act.act, "detail": act.detail}
