"""Reports of what really lies in a record, an exam and a store; and `voxwatch report`."""

# Long: every test reads the one record, exam and store that the fixtures make.

from __future__ import annotations

import errno
import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from enrolled_people import enrol
from recorded_stream import NOON, seated, taken_over, undisturbed
from typer.testing import CliRunner, Result

from streamer.cli import app
from streamer.exams.exam import ConsentRow, Entry, Exam, Rules
from streamer.exams.opening import open_exams
from streamer.records.book import Book
from streamer.records.entries import Acted, Clip
from streamer.records.errors import UnknownStream
from streamer.records.opening import open_book
from streamer.records.register import RegisterEntry
from streamer.records.tables import clips, entries, people, streams
from streamer.reports import words
from streamer.reports.clips import DeletedClips
from streamer.reports.exam_report import ExamReport, line_of
from streamer.reports.forms.exam_page import exam_page
from streamer.reports.forms.page import page
from streamer.reports.forms.writing import NO_PDF
from streamer.reports.library import Asked, Library, Subject
from streamer.reports.report import ClipDeletion, Report
from streamer.reports.signing import signed, with_signature
from streamer.store.errors import StoreError
from streamer.store.store import Store

ASKED = Asked("token desk (1a2b3c4d)", NOON + 3600, UTC)
Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def exam(folder: Path) -> Exam:
    """Anna, who was taken over, Bert, who was not, and Carla, who never came."""
    with Store.in_folder(folder, None, {}) as store, open_exams(None, folder, store) as exams:
        made = exams.create("Biology", NOON, NOON + 7200, Rules(), NOON)
        anna = enrol(store, "anna@x", 1, now=store.now())
        lines = [
            Entry(candidate="A-1", name="Anna", voiceprint="anna@x", accommodations=("illness",)),
            Entry(candidate="A-2", name="Bert"),
            Entry(candidate="A-3", name="=Carla"),
        ]
        first, second, _ = exams.add(made.id, lines)
        consent = ConsentRow(
            person=anna.reference,
            candidate=first.id,
            text_sha256="cd" * 32,
            text_version="2026-11",
            language="en",
            purpose="exams",
            term_s=86_400.0 * 30,
            signer="candidate link",
            given_at=NOON - 30 * 86400 - 5,
        )
        exams.consents.give(consent, "I agree.")
        book = open_book(None, folder, store.vault.key, dict)
        batch = {
            "s-1": seated(taken_over(), anna.reference, made.id, first.id),
            "s-2": seated(undisturbed(), anna.reference, made.id, second.id),
        }
        book.journal.write(batch)
        book.close()
    return made


@pytest.fixture
def library(folder: Path, exam: Exam) -> Iterator[Library]:
    with Store.in_folder(folder, None, {}) as store, open_exams(None, folder, store) as exams:

        def names() -> dict[str, str]:
            return {one.reference: one.name for one in store.profiles(store.now())}

        book = open_book(None, folder, store.vault.key, names)
        yield Library(book, exams, names)
        book.close()


def whole(library: Library, exam: Exam) -> ExamReport:
    """The exam with all reports at once, as its JSON has it."""
    found = library.exam(exam.id, ASKED)
    candidates = tuple(found.candidates())
    cover = msgspec.structs.asdict(found.cover)
    problems = found.register_problems()
    told = {"proof": found.proof(), "register_problems": problems}
    return ExamReport(**cover, candidates=candidates, **told)


def test_a_stream_is_told_with_its_candidate_and_exam(library: Library, exam: Exam) -> None:
    found = library.stream("s-1", ASKED)
    assert (found.candidate, found.candidate_reference) == ("Anna", "A-1")
    assert found.accommodations == ("illness",)
    assert found.exam is not None
    assert found.exam.name == "Biology"
    assert found.verdict is not None
    takeover = next(one for one in found.incidents if one.kind == "takeover")
    assert takeover.since == 60.0
    assert takeover.title == "Another voice took over"
    (claim,) = found.sessions[0].claims
    assert claim.question == "Is it Anna?"
    assert claim.enrolments[0].name == "anna@x", "what the voiceprint is called is told there"
    said = [*found.sessions[0].segments, *found.sessions[0].turns]
    assert {one.speaker for one in said} <= {"Anna", "voice-2", None}
    assert "Anna" in {one.speaker for one in said}


def test_the_consent_is_told_in_full(library: Library) -> None:
    found = library.stream("s-1", ASKED)
    kept = found.sessions[0].claims[0].enrolments[0].consent
    assert kept is not None
    assert (kept.text_sha256, kept.term) == ("cd" * 32, "for 30 days")
    assert found.consent == kept


def test_the_head_is_that_of_the_record(library: Library) -> None:
    chain = library.stream("s-2", ASKED).sessions[0].chain
    head = library.book.head("s-2")
    assert chain is not None
    assert (chain.count, chain.head, chain.signature) == (head.count, head.hash, head.signature)
    assert chain.problems == ()


def test_the_head_of_a_report_is_held_to_the_record(folder: Path, library: Library) -> None:
    chain = library.stream("s-2", ASKED).sessions[0].chain
    assert chain is not None
    library.note_export(Subject(stream="s-2"), ASKED, "pdf")  # the record goes on

    def verified(head: str) -> Result:
        env = {"VOXWATCH_DATA_DIR": str(folder), "VOXWATCH_CONFIG": ""}
        return CliRunner(env=env).invoke(app, ["records", "verify", "s-2", "--head", head])

    assert verified(f"{chain.count}:{chain.head}").exit_code == 0
    assert verified(f"{chain.count}:{chain.head[:16]}").exit_code == 0
    for wrong in (f"{chain.count - 1}:{chain.head}", f"{chain.count}:{'0' * 64}"):
        done = verified(wrong)
        assert done.exit_code == 1
        assert "heads that this record had: 0 of 1" in done.stdout
    assert verified("7").exit_code == 2


def test_a_record_that_was_changed_is_told(library: Library, exam: Exam) -> None:
    entry = sa.and_(entries.c.stream == "s-2", entries.c.number == 2)
    with library.book.journal.engine.begin() as connection:
        body = connection.scalar(sa.select(entries.c.body).where(entry))
        other = bytes(body).replace(b"match it is", b"match is it")
        connection.execute(sa.update(entries).where(entry).values(body=other))
    chain = library.stream("s-2", ASKED).sessions[0].chain
    assert chain is not None
    assert "entry 2: it was changed" in chain.problems[0]
    (anna, bert, _) = whole(library, exam).candidates
    assert anna.sessions[0].chain is not None
    assert anna.sessions[0].chain.problems == ()
    assert "Not whole: " in page(bert)
    assert bert.sessions


def test_a_stream_that_was_removed_is_told_in_the_report_of_its_exam(
    library: Library, exam: Exam
) -> None:
    with library.book.journal.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for table in (streams, people, entries):
            connection.execute(sa.delete(table).where(table.c.stream == "s-1"))
    found = whole(library, exam)
    removed = "stream s-1: its whole record was removed"
    assert removed in found.register_problems
    assert removed in exam_page(found, [], found.proof, found.register_problems)
    anna, bert, carla = (library.candidate(exam.id, f"A-{n}", ASKED) for n in (1, 2, 3))
    assert removed in anna.record_problems
    assert f"Not whole: {removed}" in page(anna)
    assert "Not whole: see" in page(anna)
    assert not any(removed in problem for problem in bert.record_problems)
    assert [one for one in found.candidates if removed in one.record_problems] == [
        msgspec.structs.replace(anna, made_at=found.made_at)
    ]
    assert not any(removed in problem for problem in carla.record_problems)
    # The sum of ends is told to all: by each session, and where there is none by the report.
    assert carla.record_problems
    assert bert.sessions[0].chain is not None
    assert any("the register: the ends" in one for one in bert.sessions[0].chain.problems)


def test_an_exam_has_everybody_on_its_roster(library: Library, exam: Exam) -> None:
    found = whole(library, exam)
    assert [one.candidate for one in found.candidates] == ["Anna", "Bert", "=Carla"]
    assert [len(one.sessions) for one in found.candidates] == [1, 1, 0]
    said = exam_page(found, [line_of(one) for one in found.candidates], found.proof, ())
    assert "not yet; planned for 2026-11-28 12:00:00 UTC" in said
    assert "a mismatch of 5.0 s of speech" in said


def test_an_exam_says_by_what_it_was_judged_and_how_to_check_it(
    library: Library, exam: Exam
) -> None:
    found = whole(library, exam)
    (judged,) = found.proof.judged_by
    assert (judged.sessions, judged.model.sha256) == (2, "ab" * 32)
    assert judged.bounds is not None
    assert found.proof.verify[1].startswith(f"voxwatch records verify --exam {exam.id} --head ")
    register = library.book.verify().head
    assert (found.proof.register.count, found.proof.register.head) == (
        register.count,
        register.hash,
    )
    assert found.proof.register.problems == ()
    heads = [
        chain.head for line in map(line_of, found.candidates) for _, chain in line.chains if chain
    ]
    assert heads == [library.book.head(stream).hash for stream in ("s-1", "s-2")]


def keep_clip(library: Library, stream: str, incident: str = "") -> str:
    """Sound of an incident, or of the stream's first one, which is given."""
    incident = incident or library.book.incidents(stream)[0].id
    clip = Clip(at=NOON + 70, t=70.0, incident=incident, since=55.0, until=65.0, sha256="12" * 32)
    assert library.book.journal.keep_clip(stream, clip, b"sound", lambda _: True)
    return incident


def told_of_sound(library: Library) -> tuple[ClipDeletion | None, str]:
    """What the report of the first stream says of its clip, as data and on its page."""
    found = library.stream("s-1", ASKED)
    (one,) = [one for one in found.incidents if one.clip_sha256]
    return one.clip_deleted, page(found)


def test_sound_that_is_there_is_kept(library: Library) -> None:
    keep_clip(library, "s-1")
    gone, said = told_of_sound(library)
    assert gone is None
    assert "Sound is kept, sha256 1212" in said
    assert "deleted since" not in said


@pytest.mark.parametrize("how", ["taken back", "deleted"])
def test_sound_that_was_deleted_is_told_with_when_and_why(library: Library, how: str) -> None:
    keep_clip(library, "s-1")
    candidate = library.book.facts("s-1").candidate
    assert candidate is not None
    if how == "taken back":
        library.book.silence([candidate], "link of candidate A-1", NOON + 100)
        who, why = "link of candidate A-1", "consent to clips was taken back"
    else:
        library.book.forget(candidate, "pseudonymise", "the server", NOON + 100)
        who, why = "the server", "a person was deleted"
    at = datetime.fromtimestamp(NOON + 100, UTC)
    gone, said = told_of_sound(library)
    assert gone == ClipDeletion(at=at, who=who, why=why)
    assert f"Sound was deleted {words.moment(at)} by {who}: {why}, sha256 1212" in said
    assert "of 1 clip 1 deleted since" in said
    assert "Sound is kept" not in said


def test_the_register_is_read_once_though_several_streams_lack_sound(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is erased while the report is made is told all the same."""
    book, deleted, read = library.book, DeletedClips(library.book), list[int]()
    erasures = Book.erasures

    def counted(book: Book, after: int = 0) -> tuple[list[RegisterEntry], int]:
        read.append(after)
        return erasures(book, after)

    def told(stream: str) -> ClipDeletion:
        (one,) = deleted.of(stream, book.history(stream), UTC).values()
        return one

    monkeypatch.setattr(Book, "erasures", counted)
    for number, stream in enumerate(("s-1", "s-2"), start=1):
        keep_clip(library, stream, "1")
        assert deleted.of(stream, book.history(stream), UTC) == {}
        candidate = book.facts(stream).candidate
        assert candidate is not None
        book.silence([candidate], f"desk {number}", NOON + 100)
        assert [told(stream).who for _ in range(2)] == [f"desk {number}"] * 2
    first, second = (n for n, one in enumerate(book.register(), 1) if one.act == "silenced")
    assert read[0] == 0
    assert read[1] >= first
    assert read[-1] >= second


def test_sound_of_which_nothing_says_that_it_was_deleted_is_lacking(library: Library) -> None:
    keep_clip(library, "s-1")
    with library.book.journal.writing() as connection:
        connection.execute(clips.delete())
    gone, said = told_of_sound(library)
    assert gone == ClipDeletion()
    assert "Sound was kept and is lacking; the record does not say when or why" in said


def test_a_candidate_has_all_their_streams_in_one_report(library: Library, exam: Exam) -> None:
    second = taken_over(stream="s-3")
    candidate = library.candidate(exam.id, "A-1", ASKED)
    reference = library.book.facts("s-1").candidate
    assert reference is not None
    library.book.journal.write({"s-3": seated(second, "x", exam.id, reference)})
    both = library.candidate(exam.id, "A-1", ASKED)
    assert (len(candidate.sessions), len(both.sessions)) == (1, 2)
    assert both.speech_s == 2 * candidate.speech_s


def test_who_takes_a_report_is_noted_in_the_record(library: Library, exam: Exam) -> None:
    library.note_export(Subject(exam=exam.id, candidate="A-2"), ASKED, "pdf")

    def exports(stream: str) -> list[str]:
        acts = [e for e in library.book.history(stream) if isinstance(e, Acted)]
        return [act.who for act in acts if act.act == "exported"]

    assert exports("s-2") == [ASKED.who]
    assert exports("s-1") == []
    told = [(note.stream, note.who) for note in library.book.register() if note.act == "exported"]
    assert told == [("s-2", ASKED.who)]
    assert library.book.verify().findings == ()


def test_whoever_else_writes_waits_for_one_transaction_of_a_report(
    library: Library, exam: Exam
) -> None:
    begun: list[str | None] = []
    sa.event.listen(library.book.journal.engine, "begin", lambda one: begun.append(_how(one)))
    library.note_export(Subject(exam=exam.id), ASKED, "zip")
    assert len({note.stream for note in library.book.register() if note.act == "exported"}) > 1
    assert begun.count("BEGIN IMMEDIATE") == 1


def _how(connection: sa.Connection) -> str | None:
    return connection.get_execution_options().get("voxwatch_begin", "BEGIN IMMEDIATE")


def test_somebody_who_was_deleted_is_told_by_a_number(
    folder: Path, exam: Exam, library: Library
) -> None:
    with Store.in_folder(folder, None, {}) as store:
        store.delete("anna@x")
    found = library.stream("s-1", ASKED)
    assert found.sessions[0].claims[0].enrolments[0].name.startswith("(deleted ")


def test_a_stream_that_is_not_recorded_has_no_report(library: Library) -> None:
    with pytest.raises(UnknownStream):
        library.stream("nowhere", ASKED)


@pytest.fixture
def run(folder: Path, exam: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        env = {"VOXWATCH_DATA_DIR": str(folder), "VOXWATCH_CONFIG": "", "COLUMNS": "200"}
        result = CliRunner(env=env).invoke(app, ["report", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def test_the_command_writes_all_forms_into_one_zip(run: Run, tmp_path: Path) -> None:
    done = run("s-1")
    (path,) = tmp_path.glob("*.zip")
    assert path.name == "voxwatch_Biology_Anna_A-1_2026-11-28.zip"
    assert path.name in done.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    names = zipfile.ZipFile(path).namelist()
    assert {Path(name).suffix for name in names} == {".html", ".pdf", ".json", ".csv"}


@pytest.mark.parametrize("form", ["html", "json", "csv", "pdf"])
def test_the_ending_of_the_file_is_the_form(run: Run, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"r.{form}"
    run("s-2", "--output", str(path), "--zone", "Europe/Berlin")
    content = path.read_bytes()
    begins = {"html": b"<!doctype", "pdf": b"%PDF", "json": b"{", "csv": "\ufeff".encode()}
    assert content.startswith(begins[form])
    if form == "json":
        assert msgspec.json.decode(content, type=Report).zone == "Europe/Berlin"
        assert json.loads(content)["sessions"][0]["began_at"] == "2026-11-28T11:00:00+01:00"


def test_the_command_reports_an_exam_and_one_of_its_candidates(
    run: Run, tmp_path: Path, exam: Exam
) -> None:
    run("--exam", exam.id, "--output", str(tmp_path / "e.json"))
    found = msgspec.json.decode((tmp_path / "e.json").read_bytes(), type=ExamReport)
    assert len(found.candidates) == 3
    run("--exam", exam.id, "--candidate", "A-2", "--output", str(tmp_path / "b.json"))
    one = msgspec.json.decode((tmp_path / "b.json").read_bytes(), type=Report)
    assert one.candidate == "Bert"
    run("--exam", exam.id, "--output", str(tmp_path / "e.csv"))
    assert "'=Carla" in (tmp_path / "e.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a stream, or an exam"),
        (("s-1", "--exam", "x"), "name a stream, or an exam"),
        (("s-1", "--candidate", "A-1"), "--candidate is of an exam"),
        (("s-1", "--output", "r.docx"), "--output ends in one of .html"),
    ],
)
def test_wrong_usage_is_told(run: Run, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_an_unknown_zone_is_told(run: Run) -> None:
    from streamer.reports.zones import UnknownZone

    with pytest.raises(UnknownZone, match="no time zone 'Mars/Base'"):
        run("s-1", "--zone", "Mars/Base")


def test_without_weasyprint_a_pdf_is_refused_and_a_zip_has_the_rest(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamer.reports.forms.pdf import NoPdf

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoPdf, match=r"pip install 'voxwatch\[reports\]'"):
        run("s-1", "--output", "r.pdf")
    done = run("s-1", "--output", "r.zip")
    assert "voxwatch[reports]" in done.output
    file = zipfile.ZipFile(io.BytesIO((tmp_path / "r.zip").read_bytes()))
    assert NO_PDF in file.namelist()


def test_the_json_of_an_exam_is_what_all_of_it_at_once_would_be(
    run: Run, tmp_path: Path, exam: Exam, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.commands.report.ReportCommand._asked", lambda _: ASKED)
    path = tmp_path / "e.json"
    run("--exam", exam.id, "--output", str(path))
    assert path.read_bytes() == json_of(whole(library, exam), library)
    run("--exam", exam.id, "--output", str(tmp_path / "e.zip"))
    file = zipfile.ZipFile(tmp_path / "e.zip")
    assert file.read("voxwatch_Biology_2026-11-28.json") == json_of(whole(library, exam), library)


def json_of(report: ExamReport, library: Library) -> bytes:
    sign = partial(signed, secret=library.book.journal.secret)
    candidates = tuple(with_signature(one, sign) for one in report.candidates)
    whole = with_signature(msgspec.structs.replace(report, candidates=candidates), sign)
    return msgspec.json.format(msgspec.json.encode(whole), indent=1)


@pytest.mark.parametrize("form", ["json", "zip"])
def test_a_full_disk_is_told_and_leaves_no_half_a_file(
    run: Run, tmp_path: Path, exam: Exam, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("streamer.reports.forms.exam_json.ExamJson.add", full)
    with pytest.raises(OSError, match="No space left"):
        run("--exam", exam.id, "--output", str(tmp_path / f"e.{form}"))
    assert not (tmp_path / f"e.{form}").exists()


def test_a_stream_that_nobody_knows_is_told(run: Run) -> None:
    with pytest.raises((UnknownStream, StoreError), match="there is no record"):
        run("nowhere")
