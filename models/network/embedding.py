"""Embeddings of whole waveforms by the streaming network in torch, each of its own length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from models.network.frontend import CausalLogMel, FrontEndConfig
from models.network.streaming import StreamingNeXtTDNN
from models.network.streaming_layers import BLOCK_FRAMES

AT_ONCE_S = 64  # of sound in a batch

Float32 = NDArray[np.float32]


@torch.inference_mode()
def embed(
    network: StreamingNeXtTDNN,
    waveforms: Sequence[Float32],
    front_end: FrontEndConfig | None = None,
) -> Float32:
    """Embeddings ``(N, D)`` of 16 kHz waveforms ``(samples,)``, not of unit length.

    A waveform is one span from a stream's beginning to its end; samples after its last whole
    frame of 10 ms are left out, and it must have one. The network must be in evaluation mode.
    """
    layer, found = CausalLogMel(front_end).to(network.prior_mean.device), {}
    group: list[int] = []
    for i in sorted(range(len(waveforms)), key=lambda i: len(waveforms[i])):
        if group and (len(group) + 1) * len(waveforms[i]) > AT_ONCE_S * SAMPLE_RATE_HZ:
            found.update(_embed_group(network, layer, waveforms, group))
            group = []
        group.append(i)
    found.update(_embed_group(network, layer, waveforms, group))
    return np.stack([found[i] for i in range(len(waveforms))])


def _embed_group(
    network: StreamingNeXtTDNN, layer: CausalLogMel, waveforms: Sequence[Float32], group: list[int]
) -> dict[int, Float32]:
    arch, hop = network.arch, layer.config.hop_samples
    frames = [len(waveforms[i]) // hop for i in group]
    blocks = -(-max(frames) // BLOCK_FRAMES)
    sound = np.zeros((len(group), blocks * BLOCK_FRAMES * hop), np.float32)
    mask = torch.zeros(len(group), blocks * BLOCK_FRAMES + arch.delay_feature_frames, 1)
    for row, (i, count) in enumerate(zip(group, frames, strict=True)):
        sound[row, : count * hop] = waveforms[i][: count * hop]
        mask[row, :count] = 1
    device = network.prior_mean.device
    features = layer(torch.from_numpy(sound).to(device))
    features = F.pad(features, (0, 0, 0, arch.delay_feature_frames))
    # Frames that are none weigh nothing: the sum over all blocks is that of the waveform.
    sums = network.block_sums(features, mask.to(device)).sum(dim=1)
    return dict(zip(group, network.head(sums).cpu().numpy(), strict=True))
