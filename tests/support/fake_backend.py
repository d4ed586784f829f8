"""A backend that needs no model, for tests of what serves one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import AudioError
from engine.format import SAMPLE_RATE_HZ, unit

Float32 = NDArray[np.float32]

FAKE_SIZE = 24


class FakeBackend:
    """The sound's spectrum as its embedding: repeatable, fast, row by row.

    The log power in :data:`FAKE_SIZE` bands from 100 Hz to 6 kHz, less its mean, over the
    whole window. Different voices differ; equal rows are equal whatever the batch.
    """

    name, provider = "fake", "cpu"
    embedding_size = FAKE_SIZE
    min_samples, max_samples = SAMPLE_RATE_HZ // 2, 20 * SAMPLE_RATE_HZ

    def __init__(self, batch_sizes: Sequence[int] = (1, 2, 4, 8)) -> None:
        self.batch_sizes = tuple(sorted(batch_sizes))

    def embed(self, waveforms: Float32, /) -> Float32:
        """Unit embeddings ``(B, 24)``. Raises :class:`AudioError` for too short a window."""
        if waveforms.shape[1] < self.min_samples:
            raise AudioError("the window is too short: record more")
        rows = [self._embed(waveform) for waveform in waveforms]
        return np.array(rows, np.float32).reshape(len(rows), FAKE_SIZE)

    def _embed(self, waveform: Float32) -> Float32:
        power = np.abs(np.fft.rfft(waveform)) ** 2
        edges_hz = np.geomspace(100, 6000, FAKE_SIZE + 1)
        edges = np.round(edges_hz * len(waveform) / SAMPLE_RATE_HZ).astype(int)
        level = np.log(np.add.reduceat(power, edges)[:-1] / np.diff(edges) + 1e-6)
        level -= level.mean()
        return unit(level).astype(np.float32)
