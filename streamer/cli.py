"""The command `voxwatch`.

The serving commands are in `streamer/commands/`, whose modules import what they need when they
are called. The offline commands live in `models/`, which may import torch. They are known here
by name and summary only, and loaded when one of them is called: neither serving nor `--help`
pays for torch, and this room never imports that one.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from typing import Annotated, Any, NoReturn, Protocol

import typer
from typer.core import TyperGroup

from engine.errors import VoxwatchError
from streamer.commands import bench, exam, keys, lti, profiles, records, token, wyoming
from streamer.commands.audit import AuditCommand
from streamer.commands.backup import BackupCommand, RestoreCommand
from streamer.commands.doctor import DoctorCommand
from streamer.commands.enroll import EnrollCommand
from streamer.commands.exam_clips import WithdrawClipsCommand
from streamer.commands.exam_show import ShowCommand
from streamer.commands.listen import ListenCommand
from streamer.commands.mcp import McpCommand
from streamer.commands.records_verify import VerifyRecordsCommand
from streamer.commands.replay import ReplayCommand
from streamer.commands.report import ReportCommand
from streamer.commands.serve import ServeCommand
from streamer.commands.stream import StreamCommand

OFFLINE = {
    "verify": "Compare recordings: is it the same voice?",
    "evaluate": "Measure a model bundle on a list of trials.",
    "benchmark": "Measure live decisions on generated conversations.",
    "tune": "Choose settings that keep your error rates on your own recordings.",
    "models": "List, fetch, import, export and check model bundles.",
    "train": "Train a network.",
    "calibrate": "Fit score normalisation and calibration into a bundle.",
}
# By import name the extra that brings what some commands need: those that train, convert or plot,
# and those that speak other protocols.
TRAIN = ("torch", "torchaudio", "pyroomacoustics", "scipy", "matplotlib", "tensorboard")
EXTRAS = dict.fromkeys((*TRAIN, "onnx", "onnxscript"), "train")
EXTRAS |= {"wyoming": "wyoming", "zeroconf": "wyoming", "mcp": "mcp"}
EXTRAS |= dict.fromkeys(("pylti1p3", "jwt", "jwcrypto", "requests"), "lti")
EXIT_ERROR = 2


class LazyGroup(TyperGroup):
    """A group whose offline commands are placeholders until one of them is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that ``args`` name, loaded; the placeholder serves help and suggestions."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_offline(name) if name in OFFLINE else command, rest


def load_offline(name: str) -> Any:
    """The offline command ``name``, which loads the room that holds it."""
    return typer.main.get_group(importlib.import_module("models.cli").app).commands[name]


class Command(Protocol):
    """A command: a frozen record of its options, whose docstring is its help."""

    def run(self) -> None:
        """Do it. Raises :class:`VoxwatchError`."""


def run(command: Command | None, **_: Any) -> None:
    """Run the command that the command line named; `--help` and `--version` name none."""
    if command is not None:
        command.run()


app = typer.Typer(
    cls=LazyGroup,
    result_callback=run,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Verify speakers: is this still the same voice?",
)


def _register(name: str, summary: str) -> None:
    def placeholder() -> None:
        raise AssertionError(f"{name} was not loaded")

    app.command(name, help=summary)(placeholder)


for _name, _summary in OFFLINE.items():
    _register(_name, _summary)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voxwatch {importlib.metadata.version('voxwatch')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


COMMANDS: dict[str, type[Command]] = {
    "serve": ServeCommand,
    "listen": ListenCommand,
    "enroll": EnrollCommand,
    "stream": StreamCommand,
    "mcp": McpCommand,
    "replay": ReplayCommand,
    "doctor": DoctorCommand,
    "backup": BackupCommand,
    "restore": RestoreCommand,
    "audit": AuditCommand,
    "report": ReportCommand,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
exam.app.command("show")(ShowCommand)
exam.app.command("withdraw-clips")(WithdrawClipsCommand)
records.app.command("verify")(VerifyRecordsCommand)
GROUPS = {
    "wyoming": wyoming.app,
    "profiles": profiles.app,
    "records": records.app,
    "exam": exam.app,
    "keys": keys.app,
    "lti": lti.app,
    "token": token.app,
    "bench": bench.app,
}
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)


def main() -> None:
    """Run the command line; every failure a user can cure ends in one line and a status.

    Exit status: 0 done, 2 wrong usage or an error, 130 interrupted; a command's own help
    says what else it returns.
    """
    # A second thread of OpenBLAS would spin for longer than the small products of spans take: for
    # 2.4 ms of a busy machine. It is read when numpy is loaded, which no command has done yet.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app(prog_name="voxwatch")
    except VoxwatchError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        _fail(f"this command needs {package}: pip install 'voxwatch[{EXTRAS[package]}]'")
    except OSError as error:
        place = error.filename or "input or output"
        _fail(f"{place}: {error.strerror or error}: check the path, its permissions and the disk")
    except Exception as error:
        client = sys.modules.get("voxwatch_client")  # loaded by who called a server
        if client is None or not isinstance(error, client.ClientError):
            raise
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    line = " ".join(message.split())  # one line, whatever a file name has in it
    print(f"error: {line}", file=sys.stderr)
    sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
