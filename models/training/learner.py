"""Network, losses, optimisers and moving average: everything a checkpoint holds."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.network.checkpoint import CheckpointError, read_checkpoint
from models.network.frontend import CausalLogMel
from models.network.streaming import StreamingNeXtTDNN
from models.training.config import Config, Schedule, TrainingError
from models.training.losses import distillation, relational
from models.training.sampler import Sampler, TrainingBatch

BETAS = (0.9, 0.99)
SAVED = ("network", "ema", "matrices", "others")


def _optimisers(
    network: nn.Module, schedule: Schedule
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon (Jordan et al., 2024) for the matrices, AdamW for the filters and vectors.

    Muon's steps are as large as AdamW's (Liu et al., arXiv 2502.16982): one rate of learning
    is right for both.
    """
    parameters = list(network.parameters())
    rate, decay = schedule.learning_rate, schedule.weight_decay
    matrices = torch.optim.Muon(
        [p for p in parameters if p.ndim == 2],
        lr=rate,
        weight_decay=decay,
        adjust_lr_fn="match_rms_adamw",
    )
    others = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 2], "weight_decay": decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=rate,
        betas=BETAS,
        fused=True,
    )
    return matrices, others


class Learner:
    """One training run's state on one device."""

    def __init__(self, config: Config, sampler: Sampler, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.speakers_sha256 = hashlib.sha256("\n".join(sampler.speakers).encode()).hexdigest()
        self.config, self.device, self.step, self.elapsed_s = config, device, 0, 0.0
        self.arch = config.architecture()
        self.network = StreamingNeXtTDNN(self.arch).to(device)
        self.ema = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.front_end = CausalLogMel().to(device)
        self.matrices, self.others = _optimisers(self.network, config.schedule)
        # The compiled function shares its parameters with `network`.
        self._sums: Callable[[Tensor, Tensor], Tensor] = self.network.block_sums
        if config.schedule.compile:
            self._sums = torch.compile(self.network.block_sums, dynamic=False)

    @torch.no_grad()
    def start_mean(self, mean: Tensor) -> None:
        """Start the running feature mean from ``(n_mels,)``, that of training speech."""
        self.network.prior_mean.copy_(mean)
        self.ema.prior_mean.copy_(mean)

    @torch.no_grad()
    def start_network(self, network: StreamingNeXtTDNN) -> None:
        """Start from another network of the same shape."""
        self.network.load_state_dict(network.state_dict())
        self.ema.load_state_dict(network.state_dict())

    @torch.no_grad()
    def _features(self, batch: TrainingBatch) -> Tensor:
        """Log-mel ``(B, T, n_mels)``, at its mean where the network is not shown it."""
        features: Tensor = self.front_end(batch.sound)
        return torch.where(batch.hidden, self.network.prior_mean, features)

    def train_step(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """One update by a batch on this device that the teacher was asked about; each loss."""
        self._set_schedule()
        self.network.train()
        features = self._features(batch)
        delay, frames = self.arch.delay_feature_frames, features.shape[1]
        mask = torch.ones(len(features), frames + delay, 1, device=self.device)
        mask[:, frames:] = 0
        with torch.autocast(self.device.type, torch.bfloat16):
            sums = self._sums(F.pad(features, (0, 0, 0, delay)), mask)
        embeddings = self.network.spans(sums, batch.sequence, batch.start, batch.end)
        losses = self._losses(embeddings, batch)
        weights = msgspec.structs.asdict(self.config.loss)
        total = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        if not torch.isfinite(total):
            raise TrainingError(f"the loss is not finite at step {self.step}: lower learning_rate")
        for optimiser in (self.matrices, self.others):
            optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.schedule.clip_norm)
        for optimiser in (self.matrices, self.others):
            optimiser.step()
        self.step += 1
        self._average()
        return {**{name: value.detach() for name, value in losses.items()}, "gradient_norm": norm}

    def _losses(self, embeddings: Tensor, batch: TrainingBatch) -> dict[str, Tensor]:
        loss, losses, targets = self.config.loss, {}, batch.targets()
        if loss.distillation > 0:
            losses["distillation"] = distillation(embeddings, targets)
        if loss.relational > 0:
            losses["relational"] = relational(embeddings, targets)
        return losses

    def _set_schedule(self) -> None:
        schedule, done = self.config.schedule, self.step / self.config.schedule.steps
        warm = min(1.0, (self.step + 1) / schedule.warmup_steps)
        decay = min(1.0, (1.0 - done) / schedule.decay_share)
        for group in (*self.matrices.param_groups, *self.others.param_groups):
            group["lr"] = schedule.learning_rate * warm * max(decay, 0.0)

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config.schedule.ema, (1 + self.step) / (20 + self.step))
        averaged, current = self.ema.state_dict().values(), self.network.state_dict().values()
        pairs = list(zip(averaged, current, strict=True))
        means, own = zip(*((a, b) for a, b in pairs if a.is_floating_point()), strict=True)
        torch._foreach_lerp_(means, own, 1 - decay)
        for count, value in ((a, b) for a, b in pairs if not a.is_floating_point()):
            count.copy_(value)

    def save(self, path: Path) -> None:
        """Write a checkpoint whole or not at all."""
        state: dict[str, Any] = {name: getattr(self, name).state_dict() for name in SAVED}
        state |= {
            "arch": asdict(self.arch),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "speakers": self.speakers_sha256,
            # Names of files and folders alone: where they lay is this machine's, and bundles
            # carry it on.
            "config": msgspec.json.encode(self.config, enc_hook=lambda path: path.name).decode(),
        }
        partial = path.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of :meth:`save`.

        Losses, schedule and augmentation may differ from those it was saved with; network and
        speakers may not, or speakers that were trained on would count as held out.
        """
        try:
            state = read_checkpoint(path)
            if state["speakers"] != self.speakers_sha256:
                raise TrainingError(f"{path} was trained on other speakers: use another --output")
            for name in SAVED:
                getattr(self, name).load_state_dict(state[name])
            self.step, self.elapsed_s = state["step"], state["elapsed_s"]
            for group in (*self.matrices.param_groups, self.others.param_groups[0]):
                group["weight_decay"] = self.config.schedule.weight_decay
        except (CheckpointError, RuntimeError, KeyError, ValueError) as error:
            raise TrainingError(
                f"{path} is damaged, of another network or of an earlier version"
                f" ({type(error).__name__}): use another --output, which may start from it"
                " (schedule.start_from)"
            ) from error
