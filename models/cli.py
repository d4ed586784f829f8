"""The offline commands: verify, evaluate, benchmark, tune, train, calibrate, models.

`streamer.cli` loads this module by name. The modules of the commands import what they call
inside their functions: most of it imports torch, and `verify` must not wait for that.
"""

from __future__ import annotations

import typer

from models.commands import bundles
from models.commands.benchmark import benchmark
from models.commands.calibrate import calibrate
from models.commands.evaluate import evaluate
from models.commands.train import train
from models.commands.tune import tune
from models.commands.verify import verify

app = typer.Typer(rich_markup_mode=None)
app.add_typer(
    bundles.app, name="models", help="List, fetch, import, export and check model bundles."
)
for command in (verify, evaluate, benchmark, tune, train, calibrate):
    app.command()(command)
