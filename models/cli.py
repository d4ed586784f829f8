"""The offline commands: verify, evaluate, benchmark, tune, train, calibrate, models.

`streamer.cli` loads this module by name. The modules of the commands import what they call
inside their functions: most of it imports torch, and `verify` must not wait for that.
"""

from __future__ import annotations

from typing import Any, Protocol

import typer

from models.commands import bundles
from models.commands.benchmark import BenchmarkCommand
from models.commands.calibrate import CalibrateCommand
from models.commands.evaluate import EvaluateCommand
from models.commands.train import TrainCommand
from models.commands.tune import TuneCommand
from models.commands.verify import VerifyCommand


class Command(Protocol):
    """A command: a frozen record of its options, whose docstring is its help."""

    def run(self) -> None:
        """Do it. Raises :class:`VoxwatchError`."""


def run(command: Command | None, **_: Any) -> None:
    """Run the command that the command line named; those of `models` are functions."""
    if command is not None:
        command.run()


app = typer.Typer(rich_markup_mode=None, result_callback=run)
app.add_typer(
    bundles.app, name="models", help="List, fetch, import, export and check model bundles."
)
COMMANDS: dict[str, type[Command]] = {
    "verify": VerifyCommand,
    "evaluate": EvaluateCommand,
    "benchmark": BenchmarkCommand,
    "tune": TuneCommand,
    "train": TrainCommand,
    "calibrate": CalibrateCommand,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
