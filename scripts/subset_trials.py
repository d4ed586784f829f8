"""Trials among a fixed random share of a list's files.

    python scripts/subset_trials.py LIST SHARE OUTPUT

For comparisons with systems too slow to embed every file. The choice depends on the
list's contents alone; paths are copied as they stand.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

SEED = "voxwatch"


def subset(lines: list[str], share: float) -> list[str]:
    """The trials of ``lines`` whose two files both fall among the chosen ``share``."""
    files = sorted({path for line in lines for path in line.split()[1:]})
    kept = set(random.Random(SEED).sample(files, round(share * len(files))))
    return [line for line in lines if set(line.split()[1:]) <= kept]


def main() -> None:
    """Reads LIST and writes OUTPUT."""
    if len(sys.argv) != 4:
        sys.exit("usage: subset_trials.py LIST SHARE OUTPUT")
    lines = [line for line in Path(sys.argv[1]).read_text().splitlines() if line.strip()]
    chosen = subset(lines, float(sys.argv[2]))
    Path(sys.argv[3]).write_text("".join(f"{line}\n" for line in chosen))


if __name__ == "__main__":
    main()
