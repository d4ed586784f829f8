"""`voxwatch records verify --report`: right, altered and foreign reports, of all that is there."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded_exam import Run, filled, run_in

from streamer.records.opening import open_book
from streamer.reports.reported import NoReport, Reported
from streamer.store.store import Store

DAY_S = 86400.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def exam(folder: Path) -> str:
    return filled(folder)


@pytest.fixture
def run(folder: Path, exam: str) -> Run:
    return run_in(folder)


@pytest.fixture
def report(run: Run, exam: str, tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    assert run("report", "--exam", exam, "--output", str(path)).exit_code == 0
    return path


def altered(report: Path, change: Callable[[Any], Any]) -> Path:
    """The report after somebody has changed it."""
    other = report.with_stem("altered")
    other.write_text(json.dumps(change(json.loads(report.read_text()))))
    return other


def verified(run: Run, report: Path) -> tuple[int, str]:
    done = run("records", "verify", "--report", str(report))
    return done.exit_code, done.stdout


def test_a_report_is_of_the_record(run: Run, report: Path) -> None:
    code, told = verified(run, report)
    assert code == 0
    assert "head of stream s-1, " in told
    assert "head of the register, " in told
    assert "heads that this record had: 2 of 2" in told


def test_it_still_is_after_a_lawful_deletion_and_when_the_register_began_anew(
    run: Run, report: Path, folder: Path
) -> None:
    assert run("records", "delete", "s-1", "--yes").exit_code == 0
    code, told = verified(run, report)
    assert (code, "the stream was deleted on" in told) == (0, True)
    with Store.in_folder(folder, None, {}) as store:
        book = open_book(None, folder, store.vault.key, dict)
    now = book.register()[-1].at + 1
    assert book.shorten_register(now, now) > 0
    book.close()
    code, told = verified(run, report)
    assert (code, "the register has begun anew" in told) == (0, True)


def of_stream(told: Any) -> Any:
    return told["candidates"][0]["sessions"][0]["chain"]


def of_register(told: Any) -> Any:
    return told["proof"]["register"]


@pytest.mark.parametrize("chain", [of_stream, of_register])
@pytest.mark.parametrize(("part", "to"), [("head", "ab" * 32), ("count", 3), ("signature", "")])
def test_an_altered_report_is_told(run: Run, report: Path, chain: Any, part: str, to: Any) -> None:
    def change(told: Any) -> Any:
        chain(told)[part] = to
        chain(told)["head"] = "cd" * 32 if part == "signature" else chain(told)["head"]
        return told

    code, told = verified(run, altered(report, change))
    assert code == 1
    assert "all is whole" in told  # the record is
    assert ("is not" in told) or ("never had it" in told)


def test_a_foreign_report_is_told(report: Path, tmp_path: Path) -> None:
    filled(tmp_path / "other")
    code, told = verified(run_in(tmp_path / "other"), report)
    assert (code, told.count("of another record, whose key")) == (1, 2)
    assert "heads that this record had: 0 of 2" in told


def test_a_head_is_given_by_hand(run: Run, report: Path) -> None:
    stream, register = sorted(Reported(report).heads, key=lambda head: head.chain == "register")
    assert run("records", "verify", "--head", f"{register.count}:{register.hash}").exit_code == 0
    assert run("records", "verify", "--head", f"{stream.count}:{stream.hash}").exit_code == 1
    assert run("records", "delete", "s-1", "--yes").exit_code == 0
    head = f"{stream.count}:{stream.hash[:16].upper()}"
    assert run("records", "verify", "s-1", "--head", head).exit_code == 0
    answer = json.loads(run("records", "verify", "s-1", "--head", head, "--json").stdout)
    assert answer["kept"][0]["own"] is True
    for wrong in ("7", "7:abc", f"x:{stream.hash}", f"7:{'z' * 64}"):
        assert run("records", "verify", "--head", wrong).exit_code == 2


def test_a_candidate_who_never_came_has_no_head_and_is_signed(
    run: Run, exam: str, tmp_path: Path
) -> None:
    path = tmp_path / "b.json"
    run("report", "--exam", exam, "--candidate", "A-2", "--output", str(path))
    assert Reported(path).heads == ()
    assert verified(run, path)[0] == 0

    def came(told: Any) -> Any:
        return told | {"candidate": "Berta"}

    code, told = verified(run, altered(path, came))
    assert (code, 'altered.json: "candidate": "Berta" is not what was signed' in told) == (1, True)


def test_a_report_that_was_only_printed_anew_is_whole(run: Run, report: Path) -> None:
    code, told = verified(run, altered(report, lambda told: told))
    assert (code, "all of it is as this record signed it" in told) == (0, True)


def of_anna(told: Any) -> Any:
    return told["candidates"][0]


def test_what_a_line_was_in_is_told_with_it(run: Run, report: Path) -> None:
    def change(told: Any) -> Any:
        of_anna(told)["verdicts"][0]["verdict"] = "cleared"
        return told

    path = altered(report, change)
    code, told = verified(run, path)
    where = "altered.json, candidate Anna: verdicts: "
    assert code == 1
    assert f'{where}"verdict": "cleared" is not what was signed' in told
    assert "heads that this record had: 2 of 2" in told  # by which alone nothing would be seen
    answer = run("records", "verify", "--report", str(path), "--json")
    assert len(json.loads(answer.stdout)["altered"]) == 1


def without_anna(told: Any) -> Any:
    return told | {"candidates": told["candidates"][1:]}


def turned_round(told: Any) -> Any:
    return told | {"candidates": told["candidates"][::-1]}


def of_another_name(told: Any) -> Any:
    return told | {"exam": told["exam"] | {"name": "Physics"}}


def unsigned(told: Any) -> Any:
    return {name: value for name, value in told.items() if name != "signed"}


def with_an_unsigned_candidate(told: Any) -> Any:
    return told | {"candidates": [unsigned(one) for one in told["candidates"]]}


def with_half_a_signature(told: Any) -> Any:
    return told | {"signed": {"digest": 7}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_anna, "1 line taken away"),
        (turned_round, "is not what was signed"),
        (of_another_name, 'exam: "name": "Physics" is not what was signed'),
        (unsigned, "altered.json: it is not signed"),
        (with_an_unsigned_candidate, "candidate Bert: it is not signed"),
        (with_half_a_signature, "its signature cannot be read"),
    ],
)
def test_an_exam_that_was_altered_as_a_whole_is_told(
    run: Run, report: Path, change: Callable[[Any], Any], told: str
) -> None:
    code, said = verified(run, altered(report, change))
    assert (code, told in said) == (1, True)


def test_whoever_says_something_twice_is_refused(report: Path) -> None:
    other = report.with_stem("twice")
    text = report.read_text().replace(
        '"candidate": "Anna"', '"candidate": "A", "candidate": "Anna"'
    )
    other.write_text(text)
    with pytest.raises(NoReport, match="says something twice"):
        Reported(other)


def test_another_form_is_refused_with_what_to_do(run: Run, exam: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    run("report", "--exam", exam, "--output", str(path))
    with pytest.raises(NoReport, match="as PDF, HTML, JSON or ZIP"):
        Reported(path)


@pytest.mark.parametrize(
    "text",
    ["{}", "[1]", '{"format": 1}', '{"format": "x", "proof": {"register": {"count": -1}}}', "\xff"],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(NoReport):
        Reported(path)
    with pytest.raises(NoReport, match="No such file"):
        Reported(tmp_path / "none.json")


def test_a_zip_is_of_the_record_unless_one_of_its_files_was_altered(
    run: Run, exam: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no PDFs, which take long
    path = tmp_path / "report.zip"
    assert run("report", "--exam", exam, "--output", str(path)).exit_code == 0
    code, told = verified(run, path)
    assert (code, "heads that this record had: 2 of 2" in told) == (0, True)
    assert "all files of this ZIP are as this record signed them" in told
    other = tmp_path / "altered.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if "Anna" in name and name.endswith(".json"):
                one = json.loads(content)
                one["sessions"][0]["chain"]["head"] = "ab" * 32
                content = json.dumps(one).encode()
            new.writestr(name, content)
    code, told = verified(run, other)
    assert (code, "heads that this record had: 2 of 3" in told) == (1, True)
    half = tmp_path / "half.zip"
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(NoReport, match="take it as PDF, HTML, JSON or ZIP"):
        Reported(half)


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], **more: bytes) -> Path:
    """A ZIP whose files somebody has changed, left out or added to."""
    other = path.with_stem("rewritten")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            if (content := change(name, old.read(name))) is not None:
                new.writestr(name, content)
        for name, content in more.items():
            new.writestr(name, content)
    return other


def test_each_file_of_a_zip_is_held_to_what_was_put_into_it(
    run: Run, exam: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    path = tmp_path / "report.zip"
    assert run("report", "--exam", exam, "--output", str(path)).exit_code == 0
    names = zipfile.ZipFile(path).namelist()
    for chosen in names:

        def spoilt(name: str, content: bytes, chosen: str = chosen) -> bytes:
            return content.replace(b"o", b"0") if name == chosen else content

        def left_out(name: str, content: bytes, chosen: str = chosen) -> bytes | None:
            return None if name == chosen else content

        if not chosen.endswith(".json"):  # whose fields would be others
            code, told = verified(run, rewritten(path, spoilt))
            assert (code, f"{chosen}: the file was altered" in told) == (1, True)
        code, told = verified(run, rewritten(path, left_out))
        assert code == 1
        assert "is missing" in told
    code, told = verified(run, rewritten(path, lambda _, content: content, more=b"?"))
    assert (code, "more: it was added" in told) == (1, True)
    kept = "signed.json"
    code, told = verified(run, rewritten(path, lambda name, x: x if name == kept else None))
    assert (code, "is missing" in told) == (1, True)


def test_a_zip_with_two_files_of_one_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("r.json", json.dumps({"format": "x", "sessions": []}))
        archive.writestr("r.pdf", b"forged")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("r.pdf", b"genuine")
    with pytest.raises(NoReport, match="it says something twice"):
        Reported(path)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_what_is_no_number_in_a_report_is_refused(tmp_path: Path, number: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(f'{{"format": "x", "sessions": [], "ended_at": {number}}}')
    with pytest.raises(NoReport, match=f"{number} is no number"):
        Reported(path)


@pytest.mark.parametrize(("place", "byte"), [("content", 0x07), ("flags", 0x01), ("method", 0x63)])
def test_a_damaged_zip_is_refused_with_what_to_do(tmp_path: Path, place: str, byte: int) -> None:
    path = tmp_path / "r.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("r.json", json.dumps({"format": "x", "sessions": []}))
    content = bytearray(path.read_bytes())
    listed = content.index(b"PK\x01\x02")  # where the archive says what is in it
    at = {"content": 30 + len("r.json"), "flags": listed + 8, "method": listed + 10}[place]
    content[at] = byte
    path.write_bytes(content)
    with pytest.raises(NoReport, match="take it as PDF, HTML, JSON or ZIP"):
        Reported(path)
