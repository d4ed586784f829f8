"""`voxwatch profiles export` gives a person all that is held of them, and nobody else's name."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from enrolled_people import enrol
from recorded_stream import NOON, RecordedStream, taken_over
from typer.testing import CliRunner, Result

from streamer.cli import app
from streamer.edx.book import Attempt, EdxBook
from streamer.edx.payloads import ExamSaved
from streamer.exams.book import Exams
from streamer.exams.errors import ExamError
from streamer.exams.exam import ConsentRow, Entry, Rules
from streamer.exams.opening import open_exams
from streamer.records.book import Book
from streamer.records.entries import Acted, AnyEntry, Clip, Started
from streamer.records.opening import open_book
from streamer.reports import subject_access
from streamer.reports.subject_access import ANOTHER
from streamer.store.errors import UnknownSpeaker
from streamer.store.store import Store

Export = Callable[..., Any]


def claimed(stream: RecordedStream, *references: str, **facts: Any) -> list[AnyEntry]:
    """The stream as it is stored, in which these were claimed."""
    started, *rest = stream.entries
    assert isinstance(started, Started)
    (one,) = started.voiceprints
    held = tuple(msgspec.structs.replace(one, speaker=reference) for reference in references)
    changed = msgspec.structs.replace(started, claims=references, voiceprints=held, **facts)
    return [changed, *rest]


@dataclass(frozen=True)
class Place:
    """A data folder, with its database."""

    folder: Path
    url: str | None

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, Exams, Book]]:
        folder, url = self.folder, self.url
        with Store.in_folder(folder, url, {}) as store, open_exams(url, folder, store) as exams:
            book = open_book(url, folder, store.vault.key, dict)
            try:
                yield store, exams, book
            finally:
                book.close()

    def run(self, *arguments: str) -> Result:
        env = {"VOXWATCH_DATA_DIR": str(self.folder), "VOXWATCH_CONFIG": ""}
        env |= {"VOXWATCH_DATABASE": self.url} if self.url else {}
        result = CliRunner(env=env).invoke(app, list(arguments))
        if result.exception:
            raise result.exception
        return result


@pytest.fixture
def place(tmp_path: Path, database_url: str | None) -> Place:
    """Anna and Bert are enrolled; one stream is of Anna, one of either, one of Bert."""
    place = Place(tmp_path / "data", database_url)
    with place.opened() as (store, exams, book):
        anna, bert = (enrol(store, n, i, now=store.now()) for i, n in enumerate(("Anna", "Bert")))
        exam = exams.create("Biology", NOON, NOON + 7200, Rules(), NOON)
        lines = [
            Entry(candidate="A-1", name="Anna A.", voiceprint="Anna", accommodations=("stutter",)),
            Entry(candidate="A-2", name="Cleo"),
        ]
        first, _ = exams.add(exam.id, lines)
        consent = ConsentRow(
            person=anna.reference,
            candidate=first.id,
            text_sha256="cd" * 32,
            text_version="2026-11",
            language="en",
            purpose="exams",
            term_s=None,
            signer="candidate link",
            given_at=NOON,
        )
        exams.consents.give(consent, "I agree to it.")
        book.journal.write(
            {
                "of-anna": claimed(taken_over(), anna.reference, exam=exam.id, candidate=first.id),
                "of-both": claimed(taken_over(), anna.reference, bert.reference),
                "of-bert": claimed(taken_over(), bert.reference),
            }
        )
        for number, stream in enumerate(("of-anna", "of-bert"), start=1):
            clip = Clip(at=NOON, t=9.0, incident=f"{stream}/1", since=0.0, until=9.0, sha256="ab")
            book.journal.keep_clip(stream, clip, b"sound %d" % number, lambda _: True)
    return place


@pytest.fixture
def export(place: Place) -> Export:
    """What `profiles export` gives."""

    def run(name: str, *options: str) -> Any:
        result = place.run("profiles", "export", name, *options)
        return None if options else json.loads(result.stdout)

    return run


def test_everything_of_the_person_is_there(export: Export) -> None:
    held = export("Anna")
    assert held["prototypes"][0]["embedding"]
    (consent,) = held["consents"]
    assert (consent["text"], consent["signer"]) == ("I agree to it.", "candidate link")
    (place,) = held["exams"]
    assert (place["name"], place["exam"]["name"]) == ("Anna A.", "Biology")
    assert place["accommodations"] == ["stutter"]
    records = {one["stream"]: one for one in held["records"]}
    assert records.keys() == {"of-anna", "of-both"}
    kinds = {entry["kind"] for entry in records["of-anna"]["entries_held"]}
    assert {"started", "told", "scores", "acted", "ended"} <= kinds
    assert records["of-anna"]["head"]["count"] == len(records["of-anna"]["entries_held"])
    assert "export" in {act["act"] for act in held["acts"]}


def test_the_sound_of_their_incidents_is_there_and_nobody_elses(export: Export) -> None:
    sound = {one["stream"]: one["sound"] for one in export("Anna")["records"]}
    assert sound == {
        "of-anna": {"of-anna/1": base64.b64encode(b"sound 1").decode()},
        "of-both": {},
    }


def test_it_is_written_as_the_whole_would_be_and_by_one_record_at_a_time(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = tmp_path / "anna.json", subject_access._record

    def nothing_written_yet(book: Any, stream: str) -> Any:
        written = path.read_text()
        assert ("Biology" in written) == (stream != "of-anna")
        return made(book, stream) | {"padding": "x" * 100_000}  # more than any buffer

    monkeypatch.setattr(subject_access, "_record", nothing_written_yet)
    export("Anna", "--output", str(path))
    text = path.read_text()
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
    assert list(json.loads(text))[-4:] == ["consents", "exams", "records", "acts"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_has_no_record_is_written_as_json_too(export: Export) -> None:
    assert export("A-2")["records"] == []


def test_other_people_are_not_named(export: Export) -> None:
    held = export("Anna")
    (both,) = (one for one in held["records"] if one["stream"] == "of-both")
    assert both["entries_held"][0]["claims"] == ["Anna", ANOTHER]
    assert "Bert" not in json.dumps(held)


def test_that_it_was_exported_is_noted_in_each_record(export: Export) -> None:
    export("Anna")
    (anna, _) = export("Anna")["records"]
    acts = [e for e in anna["entries_held"] if e["kind"] == "acted" and e["act"] == "exported"]
    assert len(acts) == 2
    (bert, _) = export("Bert")["records"]
    first = [e for e in bert["entries_held"] if e["kind"] == "acted" and e["act"] == "exported"]
    assert first


def test_somebody_on_a_roster_without_a_voiceprint_can_ask_too(export: Export) -> None:
    held = export("A-2")
    assert held["prototypes"] == []
    assert [one["name"] for one in held["exams"]] == ["Cleo"]


def test_of_somebody_unknown_there_is_nothing(export: Export) -> None:
    with pytest.raises(UnknownSpeaker):
        export("Dora")


def test_a_number_on_a_roster_gives_the_voiceprint_too(export: Export) -> None:
    held = export("A-1")
    assert (held["name"], len(held["prototypes"])) == ("Anna", 1)


def test_a_number_of_several_people_gives_nobody(place: Place, export: Export) -> None:
    """It begins anew in each exam: who asks must not get what is held of somebody else."""
    with place.opened() as (_, exams, _):
        other = exams.create("Law", NOON, NOON + 7200, Rules(), NOON)
        exams.add(other.id, [Entry(candidate="A-2", name="Dan"), Entry(candidate="Anna", name="E")])
    with pytest.raises(ExamError, match=r"several people: name one of A-2@\w+, A-2@\w+"):
        export("A-2")
    assert [one["name"] for one in export(f"A-2@{other.id}")["exams"]] == ["Dan"]
    assert [one["name"] for one in export("Anna")["exams"]] == ["Anna A."]


def test_who_withdrew_is_given_what_was_done_with_the_voiceprint_of_before(
    place: Place, export: Export
) -> None:
    with place.opened() as (store, _, _):
        store.delete("Anna")
    held = export("A-1")
    assert held["prototypes"] == []
    assert [act["act"] for act in held["acts"]] == ["enrol", "delete"]
    assert {one["stream"] for one in held["records"]} == {"of-anna"}


def test_what_a_platform_knows_of_them_is_there(place: Place, export: Export) -> None:
    with place.opened() as (_, exams, book):
        (line, *_) = exams.everybody()
        edx = EdxBook(book.journal.engine)
        saved = ExamSaved(course_id="c", id=7, exam_name="Biology", time_limit_mins=60)
        of, _ = (edx.save(saved, None), None)
        attempt = Attempt(
            id="a1", edx_exam=of.id, exam=line.exam, candidate=line.id,
            limit_s=60.0, status="submitted", created_at=NOON,
        )  # fmt: skip
        edx.add(attempt)
    (told,) = export("Anna")["exams"][0]["attempts"]
    assert (told["platform"], told["id"], told["status"]) == ("Open edX", "a1", "submitted")
    assert export("A-2")["exams"][0]["attempts"] == []


def test_who_is_on_a_roster_alone_is_deleted_by_command(place: Place, export: Export) -> None:
    with place.opened() as (store, exams, book):
        (line,) = [one for one in exams.everybody() if one.candidate == "A-2"]
        stream = claimed(taken_over(), "f" * 32, exam=line.exam, candidate=line.id)
        book.journal.write({"of-cleo": stream})
        act = Acted(at=NOON, t=9.0, who="desk", act="note", text="Cleo coughs")
        book.act("of-cleo", act)
        assert "Cleo coughs" in str(book.history("of-cleo"))
    assert place.run("profiles", "delete", "A-2", "--yes").stdout.endswith("is deleted\n")
    with pytest.raises(UnknownSpeaker):
        export("A-2")
    with place.opened() as (store, exams, book):
        assert [one.shown for one in exams.everybody() if one.id == line.id] == [
            f"(deleted {line.id[:8]})"
        ]
        assert "Cleo coughs" not in str(book.history("of-cleo"))
        assert [one.act for one in book.register("of-cleo")][-1] == "pseudonymised"
        assert store.profiles(store.now())  # the others


def test_who_is_deleted_by_their_number_has_no_voiceprint_any_more(place: Place) -> None:
    with place.opened() as (store, _, _):
        assert "Anna" in [one.name for one in store.profiles(store.now())]
    assert place.run("profiles", "delete", "A-1", "--yes").stdout.endswith("is deleted\n")
    with place.opened() as (store, exams, _):
        assert "Anna" not in [one.name for one in store.profiles(store.now())]
        assert "Anna" not in [one.shown for one in exams.everybody()]
