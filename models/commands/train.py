"""`voxwatch train` trains a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """Train a network.

    Everything it reads is prepared on the first run. A run that was killed loses a few
    minutes at most: give the same command with --resume.

    \b
    Examples:
      voxwatch train models/configs/streaming_c256_b2.toml
      voxwatch train models/configs/streaming_c256_b2.toml --resume
    """

    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file of a run.")]
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Checkpoint, log and curves [runs/CONFIG's name]."),
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in the output.")
    ] = False
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto"
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads [as many as there are cores].")
    ] = None

    workers: Annotated[
        int, typer.Option(min=0, help="Processes that make batches beside the one that learns.")
    ] = 0

    def run(self) -> None:
        """Train until the run is done."""
        from models.training.loop import run

        output = self.output or Path("runs") / self.config.stem
        run(
            self.config,
            output,
            resume=self.resume,
            device=self.device,
            threads=self.threads,
            workers=self.workers,
        )
