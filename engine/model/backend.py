"""A backend embeds windows for the engine, by a bundle's graph in buckets of fixed shape.

It states the batch sizes that it is made for, and the scheduler fills them. No other part of
the engine knows what a model is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engine.model.bundle import Bundle
from engine.model.encoder import Encoder, WindowGraph
from engine.model.frames import FramesOutput
from engine.model.providers import LARGEST_BATCH, ProviderChoice

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
# This many (batch, samples) buckets keep their buffers on the GPU, of at most 6 MB each.
MOST_BINDINGS = 64

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
    graph (onnxruntime's I/O binding): a call copies the sound in and the embeddings out and
    allocates nothing; a batch smaller than its bucket is filled up with its first row. On a
    CPU there is nothing to bind, and a batch goes in as it is.

    Raises what :class:`engine.model.encoder.Encoder` raises; ``provider`` is the one that runs.
    """

    def __init__(
        self,
        bundle: Bundle,
        provider: ProviderChoice = "auto",
        *,
        threads: int = 1,
        batch_sizes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(bundle, provider, threads=threads)
        windowed = isinstance(self._graph, WindowGraph)
        on_cpu = CPU_BATCH_SIZES if windowed else CPU_FRAMES_BATCH_SIZES
        usual = on_cpu if self.provider == "cpu" else GPU_BATCH_SIZES
        self.batch_sizes = tuple(sorted(batch_sizes or usual))
        if self.batch_sizes[0] < 1 or self.batch_sizes[-1] > LARGEST_BATCH:
            raise ValueError(f"batch sizes must be from 1 to {LARGEST_BATCH}")
        self.name = bundle.manifest.name
        self._bindings: OrderedDict[tuple[int, int], Binding] = OrderedDict()
        self._lock = threading.Lock()

    def _compute(self, waveforms: Float32) -> Float32:
        if self.provider == "cpu" or not isinstance(self._graph, WindowGraph):
            return super()._compute(waveforms)
        largest, graph = self.batch_sizes[-1], self._graph
        cuts = range(0, len(waveforms), largest)
        return np.concatenate([self._bound(graph, waveforms[i : i + largest]) for i in cuts])

    def _bound(self, graph: WindowGraph, waveforms: Float32) -> Float32:
        rows, samples = waveforms.shape
        bucket = (next(size for size in self.batch_sizes if size >= rows), samples)
        with self._lock:
            binding = self._bindings.get(bucket)
            if binding is None:
                binding = Binding(
                    self._session, graph.input, graph.output, bucket, self.embedding_size
                )
                self._bindings[bucket] = binding
            self._bindings.move_to_end(bucket)
            if len(self._bindings) > MOST_BINDINGS:
                self._bindings.popitem(last=False)  # its memory is freed once nobody runs it
        return binding.run(waveforms)


class Binding:
    """The buffers of one bucket on the first GPU, bound to the graph. One call runs at a time."""

    def __init__(
        self,
        session: ort.InferenceSession,
        sound: str,
        embedding: str,
        bucket: tuple[int, int],
        embedding_size: int,
    ) -> None:
        allocate = ort.OrtValue.ortvalue_from_shape_and_type
        self._session, self._lock = session, threading.Lock()
        self._filled = np.zeros(bucket, np.float32)
        self._sound = allocate(list(bucket), np.float32, "cuda", 0)
        self._embeddings = allocate([bucket[0], embedding_size], np.float32, "cuda", 0)
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(sound, self._sound)
        self._binding.bind_ortvalue_output(embedding, self._embeddings)

    def run(self, waveforms: Float32) -> Float32:
        """Embeddings of at most the bucket's rows."""
        rows = len(waveforms)
        with self._lock:
            self._filled[:rows] = waveforms
            self._filled[rows:] = waveforms[0]
            self._sound.update_inplace(self._filled)
            self._binding.synchronize_inputs()  # the copy and the graph run on two streams
            self._session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
            return np.array(self._embeddings.numpy()[:rows], np.float32)
