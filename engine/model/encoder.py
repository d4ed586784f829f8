"""The encoder turns waveforms into speaker embeddings, on CPU, CUDA or TensorRT."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engine.errors import AudioError, BundleError, ProviderError
from engine.format import unit
from engine.model.bundle import Bundle
from engine.model.frames import FramesGraph, FramesOutput
from engine.model.manifest import MagnitudeFigures, heard_together, unheard
from engine.model.providers import LARGEST_BATCH, ProviderChoice, open_session

__all__ = ["Encoder", "ProviderChoice", "embed_speech", "hear_speech"]

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
LONGEST_BATCH_S = 120.0  # seconds of sound in one call, which bounds memory


class Encoder:
    """Embeds 16 kHz waveforms. It has no state, so that one serves any number of threads.

    ``provider="auto"`` takes the first of TensorRT, CUDA and CPU that runs here; one asked
    for by name runs or raises :class:`ProviderError`, so that nobody pays for a GPU that
    is idle. Raises :class:`BundleError` when the graph does not fit its manifest.
    """

    def __init__(
        self, bundle: Bundle, provider: ProviderChoice = "auto", *, threads: int = 1
    ) -> None:
        self.bundle = bundle
        self._session, self.provider = open_session(bundle, provider, threads)
        manifest = bundle.manifest
        self._graph: WindowGraph | FramesGraph
        if manifest.frames is None:
            self._graph = WindowGraph(self._session, bundle)
        else:
            self._graph = FramesGraph(self._session, bundle)
        self.min_samples = round(manifest.min_window_s * manifest.sample_rate_hz)
        self.max_samples = round(manifest.max_window_s * manifest.sample_rate_hz)

    @property
    def embedding_size(self) -> int:
        """Numbers in one embedding."""
        return self.bundle.manifest.embedding_size

    def embed(self, waveforms: Float32) -> Float32:
        """Unit embeddings ``(B, D)`` of ``waveforms`` ``(B, samples)``, one length for all.

        Raises ``ValueError`` for another number of axes, :class:`AudioError` for samples that
        are not finite or windows shorter than the bundle's ``min_window_s``.
        """
        return self.hear(waveforms)[0]

    def hear(self, waveforms: Float32) -> tuple[Float32, Float32]:
        """What :meth:`embed` gives, and how each waveform was heard, ``(B, 3)``.

        That is its SNR and C50 in dB and the logarithm of its embedding's magnitude, or NaN where
        the model does not say it.
        """
        waveforms = np.ascontiguousarray(waveforms, np.float32)
        if waveforms.ndim != 2:
            raise ValueError(f"waveforms must be (B, samples), got {waveforms.shape}")
        if not len(waveforms):
            return np.zeros((0, self.embedding_size), np.float32), unheard(0)
        self._check(waveforms)
        cuts = range(0, len(waveforms), LARGEST_BATCH)
        parts = [self._run(waveforms[i : i + LARGEST_BATCH]) for i in cuts]
        embeddings, heard = (np.concatenate(rows) for rows in zip(*parts, strict=True))
        if not np.all(np.isfinite(embeddings)):
            raise BundleError(self._not_finite("an embedding"))
        figures = self.bundle.manifest.frames
        said = figures is not None and figures.acoustics is not None
        if said and not np.all(np.isfinite(heard)):
            raise BundleError(self._not_finite("a head"))
        return unit(embeddings), heard

    def run_frames(self, sound: Float32, frames: Int64, states: Float32) -> FramesOutput:
        """What the frames graph of a bundle of format 2 makes of new sound, see `FramesGraph`."""
        assert isinstance(self._graph, FramesGraph)
        try:
            found = self._graph.run(sound, frames, states)
        except Exception as error:  # onnxruntime's own exceptions share no narrower base
            raise self._failed(sound, error) from error
        for values, what in ((found.sums, "a sum"), (found.heads, "a head")):
            if not np.all(np.isfinite(values)):
                raise BundleError(self._not_finite(what))
        return found

    def _run(self, waveforms: Float32) -> tuple[Float32, Float32]:
        try:
            return self._graph.hear(waveforms)
        except Exception as error:  # onnxruntime's own exceptions share no narrower base
            raise self._failed(waveforms, error) from error

    def _failed(self, sound: Float32, error: Exception) -> ProviderError:
        first = str(error).strip().splitlines()[0]
        return ProviderError(
            f"the model failed on the provider {self.provider!r} with input {sound.shape}: {first}"
        )

    def _not_finite(self, what: str) -> str:
        return (
            f"the model {self.bundle.manifest.name!r} gave {what} that is not finite:"
            " its weights are damaged or do not fit this provider"
        )

    def _check(self, waveforms: Float32) -> None:
        if waveforms.shape[1] < self.min_samples:
            manifest = self.bundle.manifest
            raise AudioError(
                f"only {waveforms.shape[1] / manifest.sample_rate_hz:.2f} s of speech: at least"
                f" {manifest.min_window_s:g} s is needed; record more"
            )
        if not np.all(np.isfinite(waveforms)):
            raise AudioError("the waveform has samples that are not finite (NaN or infinity)")


def embed_speech(encoder: Encoder, speech: Float32) -> Float32:
    """Unit embedding ``(D,)`` of all the net speech of one recording, see :func:`hear_speech`."""
    return hear_speech(encoder, speech)[0]


def hear_speech(
    encoder: Encoder, speech: Float32, magnitude: MagnitudeFigures | None = None
) -> tuple[Float32, Float32]:
    """Unit embedding ``(D,)`` of all the net speech of one recording, ``(samples,)``.

    And how that was heard, ``(3,)``, as :meth:`Encoder.hear` says it.

    Speech of up to the bundle's ``max_window_s`` goes in whole. Longer speech is cut into equal
    windows, of whose unit embeddings it is the mean; it has a magnitude where the usual ones are
    given, ``magnitude``. Raises what :meth:`Encoder.embed` raises.
    """
    if speech.ndim != 1:
        raise ValueError(f"speech must be (samples,), got {speech.shape}")
    count = max(1, math.ceil(len(speech) / encoder.max_samples))
    length = len(speech) // count
    windows = speech[: count * length].reshape(count, length)
    rows = max(1, int(LONGEST_BATCH_S * encoder.bundle.manifest.sample_rate_hz / max(1, length)))
    parts = [encoder.hear(windows[i : i + rows]) for i in range(0, count, rows)]
    embeddings, heard = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    seconds = np.full(count, length / encoder.bundle.manifest.sample_rate_hz)
    return unit(embeddings.mean(axis=0)), heard_together(heard, seconds, magnitude)


class WindowGraph:
    """The graph of a bundle of format 1 in an open session.

    Raises :class:`BundleError` for a graph of another kind.
    """

    def __init__(self, session: ort.InferenceSession, bundle: Bundle) -> None:
        _check_signature(session, bundle)
        self.input, self.output = session.get_inputs()[0].name, session.get_outputs()[0].name
        self._size = bundle.manifest.embedding_size
        self.call: Callable[[dict[str, Any]], Sequence[Any]]
        self.call = lambda feeds: session.run(None, feeds)

    def hear(self, waveforms: Float32) -> tuple[Float32, Float32]:
        """Embeddings ``(B, D)`` of ``waveforms`` ``(B, samples)``; of how they were heard NaN."""
        embeddings = np.asarray(self.call({self.input: waveforms})[0], np.float32)
        return embeddings, unheard(len(waveforms))

    def made(self, rows: int, samples: int) -> dict[str, tuple[int, ...]]:
        """The shape of the output, by its name, for so many rows of so many samples."""
        return {self.output: (rows, self._size)}


def _check_signature(session: ort.InferenceSession, bundle: Bundle) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    size = bundle.manifest.embedding_size
    fits = (
        len(inputs) == len(outputs) == 1
        and inputs[0].type == outputs[0].type == "tensor(float)"
        and len(inputs[0].shape) == len(outputs[0].shape) == 2
        and outputs[0].shape[1] in (size, None)
    )
    if not fits:
        raise BundleError(
            f"{bundle.model_path} does not turn waveforms (B, samples) into embeddings"
            f" (B, {size}): it is not the graph its manifest describes"
        )
