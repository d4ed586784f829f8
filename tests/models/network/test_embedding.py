"""Embeddings of whole waveforms do not depend on what is embedded beside them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from models.network.embedding import embed
from models.network.frontend import CausalLogMel
from models.network.streaming import StreamingNeXtTDNN


def test_a_waveform_is_embedded_as_if_it_were_alone(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN],
) -> None:
    network, rng = tiny_streaming_network(), np.random.default_rng(0)
    lengths = (16_000, 5000, 52_000, 20_000)
    waveforms = [0.1 * rng.standard_normal(n).astype(np.float32) for n in lengths]
    found = embed(network, waveforms)
    for row, waveform in zip(found, waveforms, strict=True):
        alone = embed(network, [waveform])[0]
        np.testing.assert_allclose(row, alone, rtol=1e-3, atol=1e-4)
    features = CausalLogMel()(torch.from_numpy(waveforms[0][None]))
    with torch.no_grad():
        padded = F.pad(features, (0, 0, 0, 50))
        mask = torch.ones(1, padded.shape[1], 1)
        mask[:, features.shape[1] :] = 0
        expected = network.head(network.block_sums(padded, mask).sum(dim=1))[0]
    np.testing.assert_allclose(found[0], expected.numpy(), rtol=1e-3, atol=1e-4)
