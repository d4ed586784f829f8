"""CAM++ in torch to a bundle: waveform in, embedding out, its filter bank inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.model.bundle import Bundle
from models.network.campplus import EMBEDDING_SIZE, N_MELS, CAMPPlus, load_campplus
from models.network.export import FloatPrecision, Identity, _export
from models.network.fbank import KaldiFbank
from models.network.feature_encoder import describe
from models.network.onnx_import import bundle_with_fbank

Float32 = NDArray[np.float32]


class _ChannelsFirst(nn.Module):
    """The network with its time axis last, which is the one that the exporter leaves open."""

    def __init__(self, network: CAMPPlus) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        embedding: Tensor = self.network(features.transpose(1, 2))
        return embedding


def campplus_to_onnx(network: CAMPPlus) -> bytes:
    """The network alone in fp32: ``features (B, 80, T)`` to ``embedding (B, 192)``."""
    example = torch.zeros(2, N_MELS, 300)
    return _export(_ChannelsFirst(network.eval()), example, "features", "frames")


def export_campplus(
    weights: Path, output: Path, identity: Identity, *, precision: FloatPrecision = "fp32"
) -> Bundle:
    """Write the published CAM++ as an uncalibrated bundle, checked against torch.

    Raises ``CheckpointError`` for other weights, ``ExportError`` when the graph does not match
    torch, ``BundleError`` when it cannot be written.
    """
    network = load_campplus(weights)
    encoder = describe(onnx.load_from_string(campplus_to_onnx(network)), "CAM++")

    def embed(features: Float32) -> Float32:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(features)).numpy())

    return bundle_with_fbank(
        encoder, KaldiFbank(), embed, EMBEDDING_SIZE, output, identity, precision
    )
