"""What a report says is signed: whatever is altered in it is told, and where."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from streamer.records.signing import Secret
from streamer.reports.report import Report
from streamer.reports.signing import (
    MOST_LINES,
    OTHER,
    UNSIGNED,
    altered,
    signed,
    with_signature,
)
from tests.streamer.reports.conftest import report_of

SECRET = Secret(bytes(32))
SIGN = partial(signed, secret=SECRET)


def as_json(report: Report) -> dict[str, Any]:
    from streamer.reports.forms.files import json as written

    told: dict[str, Any] = json.loads(written(with_signature(report, SIGN)))
    return told


def found(told: dict[str, Any]) -> list[str]:
    return list(altered(told, SECRET.public_key))


def leaves(part: Any) -> Iterator[tuple[Any, Any]]:
    """Each value that is no list or object, by what it is in and where."""
    for place in list(part) if isinstance(part, dict) else range(len(part)):
        if isinstance(part[place], dict | list) and part[place]:
            yield from leaves(part[place])
        else:
            yield part, place


def test_every_value_that_is_altered_is_told_by_its_line_and_no_other(taken: Report) -> None:
    told = as_json(taken)
    assert found(told) == []
    content = {name: value for name, value in told.items() if name != "signed"}
    count = 0
    for part, place in leaves(content):
        before, part[place] = part[place], "altered"
        (line,) = found({**content, "signed": told["signed"]})
        assert line.endswith('"altered" is not what was signed')
        assert isinstance(place, int) or f'"{place}": ' in line
        part[place] = before
        count += 1
    assert count > 100
    kinds = {"verdict", "who", "at", "note", "kind", "since_at", "until", "reason", "sha256", "t"}
    assert kinds <= {place for _, place in leaves(content)} | {"t"}


def test_what_was_taken_away_or_added_is_told(taken: Report) -> None:
    told = as_json(taken)
    (session,) = told["sessions"]
    without = copy.deepcopy(told)
    gone = without["sessions"][0]["incidents"].pop(0)
    (line,) = found(without)
    assert line.startswith(f"{len(gone) + 2} lines taken away before sessions")
    more = copy.deepcopy(told)
    more["sessions"][0]["notes"].append({"who": "desk", "text": "x"})
    assert any('"text": "x" is not what was signed' in line for line in found(more))
    assert session["incidents"]


def test_another_record_has_another_key(taken: Report) -> None:
    told = as_json(taken)
    other = Secret(bytes(31) + b"1")
    assert list(altered(told, other.public_key)) == [OTHER]
    forged = {**told, "candidate": "Bea"}
    forged["signed"] = json.loads(json.dumps(_signed_by(other, forged)))
    assert found(forged) == [OTHER]
    forged["signed"]["key"] = SECRET.public_key
    assert found(forged) == [OTHER]


def _signed_by(secret: Secret, told: dict[str, Any]) -> dict[str, str]:
    made = signed(told, secret)
    return {name: getattr(made, name) for name in made.__struct_fields__}


def test_digests_of_lines_that_were_altered_are_told(taken: Report) -> None:
    told = as_json(taken)
    told["signed"]["lines"] = told["signed"]["lines"][:-4] + "AAAA"
    assert found(told) == [OTHER]


def test_what_is_not_signed_is_told() -> None:
    told = as_json(report_of("Nobody"))
    assert found(told) == []
    assert found(told | {"signed": None}) == [UNSIGNED]


def test_in_a_long_report_one_line_is_told_alone_and_many_are_not_all_told(taken: Report) -> None:
    told = as_json(taken)
    content = {name: value for name, value in told.items() if name != "signed"}
    content["figures"] = [[number] for number in range(3000)]
    whole = {**content, "signed": msgspec.to_builtins(signed(content, SECRET))}
    assert found(whole) == []
    whole["figures"][1500] = [-1]
    (line,) = found(whole)
    assert line.endswith("-1 is not what was signed")
    whole["figures"] = [[-number] for number in range(3000)]
    many = found(whole)
    assert len(many) == MOST_LINES + 1
    assert many[-1] == "further lines are not what was signed"
