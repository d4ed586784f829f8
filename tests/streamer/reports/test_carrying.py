"""A page or a PDF alone can be verified: what it shows, and the data that it carries."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pypdfium2
import pytest
from recorded_exam import Run, filled, run_in

from streamer.reports.forms import carrying
from streamer.reports.forms.carrying import NAME, data_in
from streamer.reports.reported import NoReport, Reported

WHOLE = "report: all of it, what it shows and the data in it, is as this record signed it"
OTHER = "it is not the file that was signed"
BEGIN = {"html": b"<!-- voxwatch ", "pdf": b"%voxwatch "}
END = {"html": b" -->\n", "pdf": b"\n"}

Given = dict[str, Path]  # reports that were given out, by whose and in which form


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return run_in(folder)


@pytest.fixture(scope="module")
def given(folder: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Given:
    exam, files, found = filled(folder), tmp_path_factory.mktemp("reports"), dict[str, Path]()
    for whose, asked in (("anna", ["s-1"]), ("exam", ["--exam", exam])):
        for form in ("html", "pdf"):
            path = found[f"{whose} {form}"] = files / f"{whose}.{form}"
            assert run("report", *asked, "--output", str(path)).exit_code == 0
    return found


REPORTS = ("anna html", "anna pdf", "exam html", "exam pdf")


def verified(run: Run, report: Path) -> tuple[int, list[str]]:
    done = run("records", "verify", "--report", str(report))
    return done.exit_code, done.stdout.splitlines()


@pytest.fixture
def other(run: Run, given: Given, tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    """What is said of a report after somebody has changed the file."""

    def change(which: str, changed: Callable[[bytes], bytes]) -> tuple[int, list[str]]:
        path, before = tmp_path / given[which].name, given[which].read_bytes()
        path.write_bytes(changed(before))
        assert path.read_bytes() != before
        return verified(run, path)

    return change


@pytest.mark.parametrize("which", REPORTS)
def test_a_page_alone_is_of_the_record(run: Run, given: Given, which: str) -> None:
    code, told = verified(run, given[which])
    assert code == 0
    assert any(line.startswith("head of stream s-1, ") for line in told)
    assert told[-1] == WHOLE


@pytest.mark.parametrize("which", REPORTS)
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_any_byte_that_was_altered_is_told(other: Any, which: str, place: float) -> None:
    def altered(content: bytes) -> bytes:
        at = int(place * len(content))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    code, told = other(which, altered)
    assert code != 0
    assert WHOLE not in told


def test_a_verdict_that_somebody_put_in_place_of_another_is_told(other: Any) -> None:
    code, told = other(
        "anna html", lambda page: page.replace(b"<strong>Violation", b"<strong>Cleared")
    )
    assert code == 1
    assert sum(OTHER in line for line in told) == 1
    assert told[-1] == "report: 1 findings", "the data in it are as they were"


@pytest.mark.parametrize("which", ["anna pdf", "exam pdf"])
def test_what_was_put_behind_a_pdf_is_told(other: Any, which: str) -> None:
    """So that it replaces what was there: a PDF may be changed by what is added to its end."""
    code, told = other(which, lambda content: content + b"1 0 obj\n<<>>\nendobj\n%%EOF\n")
    assert code == 1
    assert any(OTHER in line for line in told)


def in_the_comment(form: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        before, begin, rest = content.rpartition(BEGIN[form])
        line, end, after = rest.partition(END[form])
        told = json.loads(line)
        return before + begin + msgspec.json.encode(change(told) or told) + end + after

    return changed


@pytest.mark.parametrize("which", REPORTS)
@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["signed"].update(more="--><h1>Cleared</h1><!--"),
        lambda told: told.update(more="--><h1>Cleared</h1><!--"),
        lambda told: told["files"].update(more="0"),
        lambda told: told.update(signed=None),
        lambda told: told["signed"].update(key="ab" * 32),
        lambda told: [told],
    ],
)
def test_what_was_put_into_the_signature_is_told(other: Any, which: str, change: Any) -> None:
    code, told = other(which, in_the_comment(which.split()[1], change))
    assert code == 1
    assert any(OTHER in line for line in told)


@pytest.mark.parametrize("which", REPORTS)
def test_a_signature_that_was_taken_away_is_told(other: Any, which: str) -> None:
    begin, end = (re.escape(one[which.split()[1]]) for one in (BEGIN, END))
    code, told = other(which, lambda content: re.sub(begin + b"[^\n]*?" + end, b"", content))
    assert code == 1
    assert any("is not signed: somebody took that away" in line for line in told)


@pytest.mark.parametrize(
    ("which", "before"),
    [
        ("anna html", b"</title>"),
        ("anna html", b"</body>"),
        ("exam html", b"<html"),
        ("anna pdf", b"endstream"),
        ("anna pdf", b"endobj"),
        ("exam pdf", b"%%EOF"),
    ],
)
def test_a_signature_that_was_moved_is_told(other: Any, which: str, before: bytes) -> None:
    """So that a reader takes what it stands in for something else, and shows less."""
    form = which.split()[1]

    def moved(content: bytes) -> bytes:
        found = re.search(re.escape(BEGIN[form]) + b"[^\n]*?" + re.escape(END[form]), content)
        assert found is not None
        without = content[: found.start()] + content[found.end() :]
        return without.replace(before, found[0] + before, 1)

    code, told = other(which, moved)
    assert code == 1
    assert any(OTHER in line for line in told)


def test_the_signature_of_one_report_is_not_that_of_another(given: Given, other: Any) -> None:
    taken = given["exam html"].read_bytes().rpartition(BEGIN["html"])[2]
    code, told = other(
        "anna html",
        lambda page: b"".join(page.rpartition(BEGIN["html"])[:2]) + taken,
    )
    assert code == 1
    assert any(OTHER in line for line in told)


def test_data_that_were_altered_are_told_line_by_line(other: Any) -> None:
    import base64

    def forged(page: bytes) -> bytes:
        (data,) = data_in(page)
        text = data.replace(b'"violation"', b'"cleared"')
        return page.replace(base64.b64encode(data), base64.b64encode(text))

    code, told = other("anna html", forged)
    assert code == 1
    assert any('anna-data.json: verdicts: "verdict": "cleared"' in line for line in told)


def test_a_page_and_a_pdf_carry_the_same_data(given: Given) -> None:
    pdf = given["anna pdf"].read_bytes()
    (data,) = data_in(pdf)
    assert json.loads(data)["candidate"] == "Anna"
    found = list(data_in(given["anna html"].read_bytes()))
    assert json.loads(found[0])["verdicts"] == json.loads(data)["verdicts"] != []


def test_a_pdf_that_was_saved_anew_still_has_its_data(given: Given, other: Any) -> None:
    """By whichever program: here one that packs the stream anew, and writes no signature."""

    def saved(content: bytes) -> bytes:
        (data,) = data_in(content)
        return b"%PDF-1.7\n1 0 obj\n<<>>\nstream\r\n" + zlib.compress(data, 9) + b"\nendstream\n"

    code, told = other("anna pdf", saved)
    assert code == 1
    assert told[-1] == "report: 1 findings"
    assert any("Rely on the data in it alone" in line for line in told)


def test_streams_that_hold_no_report_hold_up_nobody() -> None:
    """Each of these is looked at by its beginning, and what they unpack to has a bound."""
    assert list(data_in(b"%PDF-1.7\n" + b"stream\n" * 200_000)) == []


def test_data_that_unpack_to_far_more_than_a_report_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(carrying, "MOST_BYTES", 1000)
    bomb = zlib.compress(b'{"format":"voxwatch-' + b" " * 1_000_000)
    (data,) = data_in(b"%PDF-1.7\nstream\n" + bomb + b"\nendstream\n")
    assert len(data) == 1000


def test_a_report_of_an_earlier_version_is_refused_with_what_to_do(
    given: Given, tmp_path: Path
) -> None:
    path = tmp_path / "old.html"
    path.write_bytes(re.sub(rb"<link[^>]*>", b"", given["anna html"].read_bytes()))
    with pytest.raises(NoReport, match=r"an earlier version made it.*JSON or ZIP.*--head"):
        Reported(path)


def test_a_zip_behind_a_forged_page_does_not_speak_for_it(given: Given, tmp_path: Path) -> None:
    path = tmp_path / "forged.html"
    path.write_bytes(b"<!doctype html><h1>Cleared</h1>")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("r.json", json.dumps({"format": "x", "sessions": []}))
    assert zipfile.is_zipfile(path)
    with pytest.raises(NoReport, match="carries no data"):
        Reported(path)


def test_other_programs_can_read_the_pdf(given: Given) -> None:
    """The comment is where none of them takes it for anything."""
    pdf = pypdfium2.PdfDocument(given["anna pdf"])
    assert "Anna" in pdf[0].get_textpage().get_text_range()
    (attached,) = (pdf.get_attachment(number) for number in range(pdf.count_attachments()))
    assert attached.get_name() == NAME
    assert bytes(attached.get_data()) == next(data_in(given["anna pdf"].read_bytes()))
