"""The averaged network of a training checkpoint alone, its matrices in half precision.

A full checkpoint has the network as it was and the optimisers' moments beside it, and is some
eight times as long. What this writes is a `schedule.start_from` and what `voxwatch models export`
takes.

    python scripts/slim_checkpoint.py runs/mine/last.pt models/checkpoints/mine.pt
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
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    network, training = load_trained(options.checkpoint)
    weights = {
        # Norms and biases are short, and a variance may not fit: they stay as they are.
        name: value.half() if value.is_floating_point() and value.ndim > 1 else value
        for name, value in network.state_dict().items()
    }
    arch = read_checkpoint(options.checkpoint)["arch"]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"ema": weights, "arch": arch, **training}, options.output)
    print(
        f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB, step {training['step']}"
    )


if __name__ == "__main__":
    main()
