from __future__ import annotations

from pathlib import Path

import pytest

from models.evaluation.rttm import RttmError, Turn, read_rttm, write_rttm


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    turns = {"b": (Turn(0.25, 1.5, "anna"), Turn(1.75, 4.0, "bert")), "a": (Turn(3.0, 3.5, "c"),)}
    write_rttm(tmp_path / "x.rttm", turns)
    assert read_rttm(tmp_path / "x.rttm") == turns
    first = (tmp_path / "x.rttm").read_text().splitlines()[0]
    assert first == "SPEAKER b 1 0.250 1.250 <NA> <NA> anna <NA> <NA>"


def test_names_get_no_blanks(tmp_path: Path) -> None:
    write_rttm(tmp_path / "x.rttm", {"my file": [Turn(0, 1, "anna  b")]})
    assert read_rttm(tmp_path / "x.rttm") == {"my_file": (Turn(0, 1, "anna_b"),)}


def test_other_lines_are_passed_over_and_turns_sorted(tmp_path: Path) -> None:
    (tmp_path / "x.rttm").write_text(
        ";; a comment\nSPKR-INFO f 1 <NA> <NA> <NA> unknown a <NA>\n\n"
        "SPEAKER f 1 5.0 1.0 <NA> <NA> b <NA> <NA>\nSPEAKER f 1 0 2 <NA> <NA> a\n"
    )
    assert read_rttm(tmp_path / "x.rttm") == {"f": (Turn(0, 2, "a"), Turn(5, 6, "b"))}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER f 1 0 2 <NA>", "line 1: expected at least 8 fields, got 6"),
        ("SPEAKER f 1 zero 2 <NA> <NA> a", "line 1: start and duration must be seconds"),
        ("SPEAKER f 1 -1 2 <NA> <NA> a", "must not be negative"),
        ("SPEAKER f 1 0 nan <NA> <NA> a", "must not be negative"),
        ("anything else", "no line that begins with SPEAKER"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "x.rttm").write_text(line + "\n")
    with pytest.raises(RttmError, match=message):
        read_rttm(tmp_path / "x.rttm")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RttmError, match="cannot read"):
        read_rttm(tmp_path / "none.rttm")
    (tmp_path / "x.rttm").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RttmError, match="not a text file"):
        read_rttm(tmp_path / "x.rttm")
