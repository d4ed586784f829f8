"""Rosters as CSV: what examiners have in a spreadsheet, read with as little fuss as is safe.

The columns are `candidate`, `name` (or `id`), `voiceprint` and `accommodations`, in this order
where the first line does not name them. Comma, semicolon or tab part the cells.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from streamer.exams.errors import BadRoster
from streamer.exams.exam import ACCOMMODATIONS, MAX_NAME, Entry
from streamer.store.errors import BadName
from streamer.store.profile import clean_name, clean_shown

COLUMNS = ("candidate", "name", "voiceprint", "accommodations")
ALSO = {"id": "name", "accommodation": "accommodations"}
DELIMITERS = ",;\t"
TOLD = 5  # lines with a mistake that one error names
MOST_BYTES = 8 << 20


def read_roster(path: Path) -> list[Entry]:
    """The lines of a file. Raises :class:`BadRoster`, ``OSError``."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadRoster(f"{path.name} is larger than {MOST_BYTES >> 20} MiB: is it a roster?")
    return parse_roster(_decoded(data, path.name))


def parse_roster(text: str) -> list[Entry]:
    """The lines of a roster. Raises :class:`BadRoster`, which names the lines that are wrong."""
    entries: list[Entry] = []
    wrong: list[str] = []
    seen: dict[str, int] = {}
    for number, columns, row in _rows(text):
        try:
            entry = entry_of(_cells(columns, row))
        except BadRoster as error:
            wrong.append(f"line {number}: {error}")
            continue
        if (before := seen.setdefault(entry.candidate, number)) != number:
            wrong.append(f"line {number}: {entry.candidate!r} is on line {before} already")
        entries.append(entry)
    if wrong:
        more = f"; and {len(wrong) - TOLD} more lines" if len(wrong) > TOLD else ""
        raise BadRoster("; ".join(wrong[:TOLD]) + more)
    if not entries:
        raise BadRoster("the roster has no line: give `candidate, name, voiceprint` on each")
    return entries


def entry_of(cells: Mapping[str, str]) -> Entry:
    """One line by its columns. Raises :class:`BadRoster`."""
    candidate = cells.get("candidate", "").strip()
    name = cells.get("name", "").strip() or candidate
    flags = cells.get("accommodations", "").replace("+", " ").replace("/", " ").lower().split()
    for flag in flags:
        if flag not in ACCOMMODATIONS:
            known = ", ".join(ACCOMMODATIONS)
            raise BadRoster(f"{flag!r} is no accommodation: there are {known}")
    voiceprint = cells.get("voiceprint", "").strip()
    try:
        named = [
            clean(one) if one else ""
            for clean, one in (
                (clean_name, candidate),
                (clean_shown, name),
                (clean_name, voiceprint),
            )
        ]
    except BadName as error:
        raise BadRoster(str(error)) from error
    if not candidate:
        raise BadRoster("the candidate is lacking")
    fields = {"candidate": named[0], "name": named[1], "voiceprint": named[2]}
    return msgspec.convert(fields | {"accommodations": tuple(dict.fromkeys(flags))}, Entry)


def _cells(columns: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """A line by its columns. Raises :class:`BadRoster`."""
    if any(cell.strip() for cell in row[len(columns) :]):
        raise BadRoster(
            f"more cells than {', '.join(columns)}: a name with a comma stands in quotation marks"
        )
    return dict(zip(columns, row, strict=False))


def _rows(text: str) -> Iterator[tuple[int, Sequence[str], list[str]]]:
    """The lines with the number and the columns of each."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    columns: tuple[str, ...] = ()
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                columns = _header(row)
                if columns:
                    continue
                columns = COLUMNS
            yield reader.line_num, columns, row
    except csv.Error as error:
        raise BadRoster(f"line {reader.line_num}: {error}") from error


def _header(row: list[str]) -> tuple[str, ...]:
    """The columns that a first line names, nothing where it is a line of the roster itself."""
    names = tuple(ALSO.get(n, n) for n in (cell.strip().lower() for cell in row))
    if "candidate" not in names:
        return ()
    unknown = [name[:MAX_NAME] for name in names if name and name not in COLUMNS]
    if unknown:
        raise BadRoster(f"a roster has no column {unknown[0]!r}: {', '.join(COLUMNS)}")
    return names


def _decoded(data: bytes, name: str) -> str:
    """Text as spreadsheets write it: UTF-8, with a mark or without, or UTF-16 with one."""
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRoster(f"{name} is not UTF-8: save it as `CSV UTF-8`") from error
