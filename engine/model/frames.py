"""The frames graph of a bundle of format 2, and the pooling of its sums to embeddings.

Sound and states go in, sums of blocks and new states come out. The sums are those of ``w``,
``w y`` and ``w y^2`` over the outputs ``y`` and weights ``w`` of a block's frames, so that a span
of speech is a sum of blocks. They come ``delay_blocks`` after the sound that they are of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engine.errors import BundleError
from engine.format import SAMPLE_RATE_HZ, SMALLEST_NORM
from engine.model.bundle import Bundle
from engine.model.manifest import FramesFigures, unheard
from engine.model.providers import FRAMES, SOUND, STATES

BLOCK_SUMS, NEW_STATES, HEADS = "block_sums", "new_states", "heads"
FRAME_SAMPLES = SAMPLE_RATE_HZ // 100  # of 10 ms: what the graph's input ``frames`` counts

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class FramesOutput:
    """Of ``B`` streams: block sums ``(B, blocks, 3, C)``, states ``(B, S)``, ``(B, blocks, H)``.

    ``H`` is the number of heads that the manifest names, and may be 0.
    """

    sums: Float32
    states: Float32
    heads: Float32


class SpanPooling:
    """From sums to embeddings, by the head of a bundle of format 2. It has no state."""

    def __init__(self, bundle: Bundle) -> None:
        assert bundle.manifest.frames is not None
        assert bundle.head is not None
        self.figures: FramesFigures = bundle.manifest.frames
        # Views: each stream has a pooling, and a copy of the head in each, of a megabyte, would be
        # read from memory for every place.
        self._columns, self._bias = bundle.head[:-1], bundle.head[-1]

    def embed(self, sums: Float32) -> tuple[Float32, Float32]:
        """Sums over spans ``(N, 3, C)`` to unit embeddings ``(N, D)``.

        And the natural logarithms ``(N,)`` of their magnitudes before they were scaled to that.
        """
        w = np.maximum(sums[:, 0], self.figures.weight_floor)
        mean = sums[:, 1] / w
        variance = np.maximum(sums[:, 2] / w - mean * mean, self.figures.variance_floor)
        pooled = np.concatenate([mean, np.sqrt(variance)], axis=1)
        found = pooled.astype(np.float32, copy=False) @ self._columns + self._bias
        magnitude = np.maximum(np.linalg.norm(found, axis=1), SMALLEST_NORM)
        return found / magnitude[:, None], np.log(magnitude)


class FramesGraph:
    """The graph in an open session. Raises :class:`BundleError` for a graph of another kind."""

    def __init__(self, session: ort.InferenceSession, bundle: Bundle) -> None:
        self.pooling = SpanPooling(bundle)
        self._figures = self.pooling.figures
        self._margin = self._figures.margin_blocks * self._figures.block_samples
        self._outputs = [BLOCK_SUMS, NEW_STATES, *([HEADS] if self._figures.heads else [])]
        self._session = session
        self.call: Callable[[dict[str, Any]], Sequence[Any]] = self._call
        given = {one.name for one in session.get_inputs()}
        made = {one.name for one in session.get_outputs()}
        if given != {SOUND, FRAMES, STATES} or not made >= set(self._outputs):
            raise BundleError(
                f"{bundle.model_path} does not turn {SOUND}, {FRAMES} and {STATES} into"
                f" {' and '.join(self._outputs)}: it is not the graph its manifest describes"
            )

    def run(self, sound: Float32, frames: Int64, states: Float32) -> FramesOutput:
        """The next ``sound`` ``(B, n)`` of ``B`` streams, ``n`` a multiple of a block.

        ``frames`` ``(B,)`` counts those of 10 ms that count, speech and margins: the rest is
        silence that stands for what follows the end of speech. ``states`` ``(B, S)`` are zeros for
        a new stream.
        """
        return self._answer(self.call, sound, frames, states)

    def made(self, rows: int, samples: int) -> dict[str, tuple[int, ...]]:
        """The shapes of the outputs, by their names, for so many rows of so many samples."""
        figures, blocks = self._figures, samples // self._figures.block_samples
        shapes = {
            BLOCK_SUMS: (rows, blocks, 3, figures.pooled_channels),
            NEW_STATES: (rows, figures.state_size),
            HEADS: (rows, blocks, len(figures.heads)),
        }
        return {name: shapes[name] for name in self._outputs}

    def hear(self, waveforms: Float32) -> tuple[Float32, Float32]:
        """Unit embeddings ``(B, D)`` of ``waveforms`` ``(B, samples)``, each as one span.

        And how those were heard, ``(B, 3)``: SNR and C50 in dB, NaN where the graph does not say
        them, and the logarithm of the embedding's magnitude.
        """
        block, rows, margin = self._figures.block_samples, len(waveforms), self._margin
        samples = waveforms.shape[1] + 2 * margin
        blocks = -(-samples // block) + self._figures.delay_blocks
        sound = np.zeros((rows, blocks * block), np.float32)
        sound[:, margin : samples - margin] = waveforms
        frames = np.full(rows, samples // FRAME_SAMPLES, np.int64)
        states = np.zeros((rows, self._figures.state_size), np.float32)
        # Not bound: there is no end of lengths that a recording may have.
        found = self._answer(self._call, sound, frames, states)
        said = unheard(rows)
        embeddings, said[:, -1] = self.pooling.embed(found.sums.sum(axis=1))
        if self._figures.acoustics is not None:
            first = self._figures.delay_blocks + self._figures.margin_blocks
            heads = found.heads[:, first : first - (-waveforms.shape[1] // block)]
            said[:, :-1] = heads[:, :, self._figures.acoustics].mean(axis=1)
        return embeddings, said

    def _call(self, feeds: dict[str, Any]) -> Sequence[Any]:
        found: Sequence[Any] = self._session.run(self._outputs, feeds)
        return found

    def _answer(
        self,
        call: Callable[[dict[str, Any]], Sequence[Any]],
        sound: Float32,
        frames: Int64,
        states: Float32,
    ) -> FramesOutput:
        feeds = {SOUND: sound, FRAMES: frames, STATES: np.asarray(states, np.float32)}
        sums, new_states, *heads = call(feeds)
        none = np.zeros((*sums.shape[:2], 0), np.float32)
        return FramesOutput(sums, new_states, heads[0] if heads else none)
