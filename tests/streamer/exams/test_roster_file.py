"""Rosters as spreadsheets write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.exams.errors import BadRoster
from streamer.exams.exam import Entry
from streamer.exams.roster_file import parse_roster, read_roster

ANNA = Entry(candidate="4711", name="Anna Meier", voiceprint="anna")
BEN = Entry(candidate="4712", name="Ben Ode", accommodations=("stutter",))


@pytest.mark.parametrize(
    "text",
    [
        "candidate,name,voiceprint,accommodations\n4711,Anna Meier,anna,\n4712,Ben Ode,,stutter\n",
        "Candidate;Name;Voiceprint;Accommodations\r\n4711;Anna Meier;anna\r\n4712;Ben Ode;;Stutter",
        "name\tcandidate\taccommodation\tvoiceprint\nAnna Meier\t4711\t\tanna\n"
        "Ben Ode\t4712\tstutter stutter\t\n",
        "4711, Anna Meier, anna\n\n4712, Ben Ode,, stutter\n",
        'candidate,id,voiceprint,accommodations\n4711,"Anna Meier",anna\n4712,Ben Ode,,"stutter"',
    ],
)
def test_a_roster_is_read_as_spreadsheets_write_it(text: str) -> None:
    assert parse_roster(text) == [ANNA, BEN]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_encodings_of_spreadsheets_are_known(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes("candidate,name\n1,Zoë Łukasz\n".encode(encoding))
    assert read_roster(path) == [Entry(candidate="1", name="Zoë Łukasz")]


def test_without_a_name_a_candidate_is_shown_by_number() -> None:
    assert parse_roster("candidate\n4711\n")[0].name == "4711"


def test_a_name_may_begin_with_the_family() -> None:
    assert parse_roster('candidate,name\n1,"Doe, Jane"\n')[0].name == "Doe, Jane"


def test_flags_may_be_several() -> None:
    (entry,) = parse_roster("1,A,,illness + whispering")
    assert entry.accommodations == ("illness", "whispering")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no line"),
        ("candidate,name\n", "has no line"),
        ("candidate,name\n1,A\n1,B\n", "line 3: '1' is on line 2 already"),
        ("candidate,name\n,A\n", "line 2: the candidate is lacking"),
        ("candidate,name,mood\n1,A,good\n", "no column 'mood'"),
        ("1,A,,deaf\n", "line 1: 'deaf' is no accommodation"),
        (f"1,{'x' * 65}\n", "line 1: 'x{64}'... cannot be a name: it has 65 characters, 64"),
        ("1,A,a,stutter,extra\n1,B\n", "line 1: more cells .* quotation marks"),
        ("1,A\n2,B,b,stutter,extra\n1,C\n", "line 2: more cells .*; line 3: '1' is on line 1"),
        ('"4,1",A\n', "line 1: '4,1' cannot be a name: commas"),
        ('1,A,"a,b"\n', "line 1: 'a,b' cannot be a name: commas"),
        ("1,A\x07\n", "line 1: "),
    ],
)
def test_a_line_that_cannot_be_used_is_named(text: str, told: str) -> None:
    with pytest.raises(BadRoster, match=told):
        parse_roster(text)


def test_many_mistakes_are_counted_and_not_all_listed() -> None:
    with pytest.raises(BadRoster, match="and 15 more lines"):
        parse_roster("\n".join(f"{n},A,,deaf" for n in range(20)))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(b"candidate\n\xe9\n")
    with pytest.raises(BadRoster, match="save it as `CSV UTF-8`"):
        read_roster(path)
