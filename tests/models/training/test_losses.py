"""Losses against their definitions on small cases."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from models.training.losses import GE2E, AAMSoftmax, distillation, triplet_margin


def unit(*angles_deg: float) -> torch.Tensor:
    angles = torch.tensor(angles_deg) * math.pi / 180
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def aam_with(centres: torch.Tensor, margin: float) -> AAMSoftmax:
    loss = AAMSoftmax(2, len(centres), centres.shape[1], scale=8.0)
    loss.weight.data = centres.clone()
    loss.margin = margin
    return loss


def test_aam_adds_the_margin_to_the_angle_of_the_target() -> None:
    centres = unit(0, 90).unsqueeze(1)
    loss = aam_with(centres, margin=0.3)(unit(20), torch.tensor([0]))
    angle = math.radians(20)
    logits = 8.0 * torch.tensor([[math.cos(angle + 0.3), math.cos(math.pi / 2 - angle)]])
    assert loss.item() == pytest.approx(F.cross_entropy(logits, torch.tensor([0])).item(), abs=1e-5)


def test_aam_takes_the_nearest_sub_centre() -> None:
    centres = torch.stack([unit(0, 180), unit(90, 270)])
    near = aam_with(centres, margin=0.0)(unit(175), torch.tensor([0]))
    single = aam_with(unit(180, 90).unsqueeze(1), margin=0.0)(unit(175), torch.tensor([0]))
    assert near.item() == pytest.approx(single.item(), abs=1e-5)


def test_aam_gets_no_easier_past_pi() -> None:
    loss = aam_with(unit(0, 90).unsqueeze(1), margin=0.5)
    # cos(angle + margin) alone would turn back at 180 - 29 degrees.
    far, farther = (loss(unit(a), torch.tensor([0])).item() for a in (-155.0, -175.0))
    competitor = [8 * math.cos(math.radians(90 + a)) for a in (155.0, 175.0)]
    target = [-math.log(math.expm1(v)) + c for v, c in zip((far, farther), competitor, strict=True)]
    assert target[1] < target[0]


def test_aam_leaves_unlabelled_rows_out() -> None:
    loss = aam_with(unit(0, 90).unsqueeze(1), margin=0.2)
    both = loss(unit(10, 70), torch.tensor([0, -1]))
    assert both.item() == pytest.approx(loss(unit(10), torch.tensor([0])).item(), abs=1e-6)
    none = loss(unit(10, 70), torch.tensor([-1, -1]))
    assert none.item() == 0.0


def test_distillation_is_the_mean_cosine_distance() -> None:
    value = distillation(3 * unit(0, 60), unit(60, 60))
    assert value.item() == pytest.approx((0.5 + 0.0) / 2, abs=1e-6)


def test_triplet_takes_the_hardest_pair_of_each_row() -> None:
    labels = torch.tensor([0, 0, 1, 2])
    x = unit(0, 40, 60, 200)

    # Rows 2 and 3 have no partner. Row 0: 1-cos 40 against 1-cos 60; row 1: against 1-cos 20.
    def d(a: float) -> float:
        return 1 - math.cos(math.radians(a))

    expected = (max(d(40) - d(60) + 0.3, 0) + max(d(40) - d(20) + 0.3, 0)) / 2
    assert triplet_margin(x, labels, 0.3).item() == pytest.approx(expected, abs=1e-5)


def test_triplet_without_any_pair_is_zero_and_differentiable() -> None:
    x = unit(0, 90).requires_grad_()
    loss = triplet_margin(x, torch.tensor([0, 1]))
    loss.backward()
    assert loss.item() == 0.0


def test_ge2e_leaves_a_row_out_of_its_own_centroid() -> None:
    x = unit(0, 20, 90, 110)
    loss = GE2E(2)
    own = math.cos(math.radians(20))  # each row against its only companion
    other = [math.cos(math.radians(a)) for a in (100, 80, 80, 100)]
    logits = torch.tensor([[10 * own - 5, 10 * o - 5] for o in other])
    expected = F.cross_entropy(logits, torch.zeros(4, dtype=torch.long))
    assert loss(x).item() == pytest.approx(expected.item(), abs=1e-5)


def test_ge2e_needs_pairs() -> None:
    with pytest.raises(ValueError, match="at least two"):
        GE2E(1)
