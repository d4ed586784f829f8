"""`voxwatch evaluate` measures a bundle on a list of trials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from models.commands.options import (
    BundleOption,
    ChannelOption,
    NoiseOption,
    ProviderOption,
    ReliableOption,
    given,
)


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand:
    """Measure a model bundle on a list of trials.

    Reports EER, minDCF, actDCF, Cllr and minCllr with intervals over speakers, for each
    duration of net speech and each condition of the test side, list by list and in the mean,
    as report.md and report.json with DET and score plots.

    \b
    Examples:
      voxwatch evaluate trials.txt --audio-root wav --durations 2,3,full --conditions clean
      voxwatch evaluate speakers/ --bundle my-bundle --output report
    """

    trials: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRIALS...", help="Lists of `1 enrol.wav test.wav`, or folders of speakers."
        ),
    ]
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the report, tables and plots go.")
    ] = Path("evaluation")
    audio_root: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the lists' paths start [the list's folder]."),
    ] = None
    reliable: ReliableOption = None
    bundle: BundleOption = None
    durations: Annotated[
        str, typer.Option(help="Net seconds of the test side, `full` for all of it.")
    ] = "1,2,3,5,full"
    conditions: Annotated[
        str,
        typer.Option(
            help="What befalls the test side: clean, noise, reverb, telephone, opus, hiss,"
            " suppression."
        ),
    ] = "all"
    noise: NoiseOption = None
    channel: ChannelOption = None
    short: Annotated[
        Literal["drop", "keep"], typer.Option(help="Trials with too little speech for a duration.")
    ] = "drop"
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples over speakers for the intervals.")
    ] = 1000
    seed: Annotated[int, typer.Option(min=0, help="Of noise, rooms, trials and resamples.")] = 0
    provider: ProviderOption = "auto"
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the model.")] = 1

    def run(self) -> None:
        """Measure, print the report and say where it is."""
        from models.evaluation import evaluate as evaluation
        from models.evaluation.report import as_markdown

        options = given(self) | {"conditions": evaluation.parse_conditions(self.conditions)}
        options["reliable"] = self.reliable or ()
        options["durations_s"] = evaluation.parse_durations(options.pop("durations"))
        report = evaluation.run(**options)
        typer.echo(as_markdown(report))
        for line in report.left_out:
            typer.echo(f"left out: {line}", err=True)
        typer.echo(f"written to {self.output}", err=True)
