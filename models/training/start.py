"""Weights that a run starts from: a checkpoint of ours, of the same network or a smaller one.

What a narrower network has learned is not learned again. Every channel becomes two, which share
its outgoing weights at random (Net2Net, Chen et al., ICLR 2016, arXiv 1511.05641): the wider
network computes what the narrower one did, and the copies of a channel part ways as it learns on.
Where the stem joins more frames of features, the taps of a convolution are taken at their offsets
in time, and one between two frames goes to both: that is nearly the same function.

A deeper network has more blocks of layers at the end of a stage, which look back only
(``backward``). They begin with nothing to add to what comes in, so that it computes what the
shallower one did.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from models.network.checkpoint import load_trained
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.network.streaming_layers import DelayedDepthwise, StreamingBlock
from models.training.config import TrainingError

SHARES = (0.15, 0.85)  # of an outgoing weight that the first of two copies gets
OTHERWISE_ALIKE = ("embedding_size", "n_mels", "memory_s", "prior_s")


def start_network(source: Path, arch: StreamingArchitecture, seed: int) -> StreamingNeXtTDNN:
    """A network of shape ``arch`` with the weights of ``source``; ``seed`` is for a larger one.

    Raises :class:`TrainingError` for a network that cannot begin one of that shape, and
    ``CheckpointError`` for a file that cannot be read.
    """
    network, _ = load_trained(source)
    network.heads = None  # they are of the network as it was
    return network if network.arch == arch else grown(network, arch, seed)


@torch.no_grad()
def grown(source: StreamingNeXtTDNN, arch: StreamingArchitecture, seed: int) -> StreamingNeXtTDNN:
    """A network of shape ``arch`` with what ``source`` has learned.

    Raises :class:`TrainingError` where channels, kernels or blocks of layers cannot be taken over,
    or a layer's look-ahead would be another span of time.
    """
    old = source.arch
    factor, joined = arch.channels / old.channels, arch.stride / old.stride
    fits = factor in (1, 2) and joined >= 1 and joined == int(joined)
    fits &= len(arch.kernel_sizes) == len(old.kernel_sizes)
    fits &= arch.ahead_frames * joined == old.ahead_frames
    added = arch.backward - old.backward
    fits &= all(n - o == added >= 0 for n, o in zip(arch.depths, old.depths, strict=True))
    if not fits or any(getattr(arch, name) != getattr(old, name) for name in OTHERWISE_ALIKE):
        raise TrainingError(f"a network of shape {old} cannot begin one of shape {arch}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for what added blocks of layers begin with
        network = StreamingNeXtTDNN(arch)
    _Growth(int(factor), int(joined), seed).network(network, source)
    return network


class _Growth:
    """Copies layer by layer. Channels lie in parts, each of them copied within itself."""

    def __init__(self, factor: int, joined: int, seed: int) -> None:
        self._factor, self._joined = factor, joined
        self._generator = torch.Generator().manual_seed(seed)

    def network(self, new: StreamingNeXtTDNN, old: StreamingNeXtTDNN) -> None:
        stages, bands = len(old.arch.depths), len(old.arch.kernel_sizes)
        new.prior_mean.copy_(old.prior_mean)
        self.linear(new.stem, old.stem, inputs=0, outputs=1)
        self.vectors(new.stem_norm, old.stem_norm, 1)
        for number, (new_stage, old_stage) in enumerate(zip(new.stages, old.stages, strict=True)):
            blocks = [*cast(nn.ModuleList, new_stage)]
            for new_block, old_block in zip(blocks, cast(nn.ModuleList, old_stage), strict=False):
                self.block(cast(StreamingBlock, new_block), cast(StreamingBlock, old_block), bands)
            for added in blocks[old.arch.depths[number] :]:
                self.idle(cast(StreamingBlock, added))
        self.linear(new.mfa, old.mfa, inputs=stages, outputs=stages)
        self.vectors(new.mfa_norm, old.mfa_norm, stages)
        self.linear(new.squeeze, old.squeeze, inputs=stages, outputs=1)
        self.linear(new.attend, old.attend, inputs=1, outputs=stages)
        self.vectors(new.bn2, old.bn2, 2 * stages)
        self.linear(new.fc, old.fc, inputs=2 * stages, outputs=0)
        new.bn3.load_state_dict(old.bn3.state_dict())

    def block(self, new: StreamingBlock, old: StreamingBlock, bands: int) -> None:
        self.linear(new.project, old.project, inputs=1, outputs=bands)
        for new_conv, old_conv in zip(new.convs, old.convs, strict=True):
            pair = cast(DelayedDepthwise, new_conv), cast(DelayedDepthwise, old_conv)
            self.conv(*pair, new.ahead, old.ahead)
        self.linear(new.mix, old.mix, inputs=bands, outputs=1)
        self.vectors(new.norm, old.norm, 1)
        self.linear(new.expand, old.expand, inputs=1, outputs=1)
        self.vectors(new.grn, old.grn, 1)
        self.linear(new.contract, old.contract, inputs=1, outputs=1)

    def idle(self, block: StreamingBlock) -> None:
        """Have a block put out what comes in, until it learns to add to it."""
        for last in (block.mix, block.contract):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def linear(self, new: nn.Linear, old: nn.Linear, *, inputs: int, outputs: int) -> None:
        """``inputs`` and ``outputs`` are the parts whose channels are copied, 0: they are not."""
        weight = self._copies(old.weight, outputs)
        if inputs and self._factor == 2:
            low, high = SHARES
            share = low + (high - low) * torch.rand(weight.shape, generator=self._generator)
            shared = [(weight * s).chunk(inputs, dim=1) for s in (share, 1 - share)]
            weight = torch.cat([part for pair in zip(*shared, strict=True) for part in pair], dim=1)
        new.weight.copy_(weight)
        new.bias.copy_(self._copies(old.bias, outputs))

    def conv(
        self, new: DelayedDepthwise, old: DelayedDepthwise, ahead: int, old_ahead: int
    ) -> None:
        """``ahead`` and ``old_ahead`` are those of the blocks, in frames of each network."""
        weight = torch.zeros(old.weight.shape[0], 1, new.weight.shape[2])
        newest, old_newest = weight.shape[2] - 1, old.weight.shape[2] - 1
        for tap in range(old_newest + 1):
            # From the frame that is put out, in the frames of the old network and of the new one.
            offset = tap - old_newest + old_ahead - old.skip
            frame, rest = divmod(offset, self._joined)
            for place, share in ((frame, self._joined - rest), (frame + 1, rest)):
                at = place + newest - (ahead - new.skip)
                if share and 0 <= at <= newest:
                    weight[..., at] += share / self._joined * old.weight[..., tap]
        new.weight.copy_(self._copies(weight, 1))
        new.bias.copy_(self._copies(old.bias, 1))

    def vectors(self, new: nn.Module, old: nn.Module, parts: int) -> None:
        own = new.state_dict()
        for name, value in old.state_dict().items():
            own[name].copy_(self._copies(value, parts) if value.ndim else value)

    def _copies(self, values: Tensor, parts: int) -> Tensor:
        """Each of ``parts`` parts of the first axis twice, or as often as channels are copied."""
        if not parts:
            return values
        return torch.cat([p for part in values.chunk(parts) for p in [part] * self._factor])
