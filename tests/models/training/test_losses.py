"""Losses against their definitions on small cases."""

from __future__ import annotations

import math

import pytest
import torch

from models.training.losses import distillation, relational


def unit(*angles_deg: float) -> torch.Tensor:
    angles = torch.tensor(angles_deg) * math.pi / 180
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_distillation_is_the_mean_cosine_distance() -> None:
    value = distillation(3 * unit(0, 60), unit(60, 60))
    assert value.item() == pytest.approx((0.5 + 0.0) / 2, abs=1e-6)


def test_relations_are_what_counts_whatever_the_axes() -> None:
    targets = unit(0, 60, 130)
    assert relational(5 * unit(40, 100, 170), targets).item() == pytest.approx(0, abs=1e-10)
    off = relational(unit(0, 90), unit(0, 60))
    assert off.item() == pytest.approx(2 * 0.5**2 / 4, abs=1e-6)
