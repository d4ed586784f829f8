"""The trained network re-expressed for inference: the same function, a leaner graph.

What differs from ``models.network.next_tdnn``, each measured in onnxruntime 1.31 on one thread
(C=128, B=3, 3 s; 15.2 ms before, 11.6 ms after):

- batch norms, and the shifts of GRN, are folded into the linear layers beside them;
- one transpose to channels-first serves all kernels of a block, not one each, which lets
  onnxruntime keep the convolutions and their joining in its blocked layout;
- sums over time are products with a row of ones: the runtime's reduction over a middle
  axis took longer than the depthwise convolutions it follows;
- linear layers hold their weight the way ``MatMul`` takes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.network.frontend import LogMel
from models.network.next_tdnn import (
    GRN_EPS,
    VARIANCE_FLOOR,
    AttentiveStatisticsPooling,
    DepthwiseConv,
    FeedForward,
    NeXtTDNN,
    TSConvNeXt,
    TSConvNeXtLight,
)

NORM_FLOOR = 1e-12


class Affine(nn.Module):
    """``x @ weight + bias`` over the last axis, ``weight`` as ``(inputs, outputs)``."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """``weight`` comes as ``(outputs, inputs)``, as torch keeps it."""
        super().__init__()
        self.register_buffer("weight", weight.t().contiguous())
        self.register_buffer("bias", bias.clone())

    @classmethod
    def of(cls, layer: nn.Module) -> Affine:
        """From a linear layer, or a convolution of width one."""
        weight, bias = cast(Tensor, layer.weight), cast(Tensor, layer.bias)
        return cls(weight.reshape(weight.shape[0], -1), bias)

    def after(self, norm: nn.Module) -> Affine:
        """This layer with a batch norm of its inputs folded in."""
        scale, shift = _batch_norm(norm)
        weight = self.weight.t()
        return Affine(weight * scale, self.bias + weight @ shift)

    def before(self, norm: nn.Module) -> Affine:
        """This layer with a batch norm of its outputs folded in."""
        scale, shift = _batch_norm(norm)
        return Affine(self.weight.t() * scale[:, None], self.bias * scale + shift)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def _batch_norm(module: nn.Module) -> tuple[Tensor, Tensor]:
    norm = cast(nn.BatchNorm1d, module)
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight / (variance + norm.eps).sqrt()
    return scale, norm.bias - mean * scale


def _convolve(convs: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Depthwise convolutions of ``(B, T, C)``, the channels divided between them."""
    layers = [cast(DepthwiseConv, conv) for conv in convs]
    parts = x.transpose(1, 2).unsqueeze(2).chunk(len(layers), dim=1)
    outputs = [
        F.conv2d(
            part,
            conv.weight.unsqueeze(2),
            conv.bias,
            padding=(0, conv.kernel_size[0] // 2),
            groups=conv.groups,
        )
        for conv, part in zip(layers, parts, strict=True)
    ]
    y = torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]
    return y.squeeze(2).transpose(1, 2)


class FeedForwardInference(nn.Module):
    """Norm, expand, GELU, GRN, contract; the shift of GRN is in the last layer's bias."""

    gamma: Tensor

    def __init__(self, block: FeedForward) -> None:
        super().__init__()
        self.norm = block.norm
        self.expand = Affine.of(block.pwconv1)
        contract = block.pwconv2
        shift = contract.weight @ block.grn.beta.flatten()
        self.contract = Affine(contract.weight, contract.bias + shift)
        self.register_buffer("gamma", block.grn.gamma.detach().clone())

    def forward(self, x: Tensor, ones: Tensor) -> Tensor:
        h = F.gelu(self.expand(self.norm(x)))
        norm = (ones @ (h * h)).clamp_min(NORM_FLOOR).sqrt()
        relative = norm / (norm.mean(dim=-1, keepdim=True) + GRN_EPS)
        y: Tensor = self.contract(h * (1.0 + self.gamma * relative))
        return y


class BlockInference(nn.Module):
    """Either kind of TS-ConvNeXt block."""

    def __init__(self, block: TSConvNeXt | TSConvNeXtLight) -> None:
        super().__init__()
        self.feed_forward = FeedForwardInference(block)
        self.project: Affine | None = None
        self.mix: Affine | None = None
        if isinstance(block, TSConvNeXt):
            self.project = Affine.of(block.projection_linear)
            self.mix = Affine.of(block.pwconv_1stage)
            self.convs = block.mscconv
        else:
            self.convs = nn.ModuleList([block.dwconv])

    def forward(self, x: Tensor, ones: Tensor) -> Tensor:
        y = _convolve(self.convs, x if self.project is None else self.project(x))
        x = x + (y if self.mix is None else self.mix(F.gelu(y)))
        x = x + self.feed_forward(x, ones)
        return x


class PoolingInference(nn.Module):
    """Attentive statistics pooling with its three batch norms folded away."""

    def __init__(self, pooling: AttentiveStatisticsPooling) -> None:
        super().__init__()
        self.squeeze = Affine.of(pooling.conv_1).before(pooling.bn1)
        self.attend = Affine.of(pooling.conv_2)
        self.embed = Affine.of(pooling.fc).after(pooling.bn2).before(pooling.bn3)

    def forward(self, x: Tensor, ones: Tensor) -> Tensor:
        weighted = self.attend(torch.tanh(self.squeeze(x))).softmax(dim=1) * x
        mean = ones @ weighted
        variance = ones @ (weighted * x) - mean * mean
        std = variance.clamp_min(VARIANCE_FLOOR).sqrt()
        embedding: Tensor = self.embed(torch.cat([mean, std], dim=2).squeeze(1))
        return embedding


class NetworkInference(nn.Module):
    """``NeXtTDNN`` for inference: features ``(B, n_mels, T)`` to embeddings ``(B, D)``."""

    def __init__(self, network: NeXtTDNN) -> None:
        super().__init__()
        backbone = network.model
        self.stem, self.stem_norm = cast(nn.Sequential, backbone.stem[0])
        self.stages = nn.ModuleList(
            nn.ModuleList(
                BlockInference(cast(TSConvNeXt, block)) for block in cast(nn.Sequential, stage)
            )
            for stage in backbone.stages
        )
        self.mfa, self.mfa_norm = Affine.of(backbone.MFA[0]), backbone.MFA[1]
        self.pool = PoolingInference(network.aggregate)

    def forward(self, features: Tensor) -> Tensor:
        x = self.stem_norm(self.stem(features).transpose(1, 2))
        ones = x.new_ones((1, x.shape[1]))
        outputs = []
        for stage in self.stages:
            for block in cast(nn.ModuleList, stage):
                x = block(x, ones)
            outputs.append(x)
        x = self.mfa_norm(self.mfa(torch.cat(outputs, dim=-1)))
        embedding: Tensor = self.pool(x, ones)
        return embedding


class WaveformEncoder(nn.Module):
    """What a bundle's graph computes: waveforms ``(B, samples)`` to unit embeddings ``(B, D)``."""

    def __init__(self, network: NeXtTDNN, front_end: LogMel) -> None:
        super().__init__()
        self.front_end = front_end
        self.network = NetworkInference(network)

    def forward(self, waveform: Tensor) -> Tensor:
        e: Tensor = self.network(self.front_end(waveform))
        return e / (e * e).sum(dim=1, keepdim=True).sqrt().clamp_min(NORM_FLOOR)
