"""The averaged network of a training checkpoint alone, its matrices in half precision.

A full checkpoint has the network as it was and the optimisers' moments beside it, and is some
eight times as long. What this writes is a `schedule.start_from` and what `voxwatch models export`
takes.

    python scripts/slim_checkpoint.py runs/mine/last.pt models/checkpoints/mine.pt

With ``--mean-with OTHER --share SHARE`` so much of every weight is that of OTHER, such as what the
run began from: what lies between two networks of one descent may do better than either (Wortsman et
al., "Model soups", ICML 2022, arXiv 2203.05482). It has no heads then, nor figures of them: they
are of one network.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from engine.errors import VoxwatchError
from models.network.checkpoint import CheckpointError, load_trained, read_checkpoint
from models.network.streaming import StreamingNeXtTDNN


@torch.no_grad()
def move_towards(network: StreamingNeXtTDNN, other: StreamingNeXtTDNN, share: float) -> None:
    """Give ``network`` that share of the weights of ``other``, and no heads.

    Raises ``CheckpointError`` where they have not the same shape, or the share is none.
    """
    if not 0 <= share <= 1:
        raise CheckpointError(f"the share must be from 0 to 1, not {share}")
    if other.arch != network.arch:
        raise CheckpointError(f"a network of shape {other.arch} has no mean with {network.arch}")
    network.heads = other.heads = None
    theirs = other.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(theirs[name], share)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--mean-with", type=Path, metavar="OTHER")
    parser.add_argument("--share", type=float, default=0.5, help="of OTHER (%(default)s)")
    options = parser.parse_args()
    try:
        slim(options.checkpoint, options.output, options.mean_with, options.share)
    except VoxwatchError as error:
        parser.error(str(error))


def slim(checkpoint: Path, output: Path, mean_with: Path | None, share: float) -> None:
    """Write ``output`` and print its size."""
    network, training = load_trained(checkpoint)
    if mean_with:
        move_towards(network, load_trained(mean_with)[0], share)
        training.pop("heads", None)
    weights = {
        # Norms and biases are short, and a variance may not fit: they stay as they are.
        name: value.half() if value.is_floating_point() and value.ndim > 1 else value
        for name, value in network.state_dict().items()
    }
    arch = read_checkpoint(checkpoint)["arch"]
    output.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"ema": weights, "arch": arch, **training}, output)
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB, step {training['step']}")


if __name__ == "__main__":
    main()
