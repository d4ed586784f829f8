"""`voxwatch benchmark` measures live decisions on generated conversations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from models.commands.options import BundleOption, NoiseOption, ProviderOption, given


@dataclass(frozen=True, kw_only=True)
class BenchmarkCommand:
    """Measure live decisions on generated conversations.

    Makes conversations with known truth from recordings of any speakers, streams them through
    the live engine and reports times to accept and reject, wrong decisions, takeover delay
    against false alarms, and changes of voice, each with intervals over speakers. With --rttm
    it scores another system's turns against a reference instead.

    \b
    Examples:
      voxwatch benchmark speakers/ --output report --threads 2
      voxwatch benchmark report/reference.rttm --rttm other.rttm --output scored
    """

    speakers: Annotated[
        Path,
        typer.Argument(
            metavar="SPEAKERS",
            help="A folder of speakers, a CSV with path and speaker, or a reference RTTM.",
        ),
    ]
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the report, plots and RTTM go.")
    ] = Path("benchmark")
    only: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Names of the speakers to use, one a line [all]."),
    ] = None
    rttm: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score this RTTM against the reference, no sound."),
    ] = None
    bundle: BundleOption = None
    per_kind: Annotated[
        int, typer.Option(min=1, help="Conversations of a kind; some have a part or a multiple.")
    ] = 150
    noise: NoiseOption = None
    rival: Annotated[
        list[str] | None,
        typer.Option(metavar="COMMAND", help="Another system behind a pipe; may repeat."),
    ] = None
    rivals_hear: Annotated[
        int | None, typer.Option(min=1, help="Conversations of a kind for rivals [all].")
    ] = None
    cache: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keeps the rivals' answers.")
    ] = None
    cosine_threshold: Annotated[
        str | None,
        typer.Option(
            metavar="X|FILE",
            help="Of the fixed-cosine baseline: a number, or benchmark.json of other speakers.",
        ),
    ] = None
    audio: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Writes the conversations as FLAC.")
    ] = None
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples for the intervals.")
    ] = 1000
    seed: Annotated[int, typer.Option(min=0, help="Of conversations, noise and resamples.")] = 0
    provider: ProviderOption = "cpu"
    threads: Annotated[int, typer.Option(min=1, help="Conversations at once.")] = 1

    def run(self) -> None:
        """Measure, print the report and say where it is."""
        from models.benchmark import benchmark as bench
        from models.benchmark.report import as_markdown

        options = given(self)
        rttm, rivals = options.pop("rttm"), options.pop("rival") or ()
        if rttm is not None:
            report = bench.score_rttm(
                self.speakers, rttm, self.output, resamples=self.resamples, seed=self.seed
            )
        else:
            report = bench.run(**options, rivals=rivals)
        typer.echo(as_markdown(report))
        typer.echo(f"written to {self.output}", err=True)
