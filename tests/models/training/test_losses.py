"""Losses against their definitions on small cases."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from models.training.losses import AAMSoftmax, distillation, relational


def unit(*angles_deg: float) -> torch.Tensor:
    angles = torch.tensor(angles_deg) * math.pi / 180
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def aam_with(centres: torch.Tensor, margin: float) -> AAMSoftmax:
    loss = AAMSoftmax(2, len(centres), scale=8.0, margin=margin)
    loss.weight.data = centres.clone()
    return loss


def test_aam_adds_the_margin_to_the_angle_of_the_target() -> None:
    loss = aam_with(unit(0, 90), margin=0.3)(unit(20), torch.tensor([0]))
    angle = math.radians(20)
    logits = 8.0 * torch.tensor([[math.cos(angle + 0.3), math.cos(math.pi / 2 - angle)]])
    assert loss.item() == pytest.approx(F.cross_entropy(logits, torch.tensor([0])).item(), abs=1e-5)


def test_aam_gets_no_easier_past_pi() -> None:
    loss = aam_with(unit(0, 90), margin=0.5)
    # cos(angle + margin) alone would turn back at 180 - 29 degrees.
    far, farther = (loss(unit(a), torch.tensor([0])).item() for a in (-155.0, -175.0))
    competitor = [8 * math.cos(math.radians(90 + a)) for a in (155.0, 175.0)]
    target = [-math.log(math.expm1(v)) + c for v, c in zip((far, farther), competitor, strict=True)]
    assert target[1] < target[0]


def test_aam_leaves_unlabelled_rows_out() -> None:
    loss = aam_with(unit(0, 90), margin=0.2)
    both = loss(unit(10, 70), torch.tensor([0, -1]))
    assert both.item() == pytest.approx(loss(unit(10), torch.tensor([0])).item(), abs=1e-6)
    none = loss(unit(10, 70), torch.tensor([-1, -1]))
    assert none.item() == 0.0


def test_distillation_is_the_mean_cosine_distance() -> None:
    value = distillation(3 * unit(0, 60), unit(60, 60))
    assert value.item() == pytest.approx((0.5 + 0.0) / 2, abs=1e-6)


def test_relations_are_what_counts_whatever_the_axes() -> None:
    targets = unit(0, 60, 130)
    assert relational(5 * unit(40, 100, 170), targets).item() == pytest.approx(0, abs=1e-10)
    off = relational(unit(0, 90), unit(0, 60))
    assert off.item() == pytest.approx(2 * 0.5**2 / 4, abs=1e-6)
