"""From waveform to speaker embedding: a bundle's graph on CPU, CUDA or TensorRT."""

from __future__ import annotations

import ctypes
import math
from typing import Literal, get_args

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engine.bundle import Bundle
from engine.errors import AudioError, BundleError, ProviderError

Float32 = NDArray[np.float32]
Provider = Literal["cpu", "cuda", "tensorrt"]
ProviderChoice = Literal["auto", "cpu", "cuda", "tensorrt"]

PROVIDERS: dict[Provider, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
CUDA_DRIVER = "libcuda.so.1"
LONGEST_BATCH_S = 120.0  # seconds of sound in one call: bounds memory when a recording is long


class Encoder:
    """Speaker embeddings of 16 kHz waveforms. Stateless: one serves any number of threads.

    ``provider="auto"`` takes the first of TensorRT, CUDA and CPU that runs here; one asked
    for by name runs or raises :class:`ProviderError`, so that nobody believes in a GPU
    that is idle. Raises :class:`BundleError` when the graph does not fit its manifest.
    """

    def __init__(
        self, bundle: Bundle, provider: ProviderChoice = "auto", *, threads: int = 1
    ) -> None:
        self.bundle = bundle
        self._session, self.provider = _open(bundle, provider, threads)
        _check_signature(self._session, bundle)
        self._input = self._session.get_inputs()[0].name
        manifest = bundle.manifest
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
        waveforms = np.ascontiguousarray(waveforms, np.float32)
        if waveforms.ndim != 2:
            raise ValueError(f"waveforms must be (B, samples), got {waveforms.shape}")
        if not len(waveforms):
            return np.zeros((0, self.embedding_size), np.float32)
        self._check(waveforms)
        try:
            embeddings = self._session.run(None, {self._input: waveforms})[0]
        except Exception as error:  # onnxruntime's own exceptions share no narrower base
            first = str(error).strip().splitlines()[0]
            raise ProviderError(
                f"the model failed on the provider {self.provider!r} with input"
                f" {waveforms.shape}: {first}"
            ) from error
        if not np.all(np.isfinite(embeddings)):
            raise BundleError(
                f"the model {self.bundle.manifest.name!r} gave an embedding that is not finite:"
                " its weights are damaged or do not fit this provider"
            )
        return _unit(embeddings)

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
    """Unit embedding ``(D,)`` of all the net speech of one recording, ``(samples,)``.

    One pass up to the bundle's ``max_window_s``; longer speech is cut into equal windows,
    whose unit embeddings are averaged. Raises what :meth:`Encoder.embed` raises.
    """
    if speech.ndim != 1:
        raise ValueError(f"speech must be (samples,), got {speech.shape}")
    count = max(1, math.ceil(len(speech) / encoder.max_samples))
    length = len(speech) // count
    windows = speech[: count * length].reshape(count, length)
    rows = max(1, int(LONGEST_BATCH_S * encoder.bundle.manifest.sample_rate_hz / max(1, length)))
    parts = [encoder.embed(windows[i : i + rows]) for i in range(0, count, rows)]
    mean = np.concatenate(parts).mean(axis=0, keepdims=True)
    return np.asarray(_unit(mean)[0], np.float32)


def _unit(embeddings: Float32) -> Float32:
    norms = np.linalg.norm(embeddings.astype(np.float32), axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(norms, 1e-12), np.float32)


def _open(
    bundle: Bundle, choice: ProviderChoice, threads: int
) -> tuple[ort.InferenceSession, Provider]:
    if choice not in get_args(ProviderChoice):
        known = ", ".join(get_args(ProviderChoice))
        raise ProviderError(f"there is no provider {choice!r}: choose one of {known}")
    wanted: list[Provider] = list(PROVIDERS) if choice == "auto" else [choice]
    for provider in wanted:
        if not _may_run(provider):
            continue
        try:
            session = _session(bundle, provider, threads)
        except ProviderError:
            if choice != "auto":
                raise
            continue  # the next one; which it was that runs is in `Encoder.provider`
        if session.get_providers()[0] == PROVIDERS[provider]:
            return session, provider
    raise ProviderError(
        f"the provider {choice!r} cannot run here: it needs an NVIDIA driver, its libraries and"
        " onnxruntime-gpu; use --provider auto or cpu"
    )


def _may_run(provider: Provider) -> bool:
    """Whether trying makes sense: without a driver onnxruntime only prints alarming errors."""
    if PROVIDERS[provider] not in ort.get_available_providers():
        return False
    if provider == "cpu":
        return True
    try:
        ctypes.CDLL(CUDA_DRIVER)
    except OSError:
        return False
    return True


def _session(bundle: Bundle, provider: Provider, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Streams come in bursts: between them a pool that spins would burn the cores it serves.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    names = list(dict.fromkeys([PROVIDERS[provider], PROVIDERS["cpu"]]))
    if provider == "tensorrt":
        names.insert(1, PROVIDERS["cuda"])  # what TensorRT leaves over stays on the GPU
    try:
        return ort.InferenceSession(str(bundle.model_path), options, providers=names)
    except Exception as error:  # onnxruntime's own exceptions share no narrower base
        first = str(error).strip().splitlines()[0]
        if provider == "cpu":
            raise BundleError(f"{bundle.model_path} cannot be loaded: {first}") from error
        raise ProviderError(f"the provider {provider!r} failed to start: {first}") from error


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
