from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from models.network.frontend import LogMel
from models.network.inference import NetworkInference, WaveformEncoder
from models.network.next_tdnn import NeXtTDNN


@pytest.mark.parametrize("light", [False, True])
def test_the_inference_form_computes_the_same_embedding(
    light: bool, tiny_network: Callable[..., NeXtTDNN]
) -> None:
    network = tiny_network(light=light)
    features = torch.randn(2, 80, 61, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = network(features), NetworkInference(network).eval()(features)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_whole_form_gives_unit_embeddings_of_waveforms(
    tiny_network: Callable[..., NeXtTDNN],
) -> None:
    network, front_end = tiny_network(), LogMel()
    waveform = 0.1 * torch.randn(3, 8000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = torch.nn.functional.normalize(network(front_end(waveform)), dim=1)
        found = WaveformEncoder(network, front_end).eval()(waveform)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_network_it_came_from_is_left_as_it_was(
    tiny_network: Callable[..., NeXtTDNN],
) -> None:
    network = tiny_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    NetworkInference(network)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
