"""What the files of a report are called, and what is in those of a candidate."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Literal

import msgspec

from streamer.reports import words
from streamer.reports.exam_report import ExamReading
from streamer.reports.parts import Part
from streamer.reports.report import Report

Form = Literal["html", "pdf", "json", "csv", "zip"]
PART_BYTES = 60  # of a name in a file's name: a file's name has at most 255
NUMBER_BYTES = 40  # of a candidate's number


def stem(report: Report | ExamReading) -> str:
    """A file's name without its ending: exam, candidate with their number, and day."""
    if isinstance(report, ExamReading):
        cover = report.cover
        return _joined([cover.exam.name], cover.exam.began_at or cover.made_at)
    exam = [report.exam.name] if report.exam else []
    day, number = report.began_at or report.made_at, report.candidate_reference
    if number in ("", report.candidate):
        return _joined([*exam, report.candidate], day)
    return _joined([*exam, report.candidate], day, part(number, NUMBER_BYTES))


def _joined(names: list[str], day: datetime, *numbers: str) -> str:
    return "_".join(["voxwatch", *map(part, names), *numbers, words.day(day)])


def part(name: str, most_bytes: int = PART_BYTES) -> str:
    """A name as part of a file's name: letters and digits of any script, the rest is a hyphen."""
    kept = "".join(c if c.isalnum() or unicodedata.category(c) == "Mn" else " " for c in name)
    shown = "-".join(kept.split()) or "unnamed"
    return shown.encode()[:most_bytes].decode(errors="ignore")


def json(report: Part) -> bytes:
    """All of it, as data."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1)


class Names:
    """Names of candidates' files within a ZIP; those that are alike all the same are counted."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, report: Report) -> str:
        """Without an ending."""
        name, number = f"candidates/{stem(report)}", 1
        while name.casefold() in self._taken:
            number += 1
            name = f"candidates/{stem(report)}-{number}"
        self._taken.add(name.casefold())
        return name
