"""Training losses on embeddings ``(N, D)``; each returns a scalar in float32."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AAMSoftmax(nn.Module):
    """Additive angular margin softmax (Deng et al., ArcFace, arXiv 1801.07698)."""

    def __init__(self, size: int, classes: int, scale: float = 30.0, margin: float = 0.2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, size))
        nn.init.normal_(self.weight, std=1 / math.sqrt(size))
        self.scale, self.margin = scale, margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Loss over the rows whose label is not -1."""
        labelled = labels >= 0
        embeddings, labels = embeddings[labelled].float(), labels[labelled]
        if not len(labels):
            return embeddings.sum() * 0.0
        cosine = F.normalize(embeddings, dim=1) @ F.normalize(self.weight.float(), dim=1).T
        target = cosine.gather(1, labels[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        angle = target.acos() + self.margin
        # Past pi the cosine would rise again: continue it linearly.
        penalised = torch.where(
            angle < math.pi, angle.cos(), target - math.sin(self.margin) * self.margin
        )
        logits = cosine.scatter(1, labels[:, None], penalised)
        return F.cross_entropy(self.scale * logits, labels)


def distillation(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Mean cosine distance between embeddings and the teacher's unit targets ``(N, D)``."""
    return (1 - F.cosine_similarity(embeddings.float(), targets, dim=1)).mean()


def relational(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference between the cosines of all pairs and the teacher's.

    Relational knowledge distillation (Park et al., CVPR 2019, arXiv 1904.05068), of angles: who
    is like whom, which is all that scores are made of, whatever the axes.
    """
    x = F.normalize(embeddings.float(), dim=1)
    return (x @ x.T - targets @ targets.T).square().mean()
