"""What each parameter is taught by."""

import torch

from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.training.config import Schedule
from models.training.learner import _optimisers


def test_every_parameter_has_one_optimiser_and_only_what_may_shrink_is_decayed() -> None:
    network = StreamingNeXtTDNN(StreamingArchitecture(channels=8, depths=(1, 1, 1)))
    matrices, others = _optimisers(network, Schedule(steps=1, weight_decay=0.1))
    assert isinstance(matrices, torch.optim.Muon)
    taught, decayed = [], set()
    for group in (*matrices.param_groups, *others.param_groups):
        taught += [id(p) for p in group["params"]]
        if group["weight_decay"]:
            decayed |= {id(p) for p in group["params"]}
    assert sorted(taught) == sorted(id(p) for p in network.parameters())
    assert decayed == {id(p) for p in network.parameters() if p.ndim > 1}
    by_muon = {id(p) for group in matrices.param_groups for p in group["params"]}
    assert by_muon == {id(p) for p in network.parameters() if p.ndim == 2}
