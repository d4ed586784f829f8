"""`voxwatch exam ...`: exams, their rosters and the links of their candidates."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamer.commands.opened import opened_exams
from streamer.commands.options import ConfigOption, DataOption, JsonOption, configured
from streamer.commands.profiles import table, when

if TYPE_CHECKING:
    from streamer.config import Config
    from streamer.exams.book import Exams
    from streamer.exams.exam import Candidate, Exam, Rules

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Make exams, put candidates on their rosters, and give them links.",
)

ExamArgument = Annotated[str, typer.Argument(metavar="EXAM", help="Its id, as `exam list` says.")]


@app.command("create")
@dataclass(frozen=True, kw_only=True)
class CreateCommand:
    """Make an exam, with its roster where there is one.

    Times are of this machine's zone unless they say another. A roster is CSV with the columns
    candidate, name, voiceprint and accommodations (illness, stutter, interpreter, whispering),
    of which only the first is needed.

    \b
    Example:
      voxwatch exam create "Algebra I" --start "2027-02-01 09:00" --hours 2 --roster algebra.csv
    """

    name: Annotated[str, typer.Argument(metavar="NAME", help="Shown to candidates.")]
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="When it begins [now].")
    ] = None
    hours: Annotated[float, typer.Option("--hours", min=0.01, help="How long it lasts.")] = 2.0
    roster: Annotated[Path | None, typer.Option("--roster", metavar="CSV", help="Who sits it.")] = (
        None
    )
    enrol: Annotated[
        bool, typer.Option("--enrol/--no-enrol", help="Whether candidates may enrol by their link.")
    ] = True
    speaking: Annotated[
        bool, typer.Option("--speaking/--writing", help="Whether silence is worth a look.")
    ] = True
    incident_s: Annotated[
        float | None,
        typer.Option("--incident", min=0.1, help="Seconds of speech of another voice to be told."),
    ] = None
    # Not named like the setting, which it does not override.
    wrong_match: Annotated[
        float | None,
        typer.Option("--false-accept", help="Tolerated share of strangers who are matched."),
    ] = None
    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Make it, all of it or nothing."""
        import msgspec

        from streamer.exams.roster_file import read_roster

        entries = read_roster(self.roster) if self.roster is not None else []
        now = time.time()
        starts_at = now if self.start is None else _time(self.start)
        with opened_exams(configured(self)) as (exams, _):
            ends_at = starts_at + timedelta(hours=self.hours).total_seconds()
            made = exams.create(self.name, starts_at, ends_at, self._rules(), now)
            people = exams.add(made.id, entries) if entries else []
        if self.as_json:
            typer.echo(msgspec.json.encode(made).decode())
            return
        typer.echo(f"{made.id}: {made.name}, {len(people)} candidates, until {when(made.ends_at)}")
        if not people:
            typer.echo(f"put them on it: voxwatch exam roster {made.id} FILE.csv", err=True)

    def _rules(self) -> Rules:
        import msgspec

        from streamer.exams.errors import ExamError
        from streamer.exams.exam import Rules

        rules: dict[str, Any] = {"enrol": self.enrol, "speaking": self.speaking}
        if self.incident_s is not None:
            rules["incident_s"] = self.incident_s
        if self.wrong_match is not None:
            rules["false_accept"] = self.wrong_match
        try:
            return msgspec.convert(rules, Rules)
        except msgspec.ValidationError as error:
            raise ExamError(f"the rules of the exam: {error}") from error


@app.command("list")
@dataclass(frozen=True, kw_only=True)
class ListCommand:
    """List exams, the latest first.

    \b
    Example:
      voxwatch exam list
    """

    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print a line an exam."""
        import msgspec

        with opened_exams(configured(self)) as (exams, _):
            found = [(exam, len(exams.roster(exam.id))) for exam in exams.exams()]
        if self.as_json:
            for exam, _ in found:
                typer.echo(msgspec.json.encode(exam).decode())
        elif found:
            rows = [("exam", "name", "candidates", "starts", "ends", "ended")]
            rows += [(e.id, e.name, str(n), when(e.starts_at), when(e.ends_at), end_of(e))
                     for e, n in found]  # fmt: skip
            typer.echo(table(rows))
        else:
            typer.echo("there is no exam: voxwatch exam create NAME", err=True)


@app.command("roster")
@dataclass(frozen=True, kw_only=True)
class RosterCommand:
    """Put candidates on the roster of an exam, or change who is on it, by a CSV.

    Lines with a candidate who is on it already change that one; nobody is taken off. A file with
    a mistake changes nothing, and each line that is wrong is named.

    \b
    Example:
      voxwatch exam roster 1a2b3c4d algebra.csv
    """

    exam: ExamArgument
    file: Annotated[Path, typer.Argument(metavar="CSV", help="candidate, name, voiceprint.")]
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """All of them, or none."""
        from streamer.exams.roster_file import read_roster

        entries = read_roster(self.file)
        with opened_exams(configured(self)) as (exams, _):
            exams.add(self.exam, entries)
            count = len(exams.roster(self.exam))
        typer.echo(f"{len(entries)} lines: {count} candidates on the roster")


@app.command("link")
@dataclass(frozen=True, kw_only=True)
class LinkCommand:
    """Print the links of candidates, as CSV to be mailed: candidate, name, link, expires.

    A link makes whoever opens it that one candidate in that one exam, so give it to nobody else.
    It is the same each time it is asked for; --renew makes another, and the one before holds no
    more.

    \b
    Examples:
      voxwatch exam link 1a2b3c4d --url https://voice.example.org > links.csv
      voxwatch exam link 1a2b3c4d --candidate 4711 --renew
    """

    exam: ExamArgument
    candidate: Annotated[
        list[str] | None, typer.Option("--candidate", help="Of this one; may repeat [of all].")
    ] = None
    renew: Annotated[
        bool, typer.Option("--renew", help="Others: those that were given hold no more.")
    ] = False
    hours: Annotated[
        float | None,
        typer.Option("--hours", min=0.01, help="They hold so long from now [1 h after the exam]."),
    ] = None
    url: Annotated[
        str | None, typer.Option("--url", help="Where candidates reach the server [as it listens].")
    ] = None
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Print a line a candidate."""
        from streamer.reports.forms.tables import csv_text

        config = configured(self)
        base = (self.url or _address(config)).rstrip("/")
        until = None if self.hours is None else time.time() + 3600 * self.hours
        with opened_exams(config) as (exams, _):
            people = self._people(exams)
            if self.renew:
                people = [exams.renew_link(one) for one in people]
            links = exams.links(people, expires_at=until)
            ends_at = exams.exam(self.exam).ends_at
        if until is not None and until < ends_at:
            typer.echo(f"warning: they expire before the exam ends, {when(ends_at)}", err=True)
        rows = [("candidate", "name", "link", "expires")]
        for one, (token, expires_at) in zip(people, links, strict=True):
            rows.append((one.candidate, one.name, f"{base}/candidate#{token}", when(expires_at)))
        typer.echo(csv_text(rows), nl=False)

    def _people(self, exams: Exams) -> list[Candidate]:
        if self.candidate:
            return [exams.candidate(self.exam, who) for who in self.candidate]
        return [one for one in exams.roster(self.exam) if not one.forgotten]


@app.command("end")
@dataclass(frozen=True, kw_only=True)
class EndCommand:
    """End an exam now: its streams end with their summaries, and its links hold no more.

    \b
    Example:
      voxwatch exam end 1a2b3c4d
    """

    exam: ExamArgument
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """End it; a server that runs follows within a second."""
        with opened_exams(configured(self)) as (exams, _):
            ended = exams.end(self.exam, time.time())
        typer.echo(f"{ended.name}: {end_of(ended)}")


def end_of(exam: Exam) -> str:
    return "not ended" if exam.ended_at is None else f"ended {when(exam.ended_at)}"


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time like 2027-02-01 09:00") from error


def _address(config: Config) -> str:
    """Where the server is reached, as far as its configuration says."""
    if told := config.public_url or next(iter(config.origins), None):
        return told
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{'https' if config.tls_cert else 'http'}://{host}:{config.port}"
