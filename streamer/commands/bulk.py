"""Many people at once, from a folder or a list of recordings, and what became of each."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import typer

from engine.errors import VoxwatchError
from streamer.commands.options import EXIT_NEGATIVE
from streamer.commands.private_file import write_private

SOUNDS = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".m4a"})
SOUNDS |= {".webm", ".mka", ".mkv", ".mp4", ".mov", ".3gp", ".aac", ".amr", ".wma"}
COLUMNS = ("name", "file")
Result = Literal["enrolled", "refused", "there already", "failed"]


class BulkError(VoxwatchError):
    """A folder or a list of recordings that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Person:
    """A name and their recordings."""

    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one person, and why."""

    name: str
    result: Result
    why: str = ""


def people_in(place: Path) -> list[Person]:
    """The people of a folder or of a list in CSV, by name. Raises :class:`BulkError`, ``OSError``.

    A recording ``anna.wav`` of a folder is of ``anna``, and so is all that lies in ``anna/``. A
    list has the columns ``name`` and ``file``, whose paths start from where it lies; a name may be
    on several lines.
    """
    found: dict[str, list[Path]] = {}
    for name, file in _listed(place) if place.is_file() else _lying(place):
        found.setdefault(name, []).append(file)
    if not found:
        raise BulkError(f"{place} names no recording")
    return [Person(name, tuple(files)) for name, files in sorted(found.items())]


async def enrol_all(
    people: Sequence[Person], enrol: Callable[[Person, Any], Awaitable[bool]], *, quiet: bool
) -> list[Outcome]:
    """One after the other; whoever cannot be enrolled keeps out nobody else."""
    from streamer.store.errors import NameTaken

    outcomes = []
    for person in people:
        heard = Hearer()
        try:
            enrolled = await enrol(person, heard)
            outcome = Outcome(person.name, "enrolled" if enrolled else "refused", heard.why)
        except NameTaken:
            outcome = Outcome(person.name, "there already")
        except (VoxwatchError, OSError) as error:
            told = getattr(error, "code", "") == "name-taken"
            outcome = Outcome(person.name, "there already" if told else "failed", str(error))
        outcomes.append(outcome)
        if not quiet:
            typer.echo(f"{outcome.result:14s}{outcome.name}{outcome.why and f': {outcome.why}'}")
    return outcomes


def tell(outcomes: Sequence[Outcome], report: Path | None) -> None:
    """The sum, and the report where one is wanted. Exits with 1 where somebody was not enrolled."""
    counts = Counter(outcome.result for outcome in outcomes)
    summary = ", ".join(f"{count} {result}" for result, count in counts.most_common())
    typer.echo(f"{len(outcomes)} people: {summary}", err=True)
    if report is not None:
        from streamer.reports.forms.tables import csv_text

        rows = [(one.name, one.result, one.why) for one in outcomes]
        write_private(report, csv_text([("name", "result", "why"), *rows]).encode())
    if counts["refused"] or counts["failed"]:
        raise typer.Exit(EXIT_NEGATIVE)


class Hearer:
    """Takes the place of the printer of one enrolment, and keeps why it was refused."""

    def __init__(self) -> None:
        self.why = self._source = ""

    def begin(self, source: Any) -> None:
        """What is told from here on is of this source."""
        path = getattr(source, "path", None)
        self._source = f"{path.name}: " if path is not None else ""

    def tell(self, event: Any) -> None:
        """One event of an enrolment."""
        from streamer.commands.event_lines import kind_of

        if kind_of(event) in ("refused", "error"):
            self.why = f"{self._source}{event.message} ({event.code})"

    def done(
        self, name: str, prototypes: int, net_speech_s: float, like_voices: Sequence[str] = ()
    ) -> None:
        """The last word."""
        like = f", sounds like {', '.join(like_voices)}" if like_voices else ""
        self.why = f"{net_speech_s:.1f} s of speech{like}"


def _lying(folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        raise BulkError(f"{folder} is neither a folder nor a list of recordings")
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            sounds = sorted(file for file in path.iterdir() if file.suffix.lower() in SOUNDS)
            yield from ((path.name, file) for file in sounds)
        elif path.suffix.lower() in SOUNDS:
            yield path.stem, path


def _listed(path: Path) -> Iterator[tuple[str, Path]]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BulkError(f"{path} is not UTF-8: save it as `CSV UTF-8`") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    columns: Sequence[str] = ()
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if not columns:
            columns = COLUMNS
            if set(COLUMNS) <= {cell.lower() for cell in cells}:
                columns = [cell.lower() for cell in cells]
                continue
        line = dict(zip(columns, cells, strict=False))
        if not line.get("name") or not line.get("file"):
            raise BulkError(f"{path}, line {reader.line_num}: give `name, file`")
        yield line["name"], path.parent / line["file"]
