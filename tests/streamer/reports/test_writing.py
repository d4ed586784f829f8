"""Reports written piece by piece: the same files as of the whole, and memory for one candidate."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from streamer.records.signing import Secret
from streamer.reports.exam_report import ExamCover, ExamReading, ExamReport
from streamer.reports.forms import files
from streamer.reports.forms.files import Form
from streamer.reports.forms.pdf import MISSING, NoPdf, PdfFailed
from streamer.reports.forms.writing import NO_PDF, SIGNED_FILES, Pdf, write
from streamer.reports.report import Point, Report
from streamer.reports.signing import signed, with_signature
from streamer.reports.spool import Spool
from tests.streamer.reports.conftest import proof_of

SECRET = Secret(bytes(32))
SIGN = partial(signed, secret=SECRET)


def reading(exam: ExamReport) -> ExamReading:
    """An exam as a library gives it."""
    facts = {name: getattr(exam, name) for name in ExamCover.__struct_fields__}
    cover, register = ExamCover(**facts), exam.proof.register
    return ExamReading(cover, exam.candidates, lambda _: exam.register_problems, register)


def printed(page: str) -> bytes:
    return b"%PDF"


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., bytes]:
    """The file of a report."""

    def make(report: Report | ExamReport, form: Form, pdf: Pdf = printed) -> bytes:
        out = io.BytesIO()
        told = reading(report) if isinstance(report, ExamReport) else report
        write(told, form, out, pdf, lambda: Spool(tmp_path), SIGN)
        return out.getvalue()

    return make


def names(archive: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(archive)).namelist()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_json_of_an_exam_is_that_of_the_whole(
    written: Callable[..., bytes], exam: ExamReport, count: int
) -> None:
    problems = ('entry 7: "candidates": [] was changed', "another")
    some = msgspec.structs.replace(
        exam,
        candidates=tuple(with_signature(one, SIGN) for one in exam.candidates[:count]),
        proof=proof_of(*exam.candidates[:count]),
        register_problems=problems[:count],
    )
    whole = msgspec.json.format(msgspec.json.encode(with_signature(some, SIGN)), indent=1)
    assert written(some, "json") == whole
    archive = zipfile.ZipFile(io.BytesIO(written(some, "zip")))
    assert archive.read("voxwatch_Biology-part-II_2026-11-28.json") == whole
    assert archive.testzip() is None


def test_the_zip_of_a_candidate(written: Callable[..., bytes], taken: Report) -> None:
    stem = files.stem(taken)
    endings = ("csv", "html", "json", "pdf")
    assert sorted(names(written(taken, "zip"))) == [
        SIGNED_FILES,
        *(f"{stem}.{ending}" for ending in endings),
    ]


def test_a_zip_without_pdfs_says_why(written: Callable[..., bytes], exam: ExamReport) -> None:
    asked = []

    def lacking(page: str) -> bytes:
        asked.append(page)
        raise NoPdf(MISSING)

    archive = zipfile.ZipFile(io.BytesIO(written(exam, "zip", lacking)))
    assert archive.read(NO_PDF).decode().startswith("a PDF needs WeasyPrint")
    assert len(asked) == 1
    assert not [name for name in archive.namelist() if name.endswith(".pdf")]


def test_a_page_that_is_no_pdf_is_named_and_the_others_are_there(
    written: Callable[..., bytes], exam: ExamReport
) -> None:
    def fail_once(page: str) -> bytes:
        if "Zoë</" in page and "Exam report" not in page:
            raise PdfFailed("it took too long")
        return b"%PDF"

    archive = zipfile.ZipFile(io.BytesIO(written(exam, "zip", fail_once)))
    (line,) = archive.read(NO_PDF).decode().splitlines()
    assert line == "candidates/voxwatch_Biology-part-II_Zoë_2026-11-28.pdf: it took too long"
    assert sum(name.endswith(".pdf") for name in archive.namelist()) == 3


def test_the_zip_of_an_exam_has_every_candidate(
    written: Callable[..., bytes], exam: ExamReport
) -> None:
    twice = msgspec.structs.replace(exam, candidates=(*exam.candidates, exam.candidates[0]))
    found = names(written(twice, "zip"))
    assert len(found) == len(set(found)) == 4 * (1 + 4) + 1
    assert sum("Zoë" in name for name in found) == 8


def of_many(report: Report, count: int) -> Iterator[Report]:
    """Candidates with an hour of evidence each: some 2 MB of page and data."""
    (session,) = report.sessions
    for number in range(count):
        evidence = tuple(Point(t + number / 7, float(t % 9)) for t in range(3600))
        more = msgspec.structs.replace(session, evidence=evidence, turns=session.turns * 500)
        yield msgspec.structs.replace(report, candidate=f"C-{number}", sessions=(more,))


def peak_bytes(make: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        make()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["zip", "json", "html"])
def test_many_candidates_take_no_more_memory_than_few(
    tmp_path: Path, taken: Report, exam: ExamReport, form: Form
) -> None:
    cover = reading(exam).cover

    def make(count: int) -> None:
        told = ExamReading(cover, of_many(taken, count), lambda _: (), exam.proof.register)
        with Spool(tmp_path) as out:
            write(told, form, out, printed, lambda: Spool(tmp_path), SIGN)

    few, many = peak_bytes(partial(make, 2)), peak_bytes(partial(make, 20))
    assert many < 1.2 * few
