"""Buffers on the device, bound to a graph (onnxruntime's I/O binding): a call allocates nothing.

There is one binding for each bucket, a number of rows and of samples. What goes in is copied into
its buffers, what comes out is copied from them; of fewer rows the rest are the first one again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

# This many buckets keep their buffers. With the bundled model one has 0.4 MB a row, most of it
# states.
MOST_BINDINGS = 64

Feeds = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]


class Bindings:
    """The buckets of one session, called with the graph's inputs by name, a row a stream.

    ``made`` tells the shapes of the outputs, all of 32-bit floats, for so many rows and samples;
    ``sound`` is the input that has the samples. It may be called from several threads.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        device: Literal["cpu", "cuda"],
        batch_sizes: Sequence[int],
        sound: str,
        made: Callable[[int, int], Shapes],
    ) -> None:
        self._session, self._device, self._sizes = session, device, batch_sizes
        self._sound, self._made = sound, made
        self._buckets: OrderedDict[tuple[int, int], _Binding] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, feeds: Feeds) -> list[NDArray[np.float32]]:
        """The outputs, in the order of ``made``."""
        most, rows = self._sizes[-1], len(feeds[self._sound])
        cuts = [slice(start, start + most) for start in range(0, rows, most)]
        pieces = [{name: rows[cut] for name, rows in feeds.items()} for cut in cuts]
        found = [self._bucket(piece).run(piece) for piece in pieces]
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def _bucket(self, feeds: Feeds) -> _Binding:
        rows, samples = feeds[self._sound].shape
        bucket = (next(size for size in self._sizes if size >= rows), samples)
        with self._lock:
            binding = self._buckets.get(bucket)
            if binding is None:
                binding = _Binding(
                    self._session, self._device, feeds, bucket[0], self._made(*bucket)
                )
                self._buckets[bucket] = binding
            self._buckets.move_to_end(bucket)
            if len(self._buckets) > MOST_BINDINGS:
                self._buckets.popitem(last=False)  # its memory is freed once nobody runs it
        return binding


class _Binding:
    """The buffers of one bucket. One call runs at a time."""

    def __init__(
        self, session: ort.InferenceSession, device: str, feeds: Feeds, rows: int, made: Shapes
    ) -> None:
        allocate = ort.OrtValue.ortvalue_from_shape_and_type
        self._session, self._lock = session, threading.Lock()
        self._filled = {
            name: np.zeros((rows, *given.shape[1:]), given.dtype) for name, given in feeds.items()
        }
        self._inputs = {
            name: allocate(list(filled.shape), filled.dtype.type, device, 0)
            for name, filled in self._filled.items()
        }
        self._outputs = [allocate(list(shape), np.float32, device, 0) for shape in made.values()]
        self._binding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, output in zip(made, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, output)

    def run(self, feeds: Feeds) -> list[NDArray[np.float32]]:
        """The outputs of at most the bucket's rows."""
        with self._lock:
            for name, given in feeds.items():
                rows, filled = len(given), self._filled[name]
                filled[:rows] = given
                filled[rows:] = given[0]
                self._inputs[name].update_inplace(filled)
            self._binding.synchronize_inputs()  # the copy and the graph run on two streams
            self._session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
            return [np.array(output.numpy()[:rows], np.float32) for output in self._outputs]
