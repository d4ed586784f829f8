"""Weights that a run starts from: a checkpoint of ours, or a windowed NeXt-TDNN in a bundle.

The streaming network has the layers of NeXt-TDNN, and what they have learned of voices is of
use to it though their context differs: a convolution takes the taps that it still reaches, each
at its own offset in time, and linear layers are taken as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from engine.model.bundle import load_bundle
from models.network.checkpoint import load_trained
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.network.streaming_layers import DelayedDepthwise, StreamingBlock
from models.training.config import TrainingError

Weights = dict[str, NDArray[np.float32]]
# By the name of the layer here, that of its weights in a graph of `models.network.export`.
RENAMED = {"squeeze": "pool.squeeze", "attend": "pool.attend", "fc": "pool.embed"}
LINEAR_IN_BLOCK = {
    "project": "project",
    "mix": "mix",
    "expand": "feed_forward.expand",
    "contract": "feed_forward.contract",
}


def start_network(source: Path, arch: StreamingArchitecture) -> StreamingNeXtTDNN:
    """A network of shape ``arch`` with the weights of ``source``.

    Raises :class:`TrainingError` for one of another shape, ``CheckpointError`` and
    ``BundleError`` for one that cannot be read.
    """
    if source.is_dir():
        return from_windowed(load_bundle(source).model_path, arch)
    network, _ = load_trained(source)
    if network.arch != arch:
        raise TrainingError(f"{source} holds a network of another shape: {network.arch}")
    network.heads = None  # they are of the network as it was
    return network


@torch.no_grad()
def from_windowed(graph: Path, arch: StreamingArchitecture) -> StreamingNeXtTDNN:
    """From the graph of a NeXt-TDNN that `voxwatch models export` wrote."""
    weights, network = _graph_weights(graph), StreamingNeXtTDNN(arch)
    try:
        stem = weights["stem.weight"].transpose(0, 2, 1)
        _put(network.stem.weight, stem.reshape(len(stem), -1))
        _put(network.stem.bias, weights["stem.bias"])
        _norm(network.stem_norm, weights, "stem_norm")
        kernels = _kernels(weights)
        for i, stage in enumerate(network.stages):
            for j, block in enumerate(cast(nn.ModuleList, stage)):
                _block(cast(StreamingBlock, block), weights, f"stages.{i}.{j}.", kernels)
        _linear(network.mfa, weights, "mfa")
        _norm(network.mfa_norm, weights, "mfa_norm")
        for name, theirs in RENAMED.items():
            _linear(cast(nn.Linear, getattr(network, name)), weights, theirs)
    except (KeyError, IndexError, RuntimeError) as error:
        raise TrainingError(
            f"{graph} does not hold a NeXt-TDNN of the shape that is trained ({error})"
        ) from error
    return network


def _graph_weights(graph: Path) -> Weights:
    weights = {}
    for tensor in onnx.load(graph).graph.initializer:
        name = tensor.name.removesuffix(".fp16").removeprefix("network.")
        weights[name] = numpy_helper.to_array(tensor).astype(np.float32)
    return weights


def _kernels(weights: Weights) -> list[NDArray[np.float32]]:
    """Depthwise kernels ``(C, 1, k)`` in the order of the layers; the exporter renames them."""
    found = [re.fullmatch(r"unsqueeze_?(\d*)", name) for name in weights]
    numbers = sorted((int(m[1] or 0), m[0]) for m in found if m is not None)
    kernels = [weights[name] for _, name in numbers]
    return [k.reshape(k.shape[0], 1, -1) for k in kernels]


def _block(
    block: StreamingBlock, weights: Weights, name: str, kernels: list[NDArray[np.float32]]
) -> None:
    for ours, theirs in LINEAR_IN_BLOCK.items():
        _linear(cast(nn.Linear, getattr(block, ours)), weights, name + theirs)
    _norm(block.norm, weights, f"{name}feed_forward.norm")
    _put(block.grn.gamma, weights[f"{name}feed_forward.gamma"].reshape(-1))
    for i, layer in enumerate(block.convs):
        conv = cast(DelayedDepthwise, layer)
        _put(conv.weight, _shifted(kernels.pop(0), conv, block.ahead))
        _put(conv.bias, weights[f"{name}convs.{i}.bias"])


def _shifted(
    kernel: NDArray[np.float32], conv: DelayedDepthwise, ahead: int
) -> NDArray[np.float32]:
    """The taps ``(C, 1, k)`` that a kernel with less look-ahead keeps, at their offsets in time."""
    size = conv.weight.shape[2]
    shift = size // 2 - min(ahead, size // 2)
    if shift == 0:
        return kernel
    moved = np.zeros_like(kernel)
    moved[..., shift:] = kernel[..., :-shift]
    return moved


def _linear(layer: nn.Linear, weights: Weights, name: str) -> None:
    _put(layer.weight, weights[f"{name}.weight"].T)
    _put(layer.bias, weights[f"{name}.bias"])


def _norm(layer: nn.LayerNorm, weights: Weights, name: str) -> None:
    _put(layer.weight, weights[f"{name}.weight"])
    _put(layer.bias, weights[f"{name}.bias"])


def _put(parameter: Tensor, value: NDArray[np.float32]) -> None:
    if tuple(parameter.shape) != value.shape:
        raise RuntimeError(f"{value.shape} where {tuple(parameter.shape)} is needed")
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
