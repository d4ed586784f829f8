"""The states of a streaming network as one vector a stream, in parts of a fixed order.

A network that computes in chunks asks for the parts it left at the chunk before, one after the
other, and leaves new ones in the same order. Outside they are one ``(B, size)`` of float32 that
can be copied, saved and sent without knowing what is in it; zeros are a stream's beginning.
"""

from __future__ import annotations

import torch
from torch import Tensor


class States:
    """The parts of ``(B, size)``, or zeros for a call that only measures what there will be."""

    def __init__(self, packed: Tensor | None) -> None:
        self._packed, self._taken = packed, 0
        self._left: list[Tensor] = []

    def take(self, like: Tensor, *shape: int) -> Tensor:
        """The next part, ``(B, *shape)``."""
        if self._packed is None:
            return like.new_zeros((like.shape[0], *shape))
        start, self._taken = self._taken, self._taken + torch.Size(shape).numel()
        return self._packed[:, start : self._taken].reshape(-1, *shape)

    def leave(self, part: Tensor) -> None:
        """What the next chunk shall find in place of the part that was taken."""
        self._left.append(part.flatten(1))

    def packed(self) -> Tensor:
        """All that was left, ``(B, size)``."""
        return torch.cat(self._left, dim=1)

    def joined(self, x: Tensor, history: int, axis: int = 1) -> Tensor:
        """``x`` with its last ``history`` steps along ``axis`` (1 or 2) of before in front."""
        if history == 0:
            return x
        shape = (history, x.shape[2]) if axis == 1 else (x.shape[1], history)
        whole = torch.cat([self.take(x, *shape), x], dim=axis)
        # By a length from the start: from the end it would depend on the chunk's length twice.
        self.leave(whole.narrow(axis, x.shape[axis], history))
        return whole

    def delayed(self, x: Tensor, frames: int) -> Tensor:
        """``(B, T, C)`` as it was ``frames`` ago."""
        return self.joined(x, frames)[:, : x.shape[1]]
