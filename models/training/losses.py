"""Training losses on embeddings ``(N, D)``; each returns a scalar in float32."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


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
