"""Training losses on embeddings ``(B, D)``; each returns a scalar in float32."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AAMSoftmax(nn.Module):
    """Additive angular margin softmax with sub-centres.

    Deng et al., ArcFace (arXiv 1801.07698) and Sub-centre ArcFace (ECCV 2020). The
    margin is an attribute, so that a schedule can raise it during training.
    """

    def __init__(self, size: int, classes: int, sub_centres: int = 1, scale: float = 30.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, sub_centres, size))
        nn.init.normal_(self.weight, std=1 / math.sqrt(size))
        self.scale = scale
        self.margin = 0.0

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Loss over the rows whose label is not -1."""
        labelled = labels >= 0
        embeddings, labels = embeddings[labelled].float(), labels[labelled]
        if not len(labels):
            return embeddings.sum() * 0.0
        centres = F.normalize(self.weight.float(), dim=-1)
        classes, sub_centres, size = centres.shape
        cosine = F.normalize(embeddings, dim=1) @ centres.view(-1, size).T
        cosine = cosine.view(len(labels), classes, sub_centres).amax(dim=-1)
        target = cosine.gather(1, labels[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        angle = target.acos() + self.margin
        # Past pi the cosine would rise again: continue it linearly.
        penalised = torch.where(
            angle < math.pi, angle.cos(), target - math.sin(self.margin) * self.margin
        )
        logits = cosine.scatter(1, labels[:, None], penalised)
        return F.cross_entropy(self.scale * logits, labels)


def distillation(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Mean cosine distance between embeddings and the teacher's unit targets ``(B, D)``."""
    return (1 - F.cosine_similarity(embeddings.float(), targets, dim=1)).mean()


def triplet_margin(embeddings: Tensor, labels: Tensor, margin: float = 0.3) -> Tensor:
    """Batch-hard triplet loss on cosine distance (Hermans et al., arXiv 1703.07737).

    Rows without a second row of their speaker in the batch are left out.
    """
    x = F.normalize(embeddings.float(), dim=1)
    distance = 1 - x @ x.T
    same = labels[:, None] == labels[None]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    usable = positive.any(dim=1) & (~same).any(dim=1) & (labels >= 0)
    if not usable.any():
        return distance.sum() * 0.0
    farthest = distance.masked_fill(~positive, -math.inf).amax(dim=1)
    nearest = distance.masked_fill(same, math.inf).amin(dim=1)
    return F.relu(farthest[usable] - nearest[usable] + margin).mean()


class GE2E(nn.Module):
    """Generalised end-to-end loss, softmax form (Wan et al., arXiv 1710.10467).

    Rows come in groups of ``utterances`` of one speaker; a row is compared with its own
    speaker's centroid computed without it.
    """

    def __init__(self, utterances: int) -> None:
        super().__init__()
        if utterances < 2:
            raise ValueError("GE2E needs at least two utterances a speaker in the batch")
        self.utterances = utterances
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.offset = nn.Parameter(torch.tensor(-5.0))

    def forward(self, embeddings: Tensor) -> Tensor:
        if not len(embeddings):
            return embeddings.sum() * 0.0
        x = F.normalize(embeddings.float(), dim=1)
        groups = x.view(-1, self.utterances, x.shape[1])
        total = groups.sum(dim=1)
        own = F.normalize((total[:, None] - groups).reshape(x.shape), dim=1)
        cosine = x @ F.normalize(total, dim=1).T
        labels = torch.arange(len(groups), device=x.device).repeat_interleave(self.utterances)
        cosine = cosine.scatter(1, labels[:, None], (x * own).sum(dim=1, keepdim=True))
        logits = self.scale.clamp_min(1e-6) * cosine + self.offset
        return F.cross_entropy(logits, labels)
