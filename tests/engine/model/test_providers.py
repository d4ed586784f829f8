"""Providers: the one asked for or an error, and what each is asked for with.

No GPU is needed: sessions are stand-ins that record how they were opened.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import onnxruntime as ort
import pytest

from engine.errors import ProviderError
from engine.model import providers as module
from engine.model.bundle import Bundle
from engine.model.encoder import Encoder
from engine.model.providers import engine_cache, open_session, provider_options

Asked = list[tuple[str, dict[str, str]]]


def test_auto_names_the_provider_that_really_runs(spectral_bundle: Bundle) -> None:
    encoder = Encoder(spectral_bundle, "auto")
    assert module.PROVIDERS[encoder.provider] == encoder._session.get_providers()[0]


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_cannot_run_is_no_silent_fallback(
    spectral_bundle: Bundle, provider: module.ProviderChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CUDA_DRIVER", "libno-such-driver.so")
    with pytest.raises(ProviderError, match=f"'{provider}' cannot run here"):
        Encoder(spectral_bundle, provider)
    assert Encoder(spectral_bundle, "auto").provider == "cpu"


def test_a_session_that_fell_back_is_no_success(
    spectral_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime answers a provider it cannot load with a CPU session and a log line."""
    monkeypatch.setattr(module, "_may_run", lambda provider: True)
    cpu = ["CPUExecutionProvider"]
    real = ort.InferenceSession
    monkeypatch.setattr(
        module.ort, "InferenceSession", lambda path, options, **_: real(path, providers=cpu)
    )
    with pytest.raises(ProviderError, match="cannot run here"):
        Encoder(spectral_bundle, "cuda")
    assert Encoder(spectral_bundle, "auto").provider == "cpu"


def test_auto_goes_on_when_a_provider_fails_to_start(
    spectral_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_may_run", lambda provider: True)
    real = ort.InferenceSession

    def without_gpu(path: str, options: object, *, providers: Asked, **_: object) -> object:
        if providers[0][0] != "CPUExecutionProvider":
            raise RuntimeError("no driver\nwith details")
        return real(path, options, providers=providers)

    monkeypatch.setattr(module.ort, "InferenceSession", without_gpu)
    assert Encoder(spectral_bundle, "auto").provider == "cpu"
    with pytest.raises(ProviderError, match=r"'cuda' failed to start: no driver$"):
        Encoder(spectral_bundle, "cuda")


def test_an_unknown_provider_lists_the_known_ones(spectral_bundle: Bundle) -> None:
    with pytest.raises(ProviderError, match="auto, cpu, cuda, tensorrt"):
        Encoder(spectral_bundle, "tpu")


class Recorded:
    """A session that starts on whatever it was asked for."""

    def __init__(self, path: str, options: ort.SessionOptions, **asked: object) -> None:
        self.path, self.options, self.asked = path, options, asked

    def get_providers(self) -> list[str]:
        providers: Asked = self.asked["providers"]
        return [name for name, _ in providers]


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_may_run", lambda provider: True)
    monkeypatch.setattr(module.ort, "InferenceSession", Recorded)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "")  # put back after the test
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")


@pytest.mark.usefixtures("recording")
def test_tensorrt_keeps_its_engines_and_leaves_the_rest_to_cuda(
    spectral_bundle: Bundle, tmp_path: Path
) -> None:
    session, provider = open_session(spectral_bundle, "auto", 1)
    assert provider == "tensorrt"
    names = [name for name, _ in session.asked["providers"]]
    assert names == [
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    assert session.asked["enable_fallback"] == 0
    options = session.asked["providers"][0][1]
    folder = Path(options["trt_engine_cache_path"])
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0
    assert folder.parent == tmp_path / "voxwatch" / "tensorrt"
    assert options["trt_engine_cache_enable"] == "1"
    assert "trt_fp16_enable" not in options
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


def test_one_profile_spans_every_window_the_bundle_allows(spectral_bundle: Bundle) -> None:
    options = provider_options("tensorrt", spectral_bundle, {})
    assert options["trt_profile_min_shapes"] == "waveform:1x8000"
    assert options["trt_profile_opt_shapes"] == "waveform:8x48000"
    assert options["trt_profile_max_shapes"] == "waveform:32x320000"


def test_tensorrt_is_told_of_whole_numbers(frames_bundle: Bundle) -> None:
    """Without that option it refuses to build such a graph, and with it to build another."""
    for precision, asked in (("fp16", None), ("int8", "1")):
        manifest = msgspec.structs.replace(frames_bundle.manifest, precision=precision)
        options = provider_options("tensorrt", replace(frames_bundle, manifest=manifest), {})
        assert options.get("trt_int8_enable") == asked


def test_a_graph_has_its_own_engines(spectral_bundle: Bundle) -> None:
    folder = engine_cache(spectral_bundle, {"HOME": "/home/someone"})
    assert folder.parent == Path("/home/someone/.cache/voxwatch/tensorrt")
    assert folder.name.startswith(spectral_bundle.manifest.model_sha256[:16])
    assert ort.__version__ in folder.name


@pytest.mark.usefixtures("recording")
def test_cuda_searches_no_algorithms_in_mid_stream(spectral_bundle: Bundle) -> None:
    session, provider = open_session(spectral_bundle, "cuda", 3)
    assert provider == "cuda"
    (name, options), (rest, none) = session.asked["providers"]
    assert (name, rest, none) == ("CUDAExecutionProvider", "CPUExecutionProvider", {})
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert options["use_tf32"] == "0"
    assert session.options.intra_op_num_threads == 3


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_this_onnxruntime_knows_every_option_we_give(
    spectral_bundle: Bundle, provider: module.Provider
) -> None:
    """The names at least stand in the library that would read them."""
    library = Path(ort.__file__).parent / "capi" / f"libonnxruntime_providers_{provider}.so"
    if not library.is_file():
        pytest.skip("this onnxruntime was built without GPUs")
    known = library.read_bytes()
    for name in provider_options(provider, spectral_bundle, {}):
        assert name.encode() in known
