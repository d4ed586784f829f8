"""`voxwatch records verify`: whether the record is whole, and whether a report is of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamer.commands.opened import opened_book
from streamer.commands.options import (
    EXIT_NEGATIVE,
    ConfigOption,
    DataOption,
    JsonOption,
    configured,
)
from streamer.commands.profiles import when
from streamer.commands.records import ExamOption

if TYPE_CHECKING:
    from streamer.records.chain import Head
    from streamer.records.verification import Verification
    from streamer.reports.reported import Reported

MOST_LINES = 1000  # of what was altered in a report
HEAD_DIGITS = 16  # of a hash, which are enough to tell it from any other


@dataclass(frozen=True, kw_only=True)
class VerifyRecordsCommand:
    """Say whether anything in the record was changed, removed, added or put elsewhere.

    Keep the register's head that this prints somewhere else: whoever can put back an older copy of
    the whole database is told by it alone. With --report this says line by line what in a report
    is not as this record has signed it, and of each head in it whether it is one that this record
    had, also where its stream was deleted since. A PDF and a page are held to what was given out,
    byte for byte, and so are the data that they carry: of one that another program saved anew the
    data hold, and what it shows is not proven. A head can be given by --head as well: that of
    STREAM, or without one that of the register.

    Exit status: 0 all is whole; 1 something is not, or nobody can tell any more; 2 error.

    \b
    Examples:
      voxwatch records verify
      voxwatch records verify 4f2a9c017bd0e655
      voxwatch records verify --report voxwatch_Biology_2026-11-28.zip
      voxwatch records verify --report voxwatch_Biology_Anna_4711_2026-11-28.pdf
      voxwatch records verify 4f2a9c017bd0e655 --head 107:9f86d081884c7d65
      voxwatch records verify --head 1234:60303ae22b998861
    """

    stream: Annotated[
        str | None,
        typer.Argument(metavar="[STREAM]", help="This one only.", show_default=False),
    ] = None
    exam: ExamOption = None
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="COUNT:HASH", help="As a report or this command says it."),
    ] = None
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="A report: PDF, HTML, JSON, ZIP."),
    ] = None
    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print what is found."""
        from streamer.reports.reported import Reported

        report = None if self.report is None else Reported(self.report)
        heads = [] if self.head is None else [self._given(self.head)]
        heads += [] if report is None else report.heads
        with opened_book(configured(self)) as book:
            found = book.verify(self.stream, self.exam, heads)
        altered = None if report is None else tuple(report.altered(found.head.key))
        if self.as_json:
            typer.echo(_json(found, altered))
        else:
            for line in (*_lines(found), *_of_report(altered, report)):
                typer.echo(line)
        if found.findings or altered or any(not one.own for one in found.kept):
            raise typer.Exit(EXIT_NEGATIVE)

    def _given(self, text: str) -> Head:
        from streamer.records.chain import REGISTER, Head

        count, _, digits = text.partition(":")
        hexadecimal = len(digits) >= HEAD_DIGITS and not digits.lower().strip("0123456789abcdef")
        if not count.isdecimal() or not hexadecimal:
            raise typer.BadParameter(
                f"--head is COUNT:HASH, of the hash {HEAD_DIGITS} digits or more; it is that of"
                " STREAM, or without one that of the register"
            )
        return Head(chain=self.stream or REGISTER, count=int(count), hash=digits.lower())


def _json(found: Verification, altered: tuple[str, ...] | None) -> str:
    import msgspec

    report = {} if altered is None else {"altered": altered}
    return msgspec.json.encode(msgspec.to_builtins(found) | report).decode()


def _of_report(altered: tuple[str, ...] | None, report: Reported | None) -> Iterator[str]:
    """What is to be said of a report beside its heads."""
    if altered is None or report is None:
        return
    yield from altered[:MOST_LINES]
    if (more := len(altered) - MOST_LINES) > 0:
        yield f"and {more} lines more"
    yield f"report: {f'{len(altered)} findings' if altered else report.whole}"


def _lines(found: Verification) -> Iterator[str]:
    yield from map(str, found.findings)
    outcome = f"{len(found.findings)} findings" if found.findings else "all is whole"
    yield f"{found.streams} streams, {found.entries} entries: {outcome}"
    head = found.head
    yield f"register: {head.count} entries, head {head.hash}, key {head.key}"
    if (cut := found.restart) is not None:
        span = f"{when(cut.since)} to {when(cut.until)}"
        yield (
            f"register: its first {cut.count} entries, of {span}, were cut with"
            f" {cut.streams} deleted streams; then its head was {cut.hash}"
        )
    yield from map(str, found.kept)
    if found.kept:
        own = sum(one.own is True for one in found.kept)
        yield f"heads that this record had: {own} of {len(found.kept)}"
