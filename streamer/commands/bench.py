"""`voxwatch bench ...`: what this machine can do."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from streamer.commands.options import BundleOption, JsonOption, ProviderChoice, ThreadsOption

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Measure what this machine can do."
)

StreamsOption = Annotated[
    int | None, typer.Option(min=1, help="Try that many streams [search for the most].")
]
SecondsOption = Annotated[float, typer.Option(min=1, help="Measured in each trial.")]


@app.command("engine")
@dataclass(frozen=True, kw_only=True)
class BenchEngine:
    """Windows a second, and the most live streams, of the engine without sockets.

    \b
    Example:
      voxwatch bench engine --provider cpu --json
    """

    bundle: BundleOption = None
    provider: ProviderChoice = "auto"
    threads: ThreadsOption = None
    seconds: SecondsOption = 8.0
    streams: StreamsOption = None
    speech: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is spoken [synthesised].")
    ] = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Measure and print the report."""
        from streamer.bench.engine import run

        report = run(self, _say)
        typer.echo(report.json() if self.as_json else report.table())


@app.command("streams")
@dataclass(frozen=True, kw_only=True)
class BenchStreams:
    """The most live streams of a server over real WebSockets, and what each costs.

    \b
    Example:
      voxwatch bench streams --provider cpu --json
    """

    bundle: BundleOption = None
    provider: ProviderChoice = "auto"
    seconds: SecondsOption = 10.0
    streams: StreamsOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Measure and print the report."""
        from streamer.bench.streams import run

        report = run(self, _say)
        typer.echo(report.json() if self.as_json else report.table())


def _say(line: str) -> None:
    """What is measured now, to who watches."""
    if sys.stderr.isatty():
        typer.echo(line, err=True)
