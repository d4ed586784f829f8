"""`voxwatch bench ...`: what this machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamer.commands.options import BundleOption, JsonOption, ProviderName

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Measure what this machine can do."
)

StreamsOption = Annotated[
    int | None, typer.Option(min=1, help="Try that many streams [search for the most].")
]
SecondsOption = Annotated[float, typer.Option(min=1, help="Measured in each trial.")]
BenchProvider = Annotated[ProviderName, typer.Option("--provider", help="What computes.")]


@app.command()
def engine(
    bundle: BundleOption = None,
    provider: BenchProvider = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads that compute [one a core].")
    ] = None,
    seconds: SecondsOption = 8.0,
    streams: StreamsOption = None,
    speech: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is spoken [synthesised].")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Windows a second, and the most live streams, of the engine without sockets.

    \b
    Example:
      voxwatch bench engine --provider cpu --json
    """
    from streamer.bench.engine import EngineBenchOptions, run

    report = run(EngineBenchOptions(bundle, provider, threads, seconds, speech, streams), _say)
    typer.echo(report.json() if as_json else report.table())


@app.command()
def streams(
    bundle: BundleOption = None,
    provider: BenchProvider = "auto",
    seconds: SecondsOption = 10.0,
    streams: StreamsOption = None,
    as_json: JsonOption = False,
) -> None:
    """The most live streams of a server over real WebSockets, and what each costs.

    \b
    Example:
      voxwatch bench streams --provider cpu --json
    """
    from streamer.bench.streams import ServerBenchOptions, run

    report = run(ServerBenchOptions(bundle, provider, seconds, streams), _say)
    typer.echo(report.json() if as_json else report.table())


def _say(line: str) -> None:
    typer.echo(line, err=True)
