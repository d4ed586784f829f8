"""Draws the curve of a training run: python scripts/plot_training.py LOG.jsonl OUT.png."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main(log: Path, output: Path) -> None:
    """Error rates on held-out speakers above, losses below, over the steps."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [row["step"] for row in rows]
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 6), sharex=True)
    for key, label in (("eer_clean", "clean"), ("eer_augmented", "augmented")):
        above.plot(steps, [row[key] for row in rows], marker="o", label=label)
    above.set_ylabel("EER, % (held-out training speakers)")
    above.set_ylim(bottom=0)
    below.plot(steps, [row["distillation"] for row in rows], marker="o", label="distillation")
    below.plot(steps, [row["aam"] / 10 for row in rows], marker="o", label="AAM / 10")
    below.set_ylabel("loss of one batch")
    below.set_xlabel("step")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
