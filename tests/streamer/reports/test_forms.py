"""The forms of a report: golden facts in each of them, and no byte of what people typed as code."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from datetime import UTC, timedelta
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_stream import RecordedStream

from streamer.reports import rates, words
from streamer.reports.exam_report import ExamReport, line_of
from streamer.reports.forms import files
from streamer.reports.forms.exam_page import exam_page
from streamer.reports.forms.markup import element
from streamer.reports.forms.page import page
from streamer.reports.forms.pdf import NoPdf, PdfFailed, Printer, pdf
from streamer.reports.forms.picture import WIDE, timeline
from streamer.reports.forms.tables import exam_csv, harmless, timeline_csv
from streamer.reports.report import Note, Report
from streamer.reports.sessions import session
from tests.streamer.reports.conftest import proof_of, report_of

NASTY = """<script>alert(1)</script> "&' =cmd|' /C calc'!A0"""


class Read(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def text_of(made: bytes) -> str:
    document = pypdfium2.PdfDocument(made)
    return " ".join(" ".join(p.get_textpage().get_text_range() for p in document).split())


def rows(made: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made.decode("utf-8-sig"))))


FACTS = (
    "Anna",
    "Biology: part II",
    "Violation",
    "The sister admitted it.",
    "2026-11-28 11:00:00 CET (UTC+01:00)",  # when it began, with the zone
    "Another voice took over",
    "11:01:20",  # the takeover by the clock, 20 s of which had no connection
    "1:00",  # and by the sound
    "acknowledged",
    "Called the room: a sister answered.",
    "The connection was lost",
    "noisy",
    "candidate link",
    "tiny 7",
    "ab" * 32,  # the model
    "ef" * 32,  # the head of the chain
    "voxwatch records verify s-1",
    "Of 100 honest candidates 0 to 2.1 were flagged",
    "A voice is corroboration, not authentication.",
)


def test_the_page_has_the_facts_and_no_script(taken: Report) -> None:
    read = Read(page(taken))
    said = " ".join(read.text.split())
    assert [fact for fact in FACTS if fact not in said] == []
    assert "script" not in read.tags
    assert not any(name.startswith("on") or name == "style" for name, _ in read.attributes)
    links = [value for name, value in read.attributes if name in ("src", "href")]
    assert links == []
    assert read.tags.count("svg") > 2  # two pictures, and the signs of the legend


def test_the_pdf_has_the_facts_too(taken: Report) -> None:
    made = pdf(page(taken))
    said = text_of(made)
    unbroken = said.replace(" ", "")  # a digest may be broken over two lines
    assert [fact for fact in FACTS if fact.replace(" ", "") not in unbroken] == []
    assert "Page 1 of " in said


def test_that_its_sound_came_later_is_said_of_an_incident(taken: Report) -> None:
    (told,) = taken.sessions
    came_at = told.incidents[1].since_at + timedelta(seconds=20)
    late = msgspec.structs.replace(told.incidents[1], came_at=came_at)
    told = msgspec.structs.replace(told, incidents=(told.incidents[0], late))
    report = msgspec.structs.replace(taken, sessions=(told,))
    words = "Its sound came later than it was said, at 11:01:40."
    assert words in " ".join(Read(page(report)).text.split())
    lines = [row["text"] for row in rows(timeline_csv(report)) if row["what"] == "incident"]
    assert [words in line for line in lines] == [False, True]
    assert words not in page(taken)


def test_what_errors_mean_for_a_candidate_is_of_all_their_sessions(taken: Report) -> None:
    (told,) = taken.sessions
    later = msgspec.structs.replace(told, stream="s-2", speech_s=20.0)
    said = " ".join(Read(page(msgspec.structs.replace(taken, sessions=(told, later)))).text.split())
    assert told.speech_s == 80.0
    assert "of 100 honest candidates who speak for 1 min 40 s, as here," in said
    assert "Evidence is how much likelier what was heard is if the claimed person spoke" in said


def test_no_time_of_day_in_the_picture_is_after_the_end(taken: Report) -> None:
    told = taken.sessions[0]
    soon = told.began_at + timedelta(seconds=9)  # as of a recording that was sent fast
    ended = msgspec.structs.replace(told, ended_at=soon, segments=(), turns=(), incidents=())
    picture = timeline(ended, WIDE, 0)
    times = re.findall(r">(\d\d:\d\d:\d\d)<", picture)
    assert len(times) > 3
    assert max(times) <= f"{soon:%H:%M:%S}"


def test_a_candidate_who_was_matched_has_no_incident(clean: Report) -> None:
    said = " ".join(Read(page(clean)).text.split())
    assert "Zoë" in said
    assert "No verdict yet" in said
    assert "Incidents None." in said
    assert "Match: Anna" in said
    assert "Does not match" not in said


def test_what_people_typed_is_text_in_every_form(taken: Report) -> None:
    note = Note(who="desk", at=taken.made_at, text=NASTY)
    told = msgspec.structs.replace(taken.sessions[0], notes=(note,), label=NASTY)
    nasty = msgspec.structs.replace(taken, candidate=NASTY, sessions=(told,))
    read = Read(page(nasty))
    assert "script" not in read.tags
    assert NASTY in read.text
    assert "alert(1)" in text_of(pdf(page(nasty)))
    assert json.loads(files.json(nasty))["candidate"] == NASTY
    assert all(row["candidate"] == NASTY for row in rows(timeline_csv(nasty)))


@pytest.mark.parametrize("begins", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"])  # noqa: RUF001
def test_no_cell_is_a_formula(taken: Report, begins: str) -> None:
    nasty = msgspec.structs.replace(taken, candidate=begins)
    assert {row["candidate"][0] for row in rows(timeline_csv(nasty))} == {"'"}
    assert harmless("Anna") == "Anna"
    assert harmless("two\nlines") == "two lines"


@given(st.text())
def test_no_text_at_all_is_a_formula_or_code(text: str) -> None:
    cell = next(csv.reader(io.StringIO(f'"{harmless(text)}"'))) if '"' not in text else []
    assert not any(one.strip().startswith(tuple("=+-@")) for one in cell)
    read = Read(element("p", text, title=text))
    assert read.tags == ["p"]
    assert len(read.attributes) == 1


def test_a_stream_that_has_only_begun_has_a_report() -> None:
    told = session("s", RecordedStream().entries, [], consents={}, chain=None, zone=UTC)
    said = Read(page(report_of("Anna", told))).text
    assert "Nothing was decided." in said


def test_figures_stay_figures(taken: Report) -> None:
    (takeover,) = (r for r in rows(timeline_csv(taken)) if r["kind"] == "takeover")
    assert float(takeover["evidence"]) == -6.0
    assert takeover["time_of_day"] == "2026-11-28T11:01:20.000+01:00"


def test_the_evidence_of_a_turn_is_what_its_state_follows_from(taken: Report) -> None:
    shown = [float(r["evidence"]) for r in rows(timeline_csv(taken)) if r["what"] == "turn"]
    told = taken.sessions[0].turns
    assert sorted(shown) == sorted(turn.evidence for turn in told if turn.evidence is not None)
    assert any(turn.evidence != turn.llr for turn in told)


def test_the_csv_is_in_order_and_has_everything(taken: Report) -> None:
    found = rows(timeline_csv(taken))
    assert [r["time_of_day"] for r in found] == sorted(r["time_of_day"] for r in found)
    kinds = {r["what"] for r in found}
    assert kinds == {"claim", "state", "turn", "incident", "sound", "gap", "note", "verdict"}


def test_characters_that_no_page_may_hold_do_not_reach_it(taken: Report) -> None:
    odd = msgspec.structs.replace(taken, candidate="A\x00n\x0cna \u202eevil\u202c")
    assert "\x00" not in page(odd)
    assert "\x0c" not in page(odd)
    assert "evil" in text_of(pdf(page(odd))) or "live" in text_of(pdf(page(odd)))


def test_json_is_the_whole_report(taken: Report, exam: ExamReport) -> None:
    assert msgspec.json.decode(files.json(taken), type=Report) == taken
    assert msgspec.json.decode(files.json(exam), type=ExamReport) == exam
    (first, *_) = json.loads(files.json(taken))["sessions"][0]["incidents"]
    assert first["since_at"].endswith("+01:00")


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("Anna", "voxwatch_Biology-part-II_Anna_2026-11-28"),
        ("Łęcka, O'Neill/../x", "voxwatch_Biology-part-II_Łęcka-O-Neill-x_2026-11-28"),
        ("../../etc/passwd", "voxwatch_Biology-part-II_etc-passwd_2026-11-28"),
        ("///", "voxwatch_Biology-part-II_unnamed_2026-11-28"),
    ],
)
def test_a_file_name_says_candidate_and_day(taken: Report, candidate: str, expected: str) -> None:
    assert files.stem(msgspec.structs.replace(taken, candidate=candidate)) == expected


def test_a_file_name_is_short_enough_for_every_disk(taken: Report) -> None:
    long = {"candidate": "李" * 500, "candidate_reference": "王" * 500}
    assert len(files.stem(msgspec.structs.replace(taken, **long)).encode()) < 200


def test_two_of_one_name_are_told_apart_by_their_numbers(taken: Report) -> None:
    names = files.Names()
    for number, expected in (
        ("4711", "_Anna_4711_2026-11-28"),
        ("4712", "_Anna_4712_2026-11-28"),
        ("Anna", "_Anna_2026-11-28"),  # a roster without names
        ("4/711", "_Anna_4-711_2026-11-28"),
        ("4 711", "_Anna_4-711_2026-11-28-2"),
    ):
        report = msgspec.structs.replace(taken, candidate_reference=number)
        assert names.of(report) == f"candidates/voxwatch_Biology-part-II{expected}"


def test_an_exam_shows_first_who_needs_a_look(exam: ExamReport) -> None:
    lines = [line_of(one) for one in exam.candidates]
    (first, *_) = rows(exam_csv(lines))
    assert first["candidate"] == "Zoë"  # the CSV keeps the order of the roster
    without = [msgspec.structs.replace(one, verdict=None) for one in lines]
    said = Read(exam_page(exam, without, exam.proof, ())).text
    assert said.index("Anna") < said.index("Zoë")
    assert "of whom 2 were heard" in said
    # Who has a verdict comes after those who wait for one.
    decided = Read(exam_page(exam, lines, exam.proof, ())).text
    assert decided.index("Anna") > decided.index("Zoë")


def test_a_verdict_says_nothing_of_what_came_after_it(exam: ExamReport) -> None:
    lines = [line_of(judged_before(one)) for one in exam.candidates]
    (anna,) = [one for one in lines if one.candidate == "Anna"]
    assert anna.verdict is not None
    assert anna.unjudged == anna.open_incidents > 0
    said = Read(exam_page(exam, lines, exam.proof, ())).text
    assert said.index("Anna") < said.index("Zoë")


def judged_before(report: Report) -> Report:
    """Whoever gave a verdict did so a day earlier."""
    earlier = [
        msgspec.structs.replace(one, at=one.at - timedelta(days=1)) for one in report.verdicts
    ]
    return msgspec.structs.replace(report, verdicts=tuple(earlier))


PROOF = (
    "tiny 7",
    "ab" * 32,  # the model
    "2 sessions",
    "1 % false matches",  # asked for
    "match from +",
    "Of 100 honest candidates 0 to 2.1 were flagged",
    "as here on average",
    "s-1 Anna",
    "ef" * 32,  # the head of her chain
    "aa" * 32,  # that of the register
    "voxwatch records verify --exam e-1",
    "voxwatch records verify STREAM --head ENTRIES:HEAD",
)


def test_an_exam_says_what_it_rests_on_and_how_to_check(exam: ExamReport) -> None:
    made = exam_page(exam, [line_of(one) for one in exam.candidates], exam.proof, ())
    said = " ".join(Read(made).text.split())
    assert [fact for fact in PROOF if fact not in said] == []
    unbroken = text_of(pdf(made)).replace(" ", "")  # a digest may be broken over two lines
    assert [fact for fact in PROOF if fact.replace(" ", "") not in unbroken] == []


def test_an_exam_of_which_no_stream_was_judged_says_so(exam: ExamReport) -> None:
    said = Read(exam_page(exam, [], proof_of(), ())).text
    assert rates.NOT_JUDGED in said


def test_without_weasyprint_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoPdf, match=r"voxwatch\[reports\]"):
        pdf("<p>")


def test_a_process_of_its_own_makes_pdfs_one_after_the_other() -> None:
    with Printer() as printer:
        assert [text_of(printer(f"<h1>{said}</h1>")) for said in ("One", "Two")] == ["One", "Two"]


def test_a_page_that_takes_too_long_is_given_up_and_the_next_one_is_made() -> None:
    with Printer(page_s=0.0) as printer:
        with pytest.raises(PdfFailed, match="could not be made, or not in time"):
            printer("<h1>One</h1>")
        printer._page_s = 60.0
        assert text_of(printer("<h1>Two</h1>")) == "Two"


def test_a_printer_that_was_stopped_prints_nothing_more() -> None:
    with Printer() as printer:
        printer.stop()
        with pytest.raises(PdfFailed):
            printer("<h1>One</h1>")


def test_what_a_process_of_its_own_lacks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weasyprint.py").write_text("raise OSError('cannot load library libpango')")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    with Printer() as printer, pytest.raises(NoPdf, match=r"libpango.*apt-get install"):
        printer("<h1>One</h1>")


def test_an_acknowledgement_and_a_note_say_each_who_when_and_what(taken: Report) -> None:
    at = taken.made_at.replace(hour=15, minute=4, second=5)
    note = Note(who="Ben", at=at.replace(second=9), text="a cough")
    session = taken.sessions[0]
    one = msgspec.structs.replace(
        session.incidents[0], acknowledged_by="Ada", acknowledged_at=at, notes=(note,)
    )
    session = msgspec.structs.replace(session, incidents=(one,))
    told = page(msgspec.structs.replace(taken, sessions=(session,)))
    assert "<p>Acknowledged by Ada at 15:04:05.</p>" in told
    assert "<p>Note by Ben at 15:04:09: <bdi>a cough</bdi></p>" in told


def test_a_report_says_that_its_record_was_read_after_it_was_asked_for(taken: Report) -> None:
    told = page(taken)
    assert f"Asked for {words.moment(taken.made_at)} by {taken.made_by}" in told
    assert "The record was read after that time" in told
