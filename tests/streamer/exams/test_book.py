"""Exams and rosters at rest: what is kept, what is sealed, and what is gone."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from enrolled_people import KEY, enrol
from readable import readable

from streamer.database import History, migrate, open_database, writing
from streamer.exams.book import GRACE_S, Exams
from streamer.exams.disuse import delete_unused, note_uses
from streamer.exams.errors import BadLink, BadRoster, ExamError, UnknownCandidate, UnknownExam
from streamer.exams.exam import ConsentRow, Entry, Exam, Rules
from streamer.exams.links import make_link
from streamer.exams.opening import RECORDS_FILE, open_exams
from streamer.exams.roster_keys import RosterKeys
from streamer.exams.tables import HISTORY, METADATA
from streamer.store.profile import Consent, clean_name
from streamer.store.store import Store
from tests.streamer.exams.conftest import NOW

ANNA = Entry(candidate="4711", name="Anna Meier", voiceprint="anna", accommodations=("illness",))
BEN = Entry(candidate="4712", name="Ben Ode")


def test_an_exam_is_kept_as_it_was_made(exams: Exams, algebra: Exam) -> None:
    assert exams.exam(algebra.id) == algebra
    assert exams.exams() == [algebra]
    assert algebra.rules.incident_s == 4
    assert exams.end(algebra.id, NOW + 60).ended_at == NOW + 60
    assert exams.end(algebra.id, NOW + 90).ended_at == NOW + 60, "it ends once"


@pytest.mark.parametrize(("name", "length_s"), [("", 60), ("x" * 65, 60), ("A", 0), ("A", 3e6)])
def test_an_exam_that_cannot_be_is_refused(exams: Exams, name: str, length_s: float) -> None:
    with pytest.raises(ExamError):
        exams.create(name, NOW, NOW + length_s, Rules(), NOW)


def test_a_roster_keeps_its_order_and_its_flags(exams: Exams, algebra: Exam) -> None:
    exams.add(algebra.id, [BEN, ANNA])
    ben, anna = exams.roster(algebra.id)
    assert (anna.candidate, anna.name, anna.voiceprint) == ("4711", "Anna Meier", "anna")
    assert anna.accommodations == ("illness",)
    assert ben.voiceprint == f"4712@{algebra.id}", "the number is nobody else's in this exam alone"
    assert exams.candidate(algebra.id, "4711") == exams.candidate(algebra.id, anna.id) == anna


def test_a_line_that_is_given_again_is_changed_and_keeps_its_link(
    exams: Exams, algebra: Exam
) -> None:
    (before,) = exams.add(algebra.id, [ANNA])
    renamed = Entry(candidate="4711", name="Anna Ode")
    (after,) = exams.add(algebra.id, [renamed])
    assert (after.id, after.name, after.accommodations) == (before.id, "Anna Ode", ())
    assert exams.link(after) == exams.link(before)
    assert len(exams.roster(algebra.id)) == 1


def test_numbers_begin_anew_in_every_exam_and_voiceprints_do_too(
    exams: Exams, algebra: Exam
) -> None:
    other = exams.create("Physics", NOW, NOW + 7200, Rules(), NOW)
    numbers = ["1", "x" * 64, "x" * 63 + "y"]
    lines = [Entry(candidate=number, name="N") for number in numbers]
    named = [one.voiceprint for exam in (algebra, other) for one in exams.add(exam.id, lines)]
    assert len(set(named)) == len(named)
    assert all(clean_name(name) == name for name in named)
    (shared,) = exams.add(other.id, [Entry(candidate="2", name="N", voiceprint="anna")])
    assert shared.voiceprint == "anna"
    (renamed,) = exams.add(other.id, [Entry(candidate="2", name="M")])
    assert (renamed.name, renamed.voiceprint) == ("M", "anna"), "it is kept where none is named"


def test_a_roster_is_taken_whole_or_not_at_all(exams: Exams, algebra: Exam) -> None:
    with pytest.raises(BadRoster):
        exams.add(algebra.id, [ANNA, ANNA])
    with pytest.raises(UnknownExam):
        exams.add("0000", [ANNA])
    assert exams.roster(algebra.id) == []
    with pytest.raises(UnknownCandidate):
        exams.candidate(algebra.id, "")


def test_no_name_is_in_the_files(exams: Exams, algebra: Exam, tmp_path: Path) -> None:
    words = ("number-4711", "Anna Meier", "anna-at-home", "illness")
    number, name, voiceprint, illness = words
    line = Entry(candidate=number, name=name, voiceprint=voiceprint, accommodations=(illness,))
    exams.add(algebra.id, [line])
    for path in tmp_path.iterdir():
        assert not readable((word.encode() for word in words), path.read_bytes()), path.name


def test_who_is_forgotten_has_no_name_in_any_copy(
    exams: Exams, algebra: Exam, tmp_path: Path
) -> None:
    anna, ben = exams.add(algebra.id, [ANNA, BEN])
    key = RosterKeys(exams._vault).read().key_of(bytes.fromhex(anna.id))
    assert key is not None
    exams.forget_voiceprint("anna", "test", NOW)
    gone, other = exams.roster(algebra.id)
    assert (gone.id, gone.forgotten, gone.name) == (anna.id, True, "")
    assert gone.shown == f"(deleted {anna.id[:8]})"
    assert other == ben
    assert not any(readable([key], path.read_bytes()) for path in tmp_path.iterdir())
    with pytest.raises(ExamError, match="deleted"):
        exams.link(gone)


def test_a_version_grows_with_every_change(exams: Exams, algebra: Exam, store: Store) -> None:
    other = Exams(exams.engine, store)
    versions = [exams.version]
    exams.add(algebra.id, [ANNA])
    versions.append(other.version)
    exams.end(algebra.id, NOW)
    versions.append(other.version)
    assert versions == sorted(set(versions))


def test_a_link_opens_one_line_until_it_expires(exams: Exams, algebra: Exam) -> None:
    anna, ben = exams.add(algebra.id, [ANNA, BEN])
    token, until = exams.link(anna)
    seat = exams.read(token)
    assert (seat.exam, seat.candidate, seat.link) == (algebra.id, anna.id, 0)
    assert seat.expires_at == until == math.floor(algebra.ends_at + GRACE_S)
    assert exams.link(ben)[0] != token
    assert exams.read(exams.link(exams.renew_link(anna))[0]).link == 1
    exams.end(algebra.id, NOW)
    with pytest.raises(ExamError, match="over"):
        exams.link(anna)


def test_a_link_is_opened_once_and_a_new_one_is_not(exams: Exams, algebra: Exam) -> None:
    anna, ben = exams.add(algebra.id, [ANNA, BEN])
    exams.note_opened(anna, NOW)
    exams.note_opened(anna, NOW + 60)
    assert [one.opened_at for one in exams.roster(algebra.id)] == [NOW, None]
    assert exams.renew_link(anna).opened_at is None
    exams.note_opened(anna, NOW + 90)  # by somebody who has the link of before
    assert [one.opened_at for one in exams.roster(algebra.id)] == [None, None]
    assert ben.opened_at is None


def test_until_when_a_link_holds_is_known_by_the_latest_of_it(exams: Exams, algebra: Exam) -> None:
    anna, _ = exams.add(algebra.id, [ANNA, BEN])
    for given in (NOW + 600.5, NOW + 7200, NOW + 60):
        exams.link(anna, expires_at=given)
    assert [one.link_expires_at for one in exams.roster(algebra.id)] == [NOW + 7200, None]
    renewed = exams.renew_link(anna)
    assert exams.roster(algebra.id)[0].link_expires_at is renewed.link_expires_at is None
    exams.link(anna, expires_at=NOW + 9000)  # of the one before, which holds no more
    assert exams.roster(algebra.id)[0].link_expires_at is None
    _, until = exams.link(renewed)
    assert exams.roster(algebra.id)[0].link_expires_at == until


def test_a_signed_link_of_nobody_is_refused(exams: Exams) -> None:
    with pytest.raises(BadLink):
        exams.read(make_link(KEY, bytes(16), 0, NOW))


def test_a_rotation_keeps_rosters_readable(
    exams: Exams, algebra: Exam, store: Store, tmp_path: Path
) -> None:
    from streamer.store.audit import Entry as Audit
    from streamer.store.rotation import rotate

    before = exams.add(algebra.id, [ANNA, BEN])
    with store.vault.exclusively():
        exams.rewrap(bytes(32))
        assert exams.roster(algebra.id) == before, "until the store is rotated the old key opens"
        rotate(store.vault, Audit(NOW, "test", "rotate"), bytes(32))
    assert exams.roster(algebra.id) == before
    exams.add(algebra.id, [Entry(candidate="3", name="Cleo")])
    with (
        Store.open(store.vault.folder, bytes(32)) as again,
        open_exams(None, tmp_path, again) as opened,
    ):
        assert opened.roster(algebra.id)[:2] == before
    assert not (tmp_path / "roster.keys.next").exists()


def test_a_rotation_that_did_not_happen_leaves_nothing(
    exams: Exams, algebra: Exam, store: Store, tmp_path: Path
) -> None:
    before = exams.add(algebra.id, [ANNA])
    with store.vault.exclusively():
        exams.rewrap(bytes(32))
    exams.add(algebra.id, [BEN])
    assert exams.roster(algebra.id)[:1] == before
    assert not (tmp_path / "roster.keys.next").exists()


def test_a_consent_says_to_what_and_when_it_ended(exams: Exams) -> None:
    row = ConsentRow(
        person="ab" * 16,
        candidate="",
        text_sha256="cd" * 32,
        text_version="2026-11",
        language="en",
        purpose="Algebra I",
        term_s=86_400.0,
        signer="candidate link (1a2b3c4d)",
        given_at=NOW,
    )
    exams.consents.give(row, "the text")
    exams.consents.give(row, "the text")
    assert exams.consents.of(person=bytes.fromhex(row.person)) == [row, row]
    assert exams.consents.text(row.text_sha256) == "the text"
    assert exams.consents.withdraw(bytes.fromhex(row.person), NOW + 5) == 2
    assert {one.withdrawn_at for one in exams.consents.of()} == {NOW + 5}


def test_a_use_is_noted_once_an_hour(exams: Exams) -> None:
    person = bytes(16)
    exams.consents.used([person], NOW)
    exams.consents.used([person], NOW + 60)
    assert exams.consents.last_used() == {person: NOW}
    exams.consents.used([person], NOW + 3601)
    assert exams.consents.last_used() == {person: NOW + 3601}


def test_the_revisions_make_the_tables_that_are_read(exams: Exams) -> None:
    found = sa.inspect(exams.engine)
    for table in METADATA.tables.values():
        columns = {one["name"]: one["nullable"] for one in found.get_columns(table.name)}
        assert columns == {c.name: c.nullable for c in table.columns}, table.name


def test_exams_are_kept_by_postgresql_too(database_url: str | None, store: Store) -> None:
    folder = store.vault.folder
    with open_exams(database_url, folder, store) as opened:
        made = opened.create("Algebra I", NOW, NOW + 60, Rules(), NOW)
        people = opened.add(made.id, [ANNA, BEN])
    with open_exams(database_url, folder, store) as opened:
        assert opened.exams() == [made]
        assert opened.roster(made.id) == people
        opened.consents.used([bytes(16)], NOW)
        assert opened.consents.last_used() == {bytes(16): NOW}


def test_who_sat_an_exam_long_ago_is_forgotten(exams: Exams, algebra: Exam) -> None:
    anna, _ = exams.add(algebra.id, [ANNA, BEN])
    assert exams.forget_over(algebra.ends_at, "expiry", NOW) == 0
    assert exams.forget_over(algebra.ends_at + 1, "expiry", NOW, {anna.id}) == 1
    assert [one.name for one in exams.roster(algebra.id)] == [anna.name, ""]
    assert exams.forget_over(algebra.ends_at + 1, "expiry", NOW) == 1
    assert [one.name for one in exams.roster(algebra.id)] == ["", ""]
    assert exams.forget_over(algebra.ends_at + 1, "expiry", NOW) == 0


def test_a_voiceprint_that_is_not_used_is_deleted_and_others_stay(
    exams: Exams, store: Store
) -> None:
    day = 86_400.0
    for name, seed in (("Anna", 1), ("Bert", 2)):
        enrol(store, name, seed, now=NOW, consent=Consent("2026-11", NOW))
    assert exams.consents.noted_since(NOW + 50 * day) == NOW + 50 * day
    assert delete_unused(store, exams.consents, 30 * day, NOW + 79 * day) == []
    note_uses(store, exams.consents, {"Anna", "somebody"}, NOW + 70 * day)
    assert delete_unused(store, exams.consents, 30 * day, NOW + 81 * day) == ["Bert"]
    assert delete_unused(store, exams.consents, 30 * day, NOW + 99 * day) == []
    assert [one.name for one in store.profiles(NOW + 99 * day)] == ["Anna"]
    assert {act.who for act in store.acts() if act.act == "delete"} == {"disuse"}


def test_consents_of_before_are_none_to_clips(
    database_url: str | None, tmp_path: Path, store: Store
) -> None:
    engine = open_database(database_url, tmp_path, RECORDS_FILE)
    migrate(engine, History(HISTORY.folder, HISTORY.table, "0001", HISTORY.tables))
    person, candidate = bytes.fromhex("ab" * 16), bytes.fromhex("cd" * 16)
    row = {
        "person": person,
        "candidate": candidate,
        "text_sha256": "ef" * 32,
        "text_version": "1",
        "language": "en",
        "purpose": "exam",
        "signer": "candidate link",
        "given_at": NOW,
    }
    with writing(engine) as connection:
        before = sa.table("exam_consents", *map(sa.column, row))
        connection.execute(before.insert().values(row))
    engine.dispose()
    with open_exams(database_url, tmp_path, store) as exams:
        (kept,) = exams.consents.of(person=person)
        assert (kept.text_sha256, kept.clips) == ("ef" * 32, False)
        assert not exams.consents.allow_clips(person, kept.candidate)
        exams.consents.give(msgspec.structs.replace(kept, clips=True), "the text")
        assert exams.consents.allow_clips(person, kept.candidate)
        exams.consents.withdraw(person, NOW + 5)
        assert not exams.consents.allow_clips(person, kept.candidate)
