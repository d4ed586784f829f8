"""The mean of two training checkpoints of one network, weight by weight.

Two networks of which one learned on from the other lie in one valley of the loss, and their mean
may do better than either (Wortsman et al., "Model soups", ICML 2022). What this writes is the
second one's checkpoint with the mean of both averaged networks.

    python scripts/average_checkpoints.py runs/one/last.pt runs/two/last.pt runs/mean.pt
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from models.network.checkpoint import load_trained, read_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("first", "second", "output"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    (first, _), (second, training) = map(load_trained, (options.first, options.second))
    if first.arch != second.arch:
        sys.exit(f"{options.first} and {options.second} are networks of different shapes")
    weights = second.state_dict()
    for name, value in first.state_dict().items():
        if value.is_floating_point():  # what batches were counted is no weight
            weights[name] = value.lerp(weights[name], 0.5)
    arch = read_checkpoint(options.second)["arch"]
    torch.save({"ema": weights, "arch": arch, **training}, options.output)
    print(f"{options.output}: step {training['step']}")


if __name__ == "__main__":
    main()
