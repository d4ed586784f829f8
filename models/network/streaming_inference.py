"""The streaming network in chunks: sound and states in, block sums and states out.

The same function as :meth:`StreamingNeXtTDNN.block_sums`, written for a graph that serves:
what a layer needs of the past comes from its states instead of from the sequence, running sums
go on from where they were, and batch norms are folded into the linear layers beside them, as
``models.network.inference`` does and says why.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.network.block_heads import BlockHeads
from models.network.frontend import CausalLogMel, FrontEndConfig
from models.network.inference import Affine
from models.network.states import States
from models.network.streaming import (
    LOGIT_BOUND,
    STEM_FRAMES,
    StreamingArchitecture,
    StreamingNeXtTDNN,
)
from models.network.streaming_layers import (
    BLOCK_FRAMES,
    ENERGY_FLOOR,
    GRN_EPS,
    DelayedDepthwise,
    StreamingBlock,
)


class Masks:
    """Which frames are sound, as each layer sees it: its own delay ago."""

    def __init__(self, history: Tensor, delay_frames: int) -> None:
        """``history`` is ``(B, delay_frames + T, 1)``."""
        self._history, self._delay = history, delay_frames
        self._frames = history.shape[1] - delay_frames

    def at(self, delay: int) -> Tensor:
        """``(B, T, 1)`` of ``delay`` frames ago."""
        return self._history.narrow(1, self._delay - delay, self._frames)


class Running:
    """Exponentially forgetting sums over the blocks of a chunk, and of those before it."""

    def __init__(self, frames: Tensor, block_frames: int, decay: float) -> None:
        """``frames (T,)`` is any tensor with the chunk's length."""
        block = torch.div(torch.arange(frames.shape[0]), block_frames, rounding_mode="floor")
        ends = torch.arange(frames.shape[0] // block_frames)
        age = (ends[:, None] - block[None, :]).float()
        self._kept = torch.where(age >= 0, decay ** age.clamp_min(0), torch.zeros(()))
        self._faded = (decay ** (ends.float() + 1))[:, None]

    def sums(self, x: Tensor, before: Tensor) -> Tensor:
        """``(B, T, C)`` and the sum ``(B, 1, C)`` at the end of before: ``(B, blocks, C)``."""
        return self._kept @ x + self._faded * before


class BlockInChunks(nn.Module):
    """:class:`StreamingBlock` with states, ``delay`` frames behind the sound at its input."""

    gamma: Tensor

    def __init__(self, block: StreamingBlock, delay: int, block_frames: int) -> None:
        super().__init__()
        self.ahead, self.delay, self.block_frames = block.ahead, delay, block_frames
        self.project, self.mix = Affine.of(block.project), Affine.of(block.mix)
        self.convs, self.norm = block.convs, block.norm
        self.expand = Affine.of(block.expand)
        shift = block.contract.weight @ block.grn.beta
        self.contract = Affine(block.contract.weight, block.contract.bias + shift)
        self.register_buffer("gamma", block.grn.gamma.detach().clone())

    def forward(self, x: Tensor, masks: Masks, running: Running, states: States) -> Tensor:
        p = (self.project(x) * masks.at(self.delay)).transpose(1, 2)
        outputs = []
        for conv, part in zip(self.convs, p.chunk(len(self.convs), dim=1), strict=True):
            layer = cast(DelayedDepthwise, conv)
            whole = states.joined(part, layer.history, axis=2)
            outputs.append(layer.valid(whole[..., : whole.shape[2] - layer.skip]))
        y = torch.cat(outputs, dim=1).transpose(1, 2)
        x = states.delayed(x, self.ahead) + self.mix(F.gelu(y))
        h = F.gelu(self.expand(self.norm(x)))
        scaled: Tensor = self.contract(self._normalised(h, masks, running, states))
        return x + scaled

    def _normalised(self, h: Tensor, masks: Masks, running: Running, states: States) -> Tensor:
        """GRN without its shift, which is in the next layer's bias."""
        heard = h * masks.at(self.delay + self.ahead)
        energy = running.sums(heard * heard, states.take(h, 1, h.shape[2]))
        states.leave(energy[:, -1:])
        norm = (energy + ENERGY_FLOOR).sqrt()
        relative = norm / (norm.mean(dim=-1, keepdim=True) + GRN_EPS)
        scale = (1.0 + self.gamma * relative).unsqueeze(2)
        blocks = h.reshape(h.shape[0], -1, self.block_frames, h.shape[2])
        return (blocks * scale).reshape(h.shape[0], -1, h.shape[2])


def _heads_in_chunks(heads: BlockHeads) -> BlockHeads:
    """The same with matrices that the graph knows by name."""
    found = copy.deepcopy(heads)
    for name in ("hidden", "out"):
        setattr(found, name, Affine.of(getattr(heads, name)))
    return found


class FramesInChunks(nn.Module):
    """What the frames graph of a bundle computes.

    ``sound (B, n)`` at 16 kHz, ``n`` a multiple of 1600; ``frames (B,)`` int64: how many of its
    frames of 10 ms are sound, the rest being silence that stands for the look-ahead at the end
    of a stream; ``states (B, size)``, zeros for a new stream. Gives block sums
    ``(B, n / 1600, 3, pooled)``, which are those of ``delay_blocks`` ago, new states, and what
    the network's heads say of the same blocks, ``(B, n / 1600, 3)``, if it has any.
    """

    prior: Tensor

    def __init__(self, network: StreamingNeXtTDNN, front_end: FrontEndConfig | None = None) -> None:
        super().__init__()
        self.arch: StreamingArchitecture = network.arch
        self.front_end = CausalLogMel(front_end)
        self.register_buffer("prior", network.prior_mean.detach().clone())
        self.stem, self.stem_norm = Affine.of(network.stem), network.stem_norm
        self.stages = nn.ModuleList()
        delay = 0
        for stage in network.stages:
            blocks = nn.ModuleList()
            for block in cast(nn.ModuleList, stage):
                layers = cast(StreamingBlock, block)
                blocks.append(BlockInChunks(layers, delay, self.arch.block_frames))
                delay += layers.ahead
            self.stages.append(blocks)
        self.mfa, self.mfa_norm = Affine.of(network.mfa), network.mfa_norm
        self.squeeze, self.attend = Affine.of(network.squeeze), Affine.of(network.attend)
        self.heads = None if network.heads is None else _heads_in_chunks(network.heads)

    def state_size(self) -> int:
        """Numbers in the states of one stream."""
        hop = self.front_end.config.hop_samples
        sound, frames = torch.zeros(1, BLOCK_FRAMES * hop), torch.zeros(1, dtype=torch.int64)
        with torch.no_grad():
            return self._with_heads(sound, frames, States(None))[1].shape[1]

    def forward(self, sound: Tensor, frames: Tensor, states: Tensor) -> tuple[Tensor, ...]:
        return self._with_heads(sound, frames, States(states))

    def _with_heads(self, sound: Tensor, frames: Tensor, states: States) -> tuple[Tensor, ...]:
        sums = self._run(sound, frames, states)
        if self.heads is None:
            return sums, states.packed()
        said, running = self.heads(sums, states.take(sums, 1, 3 * sums.shape[3]))
        states.leave(running)
        return sums, states.packed(), said

    def _run(self, sound: Tensor, frames: Tensor, states: States) -> Tensor:
        arch, history = self.arch, self.front_end.history_samples
        before = states.take(sound, history)
        # The last samples of a chunk that is longer than what a window overlaps.
        states.leave(sound[:, sound.shape[1] - history :])
        features = self.front_end(sound, before)
        index = torch.arange(features.shape[1])
        real = (index[None, :] < frames[:, None]).float().unsqueeze(2)
        heard = self._last_of_each(real)
        masks = Masks(states.joined(heard, arch.delay_frames), arch.delay_frames)
        of_features = Running(index, BLOCK_FRAMES, arch.decay)
        x = self._stem(self._without_mean(features, real, of_features, states), states)
        running = Running(heard[0, :, 0], arch.block_frames, arch.decay)
        outputs = self._outputs(x, masks, running, states)
        rest = arch.delay_frames - arch.stage_delay_frames
        y = self.mfa_norm(self.mfa(torch.cat(outputs, dim=-1)))
        y = states.delayed(y, rest)
        logit = self.attend(torch.tanh(self.squeeze(y))).clamp(-LOGIT_BOUND, LOGIT_BOUND)
        w = logit.exp() * masks.at(arch.delay_frames)
        return self._sums(w, y)

    def _without_mean(
        self, features: Tensor, real: Tensor, running: Running, states: States
    ) -> Tensor:
        """Log-mel minus its running mean, which begins as that of the training features."""
        arch = self.arch
        total, count = states.take(features, 1, arch.n_mels), states.take(features, 1, 1)
        # Counts are never zero once a block has passed: the prior's own remainder is in them.
        fresh = (count == 0).float() * arch.prior_frames
        totals = running.sums(features * real, total + fresh * self.prior)
        counts = running.sums(real, count + fresh)
        states.leave(totals[:, -1:])
        states.leave(counts[:, -1:])
        mean = (totals / counts).unsqueeze(2)
        blocks = features.reshape(features.shape[0], -1, BLOCK_FRAMES, arch.n_mels)
        return (blocks - mean).reshape(features.shape[0], -1, arch.n_mels) * real

    def _stem(self, x: Tensor, states: States) -> Tensor:
        count = x.shape[1]
        whole = states.joined(x, STEM_FRAMES - 1)
        recent = [self._last_of_each(whole[:, age : age + count]) for age in range(STEM_FRAMES)]
        y: Tensor = self.stem_norm(self.stem(torch.cat(recent, dim=-1)))
        return y

    def _last_of_each(self, x: Tensor) -> Tensor:
        """``(B, T, C)`` to ``(B, T / stride, C)``: the last of the features a frame joins."""
        if self.arch.stride == 1:
            return x
        return x.reshape(x.shape[0], -1, self.arch.stride, x.shape[2])[:, :, -1]

    def _outputs(self, x: Tensor, masks: Masks, running: Running, states: States) -> list[Tensor]:
        """What the stages put out, all with the delay of the last."""
        outputs = []
        for stage, lag in zip(self.stages, self.arch.lags, strict=True):
            for block in cast(nn.ModuleList, stage):
                x = block(x, masks, running, states)
            outputs.append(states.delayed(x, lag))
        return outputs

    def _sums(self, w: Tensor, y: Tensor) -> Tensor:
        weighted = w * y
        stacked = torch.cat([w, weighted, weighted * y], dim=2)
        blocks = stacked.reshape(stacked.shape[0], -1, self.arch.block_frames, 3, w.shape[2])
        return blocks.sum(dim=2)


def head_layer(network: StreamingNeXtTDNN) -> Affine:
    """The head as one linear layer, its batch norms folded in."""
    with torch.no_grad():
        return Affine.of(network.fc).after(network.bn2).before(network.bn3)
