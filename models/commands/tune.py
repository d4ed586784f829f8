"""`voxwatch tune` chooses settings that keep error rates on a user's own recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from models.commands.options import BundleOption, ProviderOption


@dataclass(frozen=True, kw_only=True)
class TuneCommand:
    """Choose settings that keep your error rates on your own recordings.

    Prints what every setting that was tried gives, with the upper ends of 95 % intervals, and
    saves the quickest that keeps what was asked for; refuses where the recordings are too few
    to tell. One a day is 0.04 false alarms per hour.

    \b
    Example:
      voxwatch tune recordings/ --false-accept 0.05 --miss 0.1 --output voxwatch.toml
    """

    speakers: Annotated[
        Path,
        typer.Argument(metavar="SPEAKERS", help="A folder of speakers, or a CSV of recordings."),
    ]
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="The settings, for `voxwatch serve --config`.")
    ] = Path("voxwatch.toml")
    false_accept: Annotated[
        float, typer.Option(help="Allowed share of impostors that are accepted, 0 to 0.5.")
    ] = 0.01
    miss: Annotated[
        float, typer.Option(help="Allowed share of speakers that are rejected, 0 to 0.5.")
    ] = 0.05
    false_alarms_per_hour: Annotated[
        float | None,
        typer.Option(help="Allowed alarms per hour of an accepted speaker [not looked at]."),
    ] = None
    bundle: BundleOption = None
    streams: Annotated[
        int, typer.Option(min=1, help="At most so many streams; twice as many of impostors.")
    ] = 400
    seed: Annotated[int, typer.Option(min=0, help="Of streams and resamples.")] = 0
    provider: ProviderOption = "cpu"
    threads: Annotated[int, typer.Option(min=1, help="Streams at once.")] = 1

    def run(self) -> None:
        """Search, print what was tried, and save the settings."""
        from models.benchmark import tune as tuning
        from models.benchmark.tuning_text import as_text, as_toml

        costs = tuning.Costs(self.false_accept, self.miss, self.false_alarms_per_hour)
        found = tuning.tune(
            self.speakers,
            costs,
            bundle=self.bundle,
            streams=self.streams,
            seed=self.seed,
            provider=self.provider,
            threads=self.threads,
        )
        typer.echo(as_text(found))
        self.output.write_text(as_toml(found), encoding="utf-8")
        typer.echo(f"written to {self.output}", err=True)
