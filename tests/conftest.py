"""What the tests of every room share: synthetic voices and a bundle too small to train."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile as sf
from frames_model import FIGURES, HEARD, frames_files
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from postgresql import cluster, database_url, postgresql_url  # noqa: F401  (fixtures)

from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import Bundle, write_bundle
from engine.model.manifest import MODEL_FILE, Calibration, Manifest
from engine.speech.vad import SileroVad

Float32 = NDArray[np.float32]

# No test is about how long it takes: on a busy machine anything takes long.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")

# Formants in Hz of five vowels (Peterson and Barney 1952, men's averages, rounded).
VOWELS_HZ = np.array(
    [[730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480], [570, 840, 2410]]
)
FORMANT_GAINS_AND_WIDTHS_HZ = ((1.0, 60), (0.5, 90), (0.25, 120))
SYLLABLE_S = 0.22

# Pitch in Hz, and formants relative to VOWELS_HZ: Anna's vocal tract is the shorter one.
VOICES = {"anna": (210.0, 1.17), "bert": (110.0, 1.0)}


def synthetic_voice(
    name: str, seconds: float, *, seed: int = 0, rate_hz: int = SAMPLE_RATE_HZ
) -> Float32:
    """Vowels in random order at a wandering pitch: enough of a voice for a speech detector.

    ``name`` is of ``VOICES``; ``seed`` chooses what is said. Peak 0.5, float32 ``(samples,)``.
    """
    return _synthetic_voice(name, seconds, seed, rate_hz).copy()


# Synthesis took a third of the time of many tests, which ask for the same few sounds.
@functools.lru_cache(maxsize=64)
def _synthetic_voice(name: str, seconds: float, seed: int, rate_hz: int) -> Float32:
    pitch_hz, tract = VOICES[name]
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    pitch = pitch_hz * (1 + 0.12 * np.sin(3.8 * t + seed) + 0.04 * np.sin(17 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    syllable, part = np.divmod(t / SYLLABLE_S, 1)
    order = rng.integers(0, len(VOWELS_HZ), int(syllable.max()) + 2)
    glide = np.clip((part - 0.7) / 0.3, 0, 1)[:, None]
    now, after = (VOWELS_HZ[order[syllable.astype(int) + i]] * tract for i in (0, 1))
    formants = now * (1 - glide) + after * glide
    sound = np.zeros_like(t)
    for harmonic in range(1, int(min(rate_hz / 2.5, 5500) / pitch_hz)):
        gain = sum(
            g / (1 + ((harmonic * pitch - formants[:, i]) / width) ** 2)
            for i, (g, width) in enumerate(FORMANT_GAINS_AND_WIDTHS_HZ)
        )
        sound += gain / np.sqrt(harmonic) * np.sin(harmonic * phase)
    sound *= 0.25 + 0.75 * np.sin(np.pi * part) ** 0.7
    sound /= np.abs(sound).max()
    sound += 0.003 * rng.standard_normal(len(t))
    return (0.5 * sound).astype(np.float32)


BANDS = 24


def spectral_model() -> bytes:
    """An ONNX graph whose embedding is the log of the mean power in 24 bands, mean taken off.

    It tells the synthetic voices apart by their average spectrum and needs no training.
    """
    onnx = pytest.importorskip("onnx", reason="building a test bundle needs onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    taps = np.arange(512)
    centres_hz = np.geomspace(120, 6000, BANDS)[:, None]
    window = np.hanning(512)
    angle = 2 * np.pi * centres_hz * taps / SAMPLE_RATE_HZ
    filters = np.stack([np.cos(angle) * window, np.sin(angle) * window])
    constants = {
        "filters": filters.reshape(2 * BANDS, 1, 512).astype(np.float32),
        "channel": np.array([1]),
        "pairs": np.array([0, 2, BANDS, -1]),
        "over": np.array([1, 3]),
        "bands": np.array([1]),
        "floor": np.array(1e-6, np.float32),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "channel"], ["x"]),
        helper.make_node("Conv", ["x", "filters"], ["y"], strides=[256]),
        helper.make_node("Reshape", ["y", "pairs"], ["z"]),
        helper.make_node("Mul", ["z", "z"], ["power"]),
        helper.make_node("ReduceMean", ["power", "over"], ["mean"], keepdims=0),
        helper.make_node("Add", ["mean", "floor"], ["floored"]),
        helper.make_node("Log", ["floored"], ["level"]),
        helper.make_node("ReduceMean", ["level", "bands"], ["overall"], keepdims=1),
        helper.make_node("Sub", ["level", "overall"], ["embedding"]),
    ]
    number = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "spectral",
        [helper.make_tensor_value_info("waveform", number, ["batch", "samples"])],
        [helper.make_tensor_value_info("embedding", number, ["batch", BANDS])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files run side by side the slow ones begin, so that none is waited for at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def vad() -> SileroVad:
    """The real detector: it is small enough to need no stand-in."""
    return SileroVad()


@pytest.fixture(scope="session")
def spectral_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A whole, calibrated bundle around :func:`spectral_model`."""
    manifest = Manifest(
        name="spectral",
        version="1",
        licence="Apache-2.0",
        source="tests",
        architecture={},
        front_end={},
        embedding_size=BANDS,
        calibration=Calibration(half_speech_s=0.5, slope=(80.0, 0.0), offset=(-73.6, 0.0, 0.0)),
    )
    model = {MODEL_FILE: spectral_model()}
    return write_bundle(tmp_path_factory.mktemp("bundles") / "spectral", manifest, model)


@pytest.fixture(scope="session")
def frames_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A whole, calibrated bundle of format 2, of which :mod:`frames_model` tells."""
    manifest = Manifest(
        format=2,
        name="spectral frames",
        version="1",
        licence="Apache-2.0",
        source="tests",
        architecture={},
        front_end={},
        embedding_size=BANDS,
        min_window_s=0.1,
        frames=FIGURES,
        calibration=Calibration(half_speech_s=0.5, slope=(80.0, 0.0), offset=(-73.6, 0.0, 0.0)),
    )
    return write_bundle(tmp_path_factory.mktemp("bundles") / "frames", manifest, frames_files())


@pytest.fixture(scope="session")
def heard_bundle(tmp_path_factory: pytest.TempPathFactory, frames_bundle: Bundle) -> Bundle:
    """One that says how speech was heard besides, and whose ratios know what that takes."""
    calibration = Calibration(
        half_speech_s=0.5, slope=(0.1, 80.0), offset=(0.0, 0.0, -70.0), acoustics=(2.0, 0.5)
    )
    manifest = msgspec.structs.replace(
        frames_bundle.manifest, frames=HEARD, calibration=calibration
    )
    folder = tmp_path_factory.mktemp("bundles") / "heard"
    return write_bundle(folder, manifest, frames_files(heads=True))


@pytest.fixture(scope="session")
def voice() -> Callable[..., Float32]:
    """:func:`synthetic_voice`, for modules that cannot import this one."""
    return synthetic_voice


@pytest.fixture
def speak(tmp_path: Path) -> Callable[..., Path]:
    """Writes a synthetic voice to a 16 kHz file: ``speak("a.wav", "anna", seed=3)``.

    ``quiet_s`` is the length of near silence before and after it.
    """

    def write(
        file: str, name: str, seconds: float = 7.0, *, seed: int = 0, quiet_s: float = 0.0
    ) -> Path:
        path = tmp_path / file
        quiet = np.random.default_rng(seed).normal(0, 1e-3, round(quiet_s * SAMPLE_RATE_HZ))
        voice = synthetic_voice(name, seconds, seed=seed)
        sf.write(path, np.concatenate([quiet, voice, quiet]), SAMPLE_RATE_HZ)
        return path

    return write
