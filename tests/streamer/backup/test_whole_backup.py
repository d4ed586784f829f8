"""Records, exams and rosters in a backup: of one moment, whole after a kill, and they verify."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from enrolled_people import KEY, NOW, enrol
from killing import run_and_kill
from readable import readable
from recorded import T0, decision, score, started, whole
from sqlalchemy import delete

from streamer.backup.restoration import Restoration
from streamer.backup.snapshot import Snapshot
from streamer.database import writing
from streamer.exams.book import Exams
from streamer.exams.exam import ConsentRow, Entry, Rules
from streamer.exams.opening import open_exams
from streamer.lti.book import Attempt, LtiBook
from streamer.lti.keys import OwnKeys
from streamer.lti.messages import Launch
from streamer.lti.messages import Place as Platform
from streamer.lti.tables import ATTEMPTS
from streamer.records import tables
from streamer.records.book import Book
from streamer.records.entries import Acted
from streamer.records.errors import RecordError
from streamer.records.opening import open_book
from streamer.store import audit
from streamer.store.backup import Restored, back_up, restore
from streamer.store.store import Store

OTHER = KEY[::-1]
BACKUP, RESTORE = (audit.Entry(NOW, "somebody", act) for act in ("backup", "restore"))
ROSTER = [Entry(candidate="4711", name="Ada Lovelace"), Entry(candidate="4712", name="Bea Cleese")]


LAUNCH = Launch(
    kind="LtiStartProctoring",
    place=Platform(issuer="https://lms", client="c", deployment="1", context="", link="link-1"),
    user="user-17",
    name="Ada Lovelace",
    title="Algebra I",
    teacher=False,
    speaking=False,
    attempt=1,
    session="session",
    start_url="https://lms/start",
    return_url="https://lms/back",
    control=None,
    error="",
)


class Place:
    """A data folder with all that is kept, open."""

    def __init__(self, folder: Path, url: str | None = None, key: bytes = KEY) -> None:
        self.folder, self.url, self.key = folder, url, key
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Place:
        enter = self._stack.enter_context
        self.store: Store = enter(Store.open(self.folder, self.key, database=self.url))
        self.exams: Exams = enter(open_exams(self.url, self.folder, self.store))
        self.book: Book = enter(contextlib.closing(open_book(self.url, self.folder, self.key)))
        self.lti = LtiBook(self.book.journal.engine, self.book.journal.secret)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def back_up(self, target: Path) -> Snapshot:
        snapshot = Snapshot(self.exams, self.book)
        back_up(self.store.vault, target, BACKUP, snapshot)
        return snapshot


def brought_back(
    folder: Path, target: Path, url: str | None = None, key: bytes = OTHER
) -> tuple[Restored, Restoration]:
    with Store.open(folder, key, database=url) as store:
        rest = Restoration(url, folder, store, "somebody")
        return restore(store.vault, target, KEY, RESTORE, rest), rest


@pytest.fixture
def here(tmp_path: Path, database_url: str | None) -> Iterator[Place]:
    """Ada is enrolled and sits an exam, Bea was forgotten; one stream is held, one was deleted."""
    with Place(tmp_path / "here", database_url) as place:
        profile = enrol(place.store, "Ada Lovelace")
        exam = place.exams.create("Algebra I", NOW, NOW + 7200, Rules(incident_s=4), NOW)
        ada, bea = place.exams.add(exam.id, ROSTER)
        place.exams.forget(bea, "somebody", NOW)
        consent = ConsentRow(
            person=profile.reference,
            candidate=ada.id,
            text_sha256="5a" * 32,
            text_version="1",
            language="en",
            purpose="an exam",
            term_s=None,
            signer="a link",
            given_at=NOW,
        )
        place.exams.consents.give(consent, "yes")
        one = whole("one", exam=exam.id, candidate=ada.id)
        place.book.journal.write({"one": one, "two": whole("two"), "gone": whole("gone")})
        place.book.act("two", Acted(at=T0 + 9, t=8.0, who="chief", act="hold", text="appeal"))
        place.book.delete("gone", "chief", "asked to", T0 + 10)
        attempt_of(place, exam.id, ada.id)
        OwnKeys(place.lti).signing(NOW)
        yield place


def attempt_of(place: Place, exam: str, candidate: str) -> Attempt:
    """Ada's, sent by a platform."""
    found = place.lti.save(LAUNCH)
    place.lti.sit_in(found.id, exam)
    made = Attempt(
        id="a1", lti_exam=found.id, exam=exam, candidate=candidate, created_at=NOW, launch=LAUNCH
    )
    return place.lti.add(made)


def test_everything_comes_to_another_machine_and_verifies(here: Place, tmp_path: Path) -> None:
    snapshot = here.back_up(tmp_path / "monday")
    assert (snapshot.streams, snapshot.candidates) == (2, 2)
    content = (tmp_path / "monday").read_bytes()
    names = (b"Ada Lovelace", b"Bea Cleese")
    secrets = (KEY, *names, b"looks well", b"appeal", b"user-17", b"PRIVATE KEY")
    assert not readable(secrets, content)
    restored, rest = brought_back(tmp_path / "new", tmp_path / "monday")
    assert (restored.people, rest.streams, rest.candidates) == (1, 2, 2)
    with Place(tmp_path / "new", key=OTHER) as new:
        verified = new.book.verify()
        assert verified.findings == ()
        assert verified.head.key == here.book.verify().head.key
        for stream in ("one", "two"):
            assert new.book.head(stream) == here.book.head(stream)
            assert new.book.history(stream) == here.book.history(stream)
        assert [one.act for one in new.book.register()][-1:] == ["restored"]
        (exam,) = new.exams.exams()
        assert exam == here.exams.exams()[0]
        assert new.exams.roster(exam.id) == here.exams.roster(exam.id)
        ada = new.exams.candidate(exam.id, "4711")
        assert new.exams.consents.of(candidate=ada.id) == here.exams.consents.of(candidate=ada.id)
        # It goes on: with the same secret, in the same register.
        new.book.journal.write({"three": whole("three")})
        new.exams.add(exam.id, [Entry(candidate="4713", name="Cleo")])
    with Place(tmp_path / "new", key=OTHER) as new:
        assert new.book.verify().findings == ()
        assert [one.name for one in new.exams.roster(exam.id)] == ["Ada Lovelace", "", "Cleo"]


def same_lti(new: Place, here: Place) -> None:
    """The platform's exam, the attempt with its launch, and the key that signs."""
    found = new.lti.find(LAUNCH)
    assert found is not None
    assert found == here.lti.find(LAUNCH)
    assert found.launch == LAUNCH
    assert new.lti.exam(found.lti_exam) == here.lti.exam(found.lti_exam)
    assert OwnKeys(new.lti).signing(NOW + 1) == OwnKeys(here.lti).signing(NOW + 1)


@pytest.mark.parametrize("used", [False, True])
def test_lti_comes_to_another_machine_whether_it_was_used_there_or_not(
    here: Place, tmp_path: Path, used: bool
) -> None:
    here.back_up(tmp_path / "monday")
    if used:  # platforms have fetched a key and sent somebody, but nobody was heard
        with Place(tmp_path / "new", key=OTHER) as new:
            OwnKeys(new.lti).signing(NOW)
            attempt_of(new, "0" * 8, "0" * 32)
    brought_back(tmp_path / "new", tmp_path / "monday")
    with Place(tmp_path / "new", key=OTHER) as new:
        assert OwnKeys(new.lti).signing(NOW + 1) == OwnKeys(here.lti).signing(NOW + 1)
        found = new.lti.find(LAUNCH)
        assert found is not None
        assert found.launch == LAUNCH
        (exam,) = new.lti.seen_from(LAUNCH.place)
        assert found.lti_exam == exam.id
        if not used:
            same_lti(new, here)


def test_keys_that_were_given_up_and_launches_of_the_deleted_do_not_come_back(
    here: Place, tmp_path: Path
) -> None:
    here.back_up(tmp_path / "monday")
    newer = OwnKeys(here.lti).rotate(NOW, at_once=True)
    attempt = here.lti.find(LAUNCH)
    assert attempt is not None
    here.exams.forget(here.exams.candidate(attempt.exam, attempt.candidate), "somebody", NOW)
    with here.lti.writing() as connection:
        connection.execute(delete(ATTEMPTS))
    brought_back(here.folder, tmp_path / "monday", here.url, KEY)
    assert [one.id for one in OwnKeys(here.lti).all()] == [newer.id]
    assert here.lti.attempt(attempt.id).launch is None


def test_what_is_newer_stays_and_what_was_deleted_does_not_come_back(
    here: Place, tmp_path: Path
) -> None:
    here.book.journal.write({"three": whole("three")})
    here.back_up(tmp_path / "monday")
    (exam,) = here.exams.exams()
    here.book.journal.write({"four": whole("four")})
    here.book.delete("three", "chief", "asked to", T0 + 20)
    here.exams.forget(here.exams.candidate(exam.id, "4711"), "somebody", NOW)
    here.exams.create("Algebra II", NOW, NOW + 7200, Rules(), NOW)
    with writing(here.book.journal.engine) as connection:  # somebody has damaged the file
        for table in (tables.entries, tables.people, tables.streams):
            connection.execute(delete(table).where(table.c.stream == "one"))
    assert here.book.verify().findings
    restored, rest = brought_back(here.folder, tmp_path / "monday", here.url, KEY)
    assert (restored.people, rest.streams, rest.candidates) == (1, 1, 0)
    assert {one.stream for one in here.book.streams()} == {"one", "two", "four"}
    assert here.book.verify().findings == ()
    assert len(here.exams.exams()) == 2
    assert all(one.forgotten for one in here.exams.roster(exam.id))
    again = brought_back(here.folder, tmp_path / "monday", here.url, KEY)[1]
    assert (again.streams, again.candidates) == (0, 0)


def test_the_state_of_the_backup_is_put_back_whole_and_no_other_line_of_it(
    here: Place, tmp_path: Path
) -> None:
    here.back_up(tmp_path / "monday")
    brought_back(tmp_path / "new", tmp_path / "monday", key=KEY)
    here.book.journal.write({"three": whole("three")})
    here.back_up(tmp_path / "tuesday")
    with pytest.raises(RecordError, match="both went on since"):  # it has noted the restoration
        brought_back(tmp_path / "new", tmp_path / "tuesday", key=KEY)
    with writing(here.book.journal.engine) as connection:
        connection.execute(delete(tables.entries).where(tables.entries.c.stream == "two"))
    assert here.book.verify().findings
    assert brought_back(here.folder, tmp_path / "tuesday", here.url, KEY)[1].streams == 3
    assert here.book.verify().findings == ()


def test_another_record_is_refused_before_anybody_is_replaced(here: Place, tmp_path: Path) -> None:
    here.back_up(tmp_path / "monday")
    with Place(tmp_path / "new") as new:
        enrol(new.store, "Dora")
        new.book.journal.write({"theirs": whole("theirs")})
    with pytest.raises(RecordError, match="--voiceprints-only"):
        brought_back(tmp_path / "new", tmp_path / "monday", key=KEY)
    with Place(tmp_path / "new") as new:
        assert [one.name for one in new.store.profiles(NOW)] == ["Dora"]
        assert [one.stream for one in new.book.streams()] == ["theirs"]
        assert restore(new.store.vault, tmp_path / "monday", KEY, RESTORE).people == 1
        assert new.book.verify().findings == ()


def test_what_was_cut_of_the_register_stays_cut(here: Place, tmp_path: Path) -> None:
    """And a backup from before it brings back nothing of which nobody knows any more."""
    here.back_up(tmp_path / "monday")
    here.book.purge(T0 + 50, T0 + 60)
    assert here.book.shorten_register(T0 + 55, T0 + 70) > 0
    assert brought_back(here.folder, tmp_path / "monday", here.url, KEY)[1].streams == 0
    here.book.act("two", Acted(at=T0 + 80, t=8.0, who="chief", act="release"))
    here.book.purge(T0 + 90, T0 + 90)
    here.back_up(tmp_path / "tuesday")
    assert here.book.shorten_register(T0 + 99, T0 + 99) > 0
    with pytest.raises(RecordError, match="older than what the register still tells"):
        brought_back(here.folder, tmp_path / "monday", here.url, KEY)
    assert here.book.verify().findings == ()
    brought_back(tmp_path / "new", tmp_path / "tuesday", key=KEY)
    here.back_up(tmp_path / "wednesday")
    brought_back(tmp_path / "newer", tmp_path / "wednesday", key=KEY)
    for folder in ("new", "newer"):
        with Place(tmp_path / folder) as new:
            found = new.book.verify()
            assert found.findings == ()
            assert found.restart is not None


def test_a_backup_of_people_alone_leaves_records_as_they_are(here: Place, tmp_path: Path) -> None:
    back_up(here.store.vault, tmp_path / "monday", BACKUP)
    restored, rest = brought_back(here.folder, tmp_path / "monday", here.url, KEY)
    assert (restored.people, rest.streams, rest.candidates) == (1, 0, 0)
    assert len(here.book.streams()) == 2


def test_a_backup_is_of_one_moment_while_a_stream_goes_on(here: Place, tmp_path: Path) -> None:
    stop = threading.Event()
    here.book.journal.write({"live": [started("live")]})

    def speak() -> None:
        second = 1.0
        while not stop.is_set():
            here.book.journal.write({"live": [score(second), decision(second)]})
            second += 1.0

    speaking = threading.Thread(target=speak)
    speaking.start()
    try:
        for number in range(3):
            here.back_up(tmp_path / str(number))
    finally:
        stop.set()
        speaking.join()
    counts = []
    for number in range(3):
        brought_back(tmp_path / f"new-{number}", tmp_path / str(number))
        with Place(tmp_path / f"new-{number}", key=OTHER) as new:
            assert new.book.verify().findings == ()
            counts.append(new.book.head("live").count)
    assert counts == sorted(counts)
    assert here.book.head("live").count > 1


PROGRAM = """
import sys
from itertools import count
from pathlib import Path
from test_whole_backup import KEY, Place, brought_back

folder, target, url = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None
print("ready", flush=True)
for number in count():
    with Place(folder, url) as place:
        place.back_up(target / str(number))
    print(number, flush=True)
    brought_back(target / f"new-{number}", target / str(number))
    print(number, flush=True)
"""


@pytest.mark.parametrize("delay_ms", [5, 60, 200])
def test_kills_leave_whole_backups_and_restore_again(
    here: Place, tmp_path: Path, delay_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", paths)
    run_and_kill(PROGRAM, here.folder, folder, here.url or "", lines=2, delay_s=delay_ms / 1000)
    assert here.book.verify().findings == ()
    backups = [file for file in folder.iterdir() if file.name.isdigit()]
    assert backups
    for target in backups:  # what was begun is finished by restoring again
        restored = brought_back(folder / f"new-{target.name}", target)[0]
        assert restored.people == 1
        with Place(folder / f"new-{target.name}", key=OTHER) as new:
            assert new.book.verify().findings == ()
            assert [one.stream for one in new.book.streams()] == ["one", "two"]
            (exam,) = new.exams.exams()
            assert [one.name for one in new.exams.roster(exam.id)] == ["Ada Lovelace", ""]
            same_lti(new, here)
