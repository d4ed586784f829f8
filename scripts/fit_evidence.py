"""Fit decisions over time into a calibrated bundle.

  python scripts/fit_evidence.py BUNDLE --cache runs/cache --heldout runs/mine/heldout.txt

Comes after `voxwatch calibrate`, on the same data, and takes a few minutes on an idle core.
Prints the error rates and delays that it measured on speakers held out of training.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.errors import VoxwatchError
from models.calibration.effective_speech import Effective, plot_effective
from models.calibration.evidence_fit import fit_evidence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--output", type=Path, help="the fitted bundle [in place]")
    parser.add_argument("--plot", type=Path, help="what more speech is worth, as a picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    try:
        fitted = fit_evidence(
            given.bundle,
            given.cache,
            given.heldout,
            given.output,
            seed=given.seed,
            threads=given.threads,
        ).manifest.calibration
    except VoxwatchError as error:
        sys.exit(f"error: {error}")
    assert fitted is not None
    assert fitted.evidence is not None
    evidence = fitted.evidence
    print(f"slope {evidence.slope:.3f}, offset {evidence.offset:.3f}")
    print(evidence.takeover, evidence.change, sep="\n")
    if given.plot and evidence.fitted["effective_speech"]:
        plot_effective(Effective(**evidence.fitted["effective_speech"]), given.plot)
    for name, rows in evidence.fitted.items():
        if isinstance(rows, list):
            print(name, *(json.dumps(row) for row in rows), sep="\n  ")


if __name__ == "__main__":
    main()
