"""The execution provider runs a bundle's graph: CPU, CUDA or TensorRT.

The CUDA and TensorRT options follow onnxruntime's documentation and its source. They are
tested against a recording stand-in: no machine with a GPU was at hand when they were written.
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html
https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

import onnxruntime as ort

from engine.errors import BundleError, ProviderError
from engine.model.bundle import Bundle
from engine.model.manifest import Manifest

Provider = Literal["cpu", "cuda", "tensorrt"]
ProviderChoice = Literal["auto", "cpu", "cuda", "tensorrt"]

PROVIDERS: dict[Provider, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
CUDA_DRIVER = "libcuda.so.1"
# Names of the inputs of every graph that models/network writes: TensorRT asks by name.
WAVEFORM = "waveform"
SOUND, FRAMES, STATES = "sound", "frames", "states"
LARGEST_BATCH = 32  # rows in one call, up to which TensorRT's profile goes
USUAL_BATCH, USUAL_WINDOW_S = 8, 3.0  # rows and seconds that TensorRT tunes its kernels for
MOST_BLOCKS = 50  # of one call of a frames graph


def open_session(
    bundle: Bundle, choice: ProviderChoice, threads: int
) -> tuple[ort.InferenceSession, Provider]:
    """The bundle's graph on the provider chosen, and which one that is.

    ``auto`` takes the first of TensorRT, CUDA and CPU that runs. One asked for by name runs
    or raises :class:`ProviderError`. Raises :class:`BundleError` for a graph that is none.
    """
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
            continue  # with the next one; `Encoder.provider` tells which one runs
        # Where it cannot load a provider, onnxruntime logs a line and gives a session on the CPU.
        if session.get_providers()[0] == PROVIDERS[provider]:
            return session, provider
    raise ProviderError(
        f"the provider {choice!r} cannot run here: it needs an NVIDIA driver, its libraries and"
        " onnxruntime-gpu; use --provider auto or cpu"
    )


def provider_options(
    provider: Provider, bundle: Bundle, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Options of one provider for one bundle, as onnxruntime wants them: strings."""
    if provider == "cuda":
        return {
            "device_id": "0",
            # The default tries every algorithm for every new shape, which takes seconds.
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
            "use_tf32": "0",  # TF32 has a mantissa of 10 bits, and the front end would use it
        }
    if provider == "tensorrt":
        # trt_fp16_enable stays off: it would put the front end in half precision as well.
        folder = str(engine_cache(bundle, environment))
        # A graph with whole numbers is not built without it (onnxruntime issue 13381).
        whole = {"trt_int8_enable": "1"} if bundle.manifest.precision == "int8" else {}
        return {
            "device_id": "0",
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": folder,
            **whole,
            **_profile(bundle),
        }
    return {}


def engine_cache(bundle: Bundle, environment: Mapping[str, str] = os.environ) -> Path:
    """Folder of TensorRT's built engines for this graph and this onnxruntime.

    Building takes minutes, so they are kept in the user's cache. An engine is a program: the
    folder's name has the graph's sha256, and nobody else may write to it.
    """
    home = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", "~")) / ".cache")
    graph = bundle.manifest.model_sha256[:16]
    place = Path(home).expanduser() / "voxwatch" / "tensorrt"
    return place / f"{graph}-onnxruntime-{ort.__version__}"


def _profile(bundle: Bundle) -> dict[str, str]:
    """The shapes one TensorRT engine serves, so that none is built in mid-stream."""
    shapes = _window_shapes if bundle.manifest.frames is None else _frames_shapes
    return {f"trt_profile_{kind}_shapes": text for kind, text in shapes(bundle.manifest)}


def _window_shapes(manifest: Manifest) -> Iterator[tuple[str, str]]:
    usual = min(max(USUAL_WINDOW_S, manifest.min_window_s), manifest.max_window_s)
    for kind, rows, length_s in (
        ("min", 1, manifest.min_window_s),
        ("opt", USUAL_BATCH, usual),
        ("max", LARGEST_BATCH, manifest.max_window_s),
    ):
        yield kind, f"{WAVEFORM}:{rows}x{round(length_s * manifest.sample_rate_hz)}"


def _frames_shapes(manifest: Manifest) -> Iterator[tuple[str, str]]:
    assert manifest.frames is not None
    block, size = manifest.frames.block_samples, manifest.frames.state_size
    usual = manifest.frames.delay_blocks
    sizes = (("min", 1, 1), ("opt", USUAL_BATCH, usual), ("max", LARGEST_BATCH, MOST_BLOCKS))
    for kind, rows, blocks in sizes:
        sound = f"{SOUND}:{rows}x{blocks * block}"
        yield kind, f"{sound},{FRAMES}:{rows},{STATES}:{rows}x{size}"


def _may_run(provider: Provider) -> bool:
    """Whether to try it: without a driver onnxruntime only prints alarming errors."""
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
    # Windows come in bursts. Between them a pool that spins would use up the cores it serves.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    order: list[Provider] = [provider]
    if provider == "tensorrt":
        order.append("cuda")  # for the nodes that TensorRT does not take
    if provider != "cpu":
        order.append("cpu")
    providers = [(PROVIDERS[one], provider_options(one, bundle)) for one in order]
    try:
        if provider == "tensorrt":
            engine_cache(bundle).mkdir(parents=True, exist_ok=True, mode=0o700)
            # TensorRT's provider has no option against TF32 (onnxruntime issue 26029).
            os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
        if provider != "cpu":
            ort.preload_dlls()  # loads CUDA and cuDNN from NVIDIA's wheels where they are
        # enable_fallback=0 keeps onnxruntime from going on with the CPU when a GPU fails.
        return ort.InferenceSession(
            str(bundle.model_path), options, providers=providers, enable_fallback=0
        )
    except Exception as error:  # onnxruntime's own exceptions share no narrower base
        first = str(error).strip().splitlines()[0]
        if provider == "cpu":
            raise BundleError(f"{bundle.model_path} cannot be loaded: {first}") from error
        raise ProviderError(f"the provider {provider!r} failed to start: {first}") from error
