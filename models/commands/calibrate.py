"""`voxwatch calibrate` fits score normalisation and calibration into a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from engine.model.manifest import Manifest
from models.commands.options import ProviderOption, given


@dataclass(frozen=True, kw_only=True)
class CalibrateCommand:
    """Fit score normalisation and calibration into a bundle.

    Uses training data only: the cohort comes from speakers that were trained on, the
    calibration from those that training held out. Prints its quality on speakers that each
    fold of the cross-validation had not seen.

    \b
    Example:
      voxwatch calibrate bundles/mine --cache runs/cache --heldout runs/mine/heldout.txt
    """

    bundle: Annotated[Path, typer.Argument(metavar="FOLDER", help="The bundle to calibrate.")]
    cache: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The speech that training prepared.")
    ]
    heldout: Annotated[Path, typer.Option(metavar="FILE", help="heldout.txt of the training run.")]
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The calibrated bundle [in place]."),
    ] = None
    cohort_per_source: Annotated[
        int, typer.Option(min=2, help="Most cohort speakers from one source of speech.")
    ] = 1000
    seed: Annotated[int, typer.Option(min=0, help="Of segments, trials and folds.")] = 0
    provider: ProviderOption = "cpu"
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the model.")] = 1

    def run(self) -> None:
        """Fit, and print how good it is."""
        from models.calibration.calibrate import calibrate

        fitted = calibrate(**given(self))
        typer.echo(_calibration_table(fitted.manifest))
        typer.echo(
            "Evaluation and alarms of the bundle were of another calibration and are gone:"
            " `voxwatch evaluate` and scripts/fit_evidence.py measure and fit them again; until"
            " then live decisions use general alarms.",
            err=True,
        )


def _calibration_table(manifest: Manifest) -> str:
    """Cross-validated figures by duration and condition, as the fit recorded them."""
    rows = manifest.calibration.fitted["cross_validated"] if manifest.calibration else []
    lines = [list(row) for row in rows[:1]] + [[str(cell) for cell in row.values()] for row in rows]
    return "\n".join("".join(f"{cell:>12}" for cell in line) for line in lines)
