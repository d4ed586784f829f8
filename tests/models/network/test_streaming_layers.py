"""Layers of the streaming network against their definitions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.network.streaming_layers import (
    DelayedDepthwise,
    RunningGRN,
    decay_matrix,
    delayed,
)

DECAY = 0.9


def plain_grn(
    layer: RunningGRN, x: torch.Tensor, mask: torch.Tensor, decays: torch.Tensor
) -> torch.Tensor:
    """What :class:`RunningGRN` computes, with a gradient that nobody wrote out."""
    blocks = (x * mask).square().view(len(x), -1, 10, x.shape[2]).sum(dim=2)
    norm = (decays @ blocks + 1e-8).sqrt()
    scale = 1 + layer.gamma * norm / (norm.mean(dim=-1, keepdim=True) + 1e-6)
    return x * scale.repeat_interleave(10, dim=1) + layer.beta


def test_the_written_gradient_of_grn_is_the_right_one() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    layer, decays, mask = RunningGRN(6), decay_matrix(4, DECAY), torch.ones(2, 40, 1)
    mask[:, :3], mask[1, 33:] = 0, 0
    with torch.no_grad():
        layer.gamma.copy_(draw(6))
        layer.beta.copy_(draw(6))
    x, towards = draw(2, 40, 6).requires_grad_(), draw(2, 40, 6)
    found, gradients = [], []
    for function in (layer, lambda *a: plain_grn(layer, *a)):
        y = function(x, mask, decays)
        found.append(y.detach())
        inputs = (x, layer.gamma, layer.beta)
        gradients.append(torch.autograd.grad((y * towards).sum(), inputs))
    torch.testing.assert_close(found[0], found[1])
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


# PyTorch's compiler instantiates a Function itself.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_the_gradient_that_a_compiler_fuses_is_that_of_the_convolution() -> None:
    for taps, ahead in ((7, 3), (33, 8)):
        layer = DelayedDepthwise(32, taps, ahead)
        generator = torch.Generator().manual_seed(taps)
        x = torch.randn(2, 60, 32, generator=generator, requires_grad=True)
        towards = torch.randn(2, 60, 32, generator=generator)
        inputs = (x, layer.weight, layer.bias)
        # This backend takes the compiler's way and generates no code.
        for function in (layer, torch.compile(layer, backend="aot_eager")):
            y = function(x)
            gradients = torch.autograd.grad((y * towards).sum(), inputs)
            if function is layer:
                expected = (y, *gradients)
        for ours, theirs in zip((y, *gradients), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_running_sums_fade_block_by_block() -> None:
    sums = decay_matrix(3, DECAY) @ torch.tensor([[1.0], [0.0], [2.0]])
    torch.testing.assert_close(sums.flatten(), torch.tensor([1.0, 0.9, 0.81 + 2]))


def test_a_convolution_looks_as_far_ahead_as_it_may() -> None:
    for kernel, ahead in ((7, 8), (65, 8), (9, 2), (5, 0)):
        layer = DelayedDepthwise(8, kernel, ahead)
        x = torch.randn(1, 100, 8, generator=torch.Generator().manual_seed(kernel))
        reach = min(ahead, kernel // 2)
        with torch.no_grad():
            padded = F.pad(x.transpose(1, 2), (kernel - 1 - reach, reach))
            expected = F.conv1d(padded, layer.weight, layer.bias, groups=8).transpose(1, 2)
            found = layer(x)
        torch.testing.assert_close(found[:, ahead:], expected[:, : 100 - ahead])


def test_what_was_before_the_beginning_is_nothing() -> None:
    x = torch.arange(1.0, 21.0).view(1, 20, 1)
    assert delayed(x, 3).flatten().tolist() == [0, 0, 0, *range(1, 18)]
    assert delayed(x, 0) is x
