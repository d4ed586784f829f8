"""A backend embeds windows for the engine, by a bundle's graph in buckets of fixed shape.

It states the batch sizes that it is made for, and the scheduler fills them. No other part of
the engine knows what a model is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.model.bindings import Bindings
from engine.model.bundle import Bundle
from engine.model.encoder import Encoder, WindowGraph
from engine.model.frames import FramesOutput
from engine.model.providers import LARGEST_BATCH, SOUND, ProviderChoice

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

# On a CPU the rows of a batch share nothing but the call: with the bundled model a 3 s window
# costs 7.8 ms of one core alone, 7.9 in a batch of 2, 8.6 of 4, 9.1 of 8, 9.6 of 16, because
# the activations of more than one row leave the second-level cache (CPU time, beside other
# work, on a Xeon with 2 MB a core, November 2026; `voxwatch bench engine` measures it anew).
CPU_BATCH_SIZES = (1,)  # windows in one call
# Chunks of frames are short, and the calls of a graph of many layers cost what they compute: a
# second of a stream in chunks of 0.5 s costs 6.2 ms of one core alone, 4.2 in batches of 2, 3.7
# of 4, 3.6 of 8 and 16, 3.9 of 32 (C128B2, the same processor, by the same measure).
CPU_FRAMES_BATCH_SIZES = (1, 2, 4, 8)
GPU_BATCH_SIZES = (1, 2, 4, 8, 16, LARGEST_BATCH)

# Largest difference between any number of a row's unit embedding in a batch and that of the row
# alone. The bundled model on a CPU differs by 6.4e-7 at most, over windows of 1 to 5 s in batches
# of 2 to 16.
BATCH_TOLERANCE = 1e-5


class Backend(Protocol):
    """Embeds windows of one length. It is called from several threads at once.

    ``batch_sizes`` are the rows of one call that it serves best, ascending; ``min_samples``
    and ``max_samples`` bound a window at 16 kHz. A row's embedding does not depend on the
    other rows, to :data:`BATCH_TOLERANCE`.
    """

    @property
    def name(self) -> str:
        """The name of the model, for people to read."""

    @property
    def provider(self) -> str:
        """The provider that runs it, which is ``cpu``, ``cuda`` or ``tensorrt``."""

    @property
    def batch_sizes(self) -> tuple[int, ...]: ...

    @property
    def min_samples(self) -> int: ...

    @property
    def max_samples(self) -> int: ...

    @property
    def embedding_size(self) -> int: ...

    def embed(self, waveforms: Float32, /) -> Float32:
        """Unit embeddings ``(B, D)`` of ``waveforms`` ``(B, samples)``."""

    def run_frames(self, sound: Float32, frames: Int64, states: Float32, /) -> FramesOutput:
        """What a frames graph makes of new sound: see :meth:`engine.model.frames.FramesGraph.run`.

        A backend without one is never asked.
        """


class OnnxBackend(Encoder):
    """Runs a bundle's graph in fixed ``(batch, samples)`` buckets.

    On a GPU each bucket has its buffers there, allocated at its first use and bound to the
    graph (:mod:`engine.model.bindings`). On a CPU that saves nothing and a batch goes in as it
    is, unless ``binds`` is true.

    Raises what :class:`engine.model.encoder.Encoder` raises; ``provider`` is the one that runs.
    """

    def __init__(
        self,
        bundle: Bundle,
        provider: ProviderChoice = "auto",
        *,
        threads: int = 1,
        batch_sizes: Sequence[int] | None = None,
        binds: bool = False,
    ) -> None:
        super().__init__(bundle, provider, threads=threads)
        windowed = isinstance(self._graph, WindowGraph)
        on_cpu = CPU_BATCH_SIZES if windowed else CPU_FRAMES_BATCH_SIZES
        usual = on_cpu if self.provider == "cpu" else GPU_BATCH_SIZES
        self.batch_sizes = tuple(sorted(batch_sizes or usual))
        if self.batch_sizes[0] < 1 or self.batch_sizes[-1] > LARGEST_BATCH:
            raise ValueError(f"batch sizes must be from 1 to {LARGEST_BATCH}")
        self.name = bundle.manifest.name
        if binds or self.provider != "cpu":
            device: Literal["cpu", "cuda"] = "cpu" if self.provider == "cpu" else "cuda"
            sound = self._graph.input if isinstance(self._graph, WindowGraph) else SOUND
            made = self._graph.made
            self._graph.call = Bindings(self._session, device, self.batch_sizes, sound, made)
