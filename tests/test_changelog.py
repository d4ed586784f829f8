"""CHANGELOG.md has the form of Keep a Changelog, and its newest version is the project's."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CHANGELOG.md").read_text()
VERSIONS = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)


def test_versions_fall_and_each_has_its_day() -> None:
    numbers, days = [], []
    for heading in VERSIONS:
        found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+) - (\d{4}-\d\d-\d\d)", heading)
        assert found, heading
        numbers.append(tuple(map(int, found.groups()[:3])))
        days.append(date.fromisoformat(found[4]))
    assert numbers == sorted(set(numbers), reverse=True)
    assert days == sorted(days, reverse=True)


def test_the_newest_is_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert VERSIONS[0].startswith(f"{project['version']} - ")


def test_changes_stand_under_the_kinds_of_change() -> None:
    kinds = set(re.findall(r"^### (.*)$", TEXT, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        body = section.partition("\n")[2].strip()
        assert body.startswith("### "), section.partition("\n")[0]
