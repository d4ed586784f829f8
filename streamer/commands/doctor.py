"""`voxwatch doctor`."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass

import typer

from streamer.commands.options import (
    EXIT_NEGATIVE,
    BundleOption,
    ConfigOption,
    DataOption,
    JsonOption,
    ProviderOption,
    configured,
)

MARKS = {True: "ok", False: "FAIL", None: "-"}


@dataclass(frozen=True, kw_only=True)
class DoctorCommand:
    """Check devices, model, providers, store, port and clock, and say what to do.

    Changes nothing. Exit status: 0 nothing is wrong; 1 something is; 2 error.

    \b
    Example:
      voxwatch doctor
    """

    config: ConfigOption = None
    data_dir: DataOption = None
    bundle: BundleOption = None
    provider: ProviderOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print a line a check, or more where there is advice."""
        settings = configured(self)

        import json

        from streamer.local.doctor import check_all

        failed = False
        for check in check_all(settings, os.environ, time.time()):
            failed = failed or check.ok is False
            if self.as_json:
                typer.echo(json.dumps(asdict(check), ensure_ascii=False))
                continue
            typer.echo(f"{MARKS[check.ok]:5s}{check.name:20s}{check.detail}")
            if check.advice:
                typer.echo(f"{'':25s}{check.advice}")
        if failed:
            raise typer.Exit(EXIT_NEGATIVE)
