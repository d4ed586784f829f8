"""`voxwatch records ...`: what was decided in streams, as it is kept on this machine."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamer.commands.entry_lines import entry_line
from streamer.commands.opened import opened_book
from streamer.commands.options import (
    EXIT_NEGATIVE,
    ConfigOption,
    DataOption,
    JsonOption,
    configured,
)
from streamer.commands.profiles import table, when

if TYPE_CHECKING:
    from streamer.records.book import Book

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Read, verify, hold and delete the record of streams.",
)

StreamArgument = Annotated[str, typer.Argument(metavar="STREAM", help="As `records list` says.")]
ExamOption = Annotated[str | None, typer.Option("--exam", metavar="ID", help="Of this exam only.")]
WhyOption = Annotated[
    str,
    typer.Option("--why", metavar="TEXT", help="Noted beside it, encrypted."),
]


@app.command("list")
@dataclass(frozen=True, kw_only=True)
class ListCommand:
    """List recorded streams, oldest first.

    \b
    Example:
      voxwatch records list --person alice
    """

    exam: ExamOption = None
    person: Annotated[
        str | None, typer.Option("--person", metavar="NAME", help="Of this person only.")
    ] = None
    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print a line a stream."""
        import msgspec

        with opened_book(configured(self)) as book:
            person = None if self.person is None else _reference(book, self.person)
            found = book.streams(exam=self.exam, person=person)
        if self.as_json:
            for facts in found:
                typer.echo(msgspec.json.encode(facts).decode())
            return
        rows = [("stream", "label", "people", "begun", "ended", "entries", "held by")]
        for one in found:
            ended = "no end" if one.ended_at is None else when(one.ended_at)
            people, begun = ", ".join(one.people), when(one.started_at)
            held, entries = one.held_by or "", str(one.entries)
            rows.append((one.stream, one.label, people, begun, ended, entries, held))
        typer.echo(table(rows) if found else "no stream is recorded")


@app.command("show")
@dataclass(frozen=True, kw_only=True)
class ShowCommand:
    """Show what was recorded of a stream, an entry a line. That you did is noted in the record.

    \b
    Example:
      voxwatch records show 4f2a9c017bd0e655
    """

    stream: StreamArgument
    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print it."""
        import msgspec

        from streamer.store.audit import local_user

        with opened_book(configured(self)) as book:
            book.view([self.stream], local_user(), round(time.time(), 3))
            entries = book.history(self.stream)
        for number, entry in enumerate(entries, 1):
            fields: dict[str, Any] = msgspec.to_builtins(entry)
            if self.as_json:
                typer.echo(json.dumps({"number": number} | fields, ensure_ascii=False))
            else:
                typer.echo(entry_line(number, entry, fields))


@app.command("log")
@dataclass(frozen=True, kw_only=True)
class LogCommand:
    """Show the register: which streams there were, and who acted on, exported or deleted them.

    \b
    Example:
      voxwatch records log 4f2a9c017bd0e655
    """

    stream: Annotated[
        str | None,
        typer.Argument(metavar="[STREAM]", help="Of this one only.", show_default=False),
    ] = None
    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print a line an entry."""
        import msgspec

        with opened_book(configured(self)) as book:
            notes = book.register(self.stream)
        if self.as_json:
            for note in notes:
                typer.echo(msgspec.json.encode(note).decode())
            return
        rows = [(when(one.at), one.act, one.stream, one.who, one.why) for one in notes]
        typer.echo(table([("when", "act", "stream", "who", "why"), *rows]))


@dataclass(frozen=True, kw_only=True)
class _Hold:
    stream: StreamArgument
    why: WhyOption = ""
    config: ConfigOption = None
    data_dir: DataOption = None

    def act(self, act: Any) -> None:
        """Write it into the stream's record."""
        from streamer.records.entries import Acted
        from streamer.store.audit import local_user

        with opened_book(configured(self)) as book:
            t, now = book.last_t(self.stream), round(time.time(), 3)
            acted = Acted(at=now, t=t, who=local_user(), act=act, text=self.why)
            book.act(self.stream, acted)


@app.command("hold")
@dataclass(frozen=True, kw_only=True)
class HoldCommand(_Hold):
    """Keep a stream's record until it is released, whatever its age and whoever is deleted.

    \b
    Example:
      voxwatch records hold 4f2a9c017bd0e655 --why "appeal of 2 May"
    """

    def run(self) -> None:
        """Write it down."""
        self.act("hold")
        typer.echo(f"{self.stream} is held")


@app.command("release")
@dataclass(frozen=True, kw_only=True)
class ReleaseCommand(_Hold):
    """Keep a stream's record no longer than others.

    \b
    Example:
      voxwatch records release 4f2a9c017bd0e655
    """

    def run(self) -> None:
        """Write it down."""
        self.act("release")
        typer.echo(f"{self.stream} is released")


@app.command("delete")
@dataclass(frozen=True, kw_only=True)
class DeleteCommand:
    """Delete a stream's record. The register keeps that it was deleted, by whom and why.

    Exit status: 0 deleted; 1 not, as you said no; 2 error, also where it is held.

    \b
    Example:
      voxwatch records delete 4f2a9c017bd0e655 --yes
    """

    stream: StreamArgument
    why: WhyOption = ""
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Ask, unless told not to, and delete."""
        from streamer.store.audit import local_user

        with opened_book(configured(self)) as book:
            facts = book.facts(self.stream)
            asked = f"Delete the record of {self.stream}, {when(facts.started_at)}?"
            if not self.yes and not typer.confirm(asked):
                raise typer.Exit(EXIT_NEGATIVE)
            book.delete(self.stream, local_user(), self.why, round(time.time(), 3))
        typer.echo(f"the record of {self.stream} is deleted")


def _reference(book: Book, name: str) -> str:
    """The reference of somebody by name. Raises ``BadParameter``."""
    found = [reference for reference, known in book.names().items() if known == name]
    if not found:
        raise typer.BadParameter(f"nobody is enrolled or on a roster as {name!r}")
    return found[0]
