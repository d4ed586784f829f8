"""A program that compiles a teacher and compares what it says with what the same one says as it is.

It is one of its own, as `voxwatch train` is: what torch compiles with depends on what a process has
imported before, and a process of tests has imported anything.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from models.training.teacher import WINDOW_SAMPLES, Teacher

CPU = torch.device("cpu")
WINDOWS = 9
TOLERANCE = 0.01  # of bfloat16


class Spread(nn.Module):
    """Features ``(N, T, 80)`` to ``(N, 3)``."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(80, 3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(features.std(dim=1))
        return found


def spread() -> nn.Module:
    torch.manual_seed(0)
    return Spread().eval()


def noise(count: int) -> torch.Tensor:
    return 0.1 * torch.randn(count, WINDOW_SAMPLES, generator=torch.Generator().manual_seed(1))


class Said(Dataset[torch.Tensor]):
    """What a teacher says, wherever it is asked."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.teacher(noise(index))


def main() -> None:
    centre = np.zeros(3, np.float32)
    plain = Teacher(spread, centre, CPU, compile=False)(noise(WINDOWS))
    compiled = Teacher(spread, centre, CPU, compile=True)
    for workers in (0, 1):
        sampler = [WINDOWS, WINDOWS]
        loader = DataLoader(Said(compiled), batch_size=None, sampler=sampler, num_workers=workers)
        for found in loader:
            torch.testing.assert_close(found, plain, atol=TOLERANCE, rtol=0)
            scale = torch.ones(3, requires_grad=True)
            (found * scale).sum().backward()
            assert scale.grad is not None
            print(f"as said by {workers} workers")


if __name__ == "__main__":
    main()
