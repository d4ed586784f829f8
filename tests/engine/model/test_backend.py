"""Backends: fixed buckets, rows that do not know of each other, buffers that stay on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fake_backend import FAKE_SIZE, FakeBackend
from numpy.typing import NDArray

from engine.errors import AudioError, ProviderError
from engine.model import backend as module
from engine.model import bindings
from engine.model import encoder as encoder_module
from engine.model.backend import BATCH_TOLERANCE, OnnxBackend
from engine.model.bundle import Bundle, load_bundle

RATE = 16000
Float32 = NDArray[np.float32]


def noise(*shape: int, seed: int = 0) -> Float32:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.fixture(scope="module")
def bundled() -> OnnxBackend:
    return OnnxBackend(load_bundle(), "cpu")


@pytest.mark.parametrize("seconds", [1.0, 1.5, 3.0])
def test_a_window_has_one_embedding_whatever_its_batch(
    bundled: OnnxBackend, voice: Callable[..., Float32], seconds: float
) -> None:
    rows = [voice("anna" if i % 2 else "bert", seconds, seed=i) for i in range(5)]
    alone = np.concatenate([bundled.embed(row[None]) for row in rows])
    for size in (2, 3, 5):
        together = bundled.embed(np.stack(rows[:size]))
        np.testing.assert_allclose(together, alone[:size], atol=BATCH_TOLERANCE)
    assert np.abs(alone[0] - alone[1]).max() > 100 * BATCH_TOLERANCE  # it could have failed


def test_it_says_what_runs_and_how(spectral_bundle: Bundle) -> None:
    backend = OnnxBackend(spectral_bundle, "cpu", batch_sizes=(4, 1))
    assert (backend.name, backend.provider) == ("spectral", "cpu")
    assert backend.batch_sizes == (1, 4)
    assert (backend.min_samples, backend.max_samples) == (8000, 320_000)
    assert OnnxBackend(spectral_bundle, "cpu").batch_sizes == module.CPU_BATCH_SIZES


@pytest.mark.parametrize("sizes", [(0, 1), (64,)])
def test_impossible_batch_sizes_are_refused(
    spectral_bundle: Bundle, sizes: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="from 1 to 32"):
        OnnxBackend(spectral_bundle, "cpu", batch_sizes=sizes)


class Value:
    """Memory on the device, as onnxruntime's ``OrtValue`` has it."""

    allocated: int = 0

    def __init__(self, shape: list[int]) -> None:
        self.data = np.full(shape, np.nan, np.float32)

    @classmethod
    def ortvalue_from_shape_and_type(
        cls, shape: list[int], kind: type, device: str, number: int
    ) -> Value:
        assert (kind, device, number) == (np.float32, "cuda", 0)
        Value.allocated += 1
        return cls(shape)

    def update_inplace(self, data: Float32) -> None:
        assert data.shape == self.data.shape
        self.data = data.copy()

    def numpy(self) -> Float32:
        return self.data


class Bound:
    """An I/O binding that says in which order it was used."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.steps: list[str] = []

    def bind_ortvalue_input(self, name: str, value: Value) -> None:
        self.values[name] = value

    bind_ortvalue_output = bind_ortvalue_input

    def synchronize_inputs(self) -> None:
        self.steps.append("inputs")

    def synchronize_outputs(self) -> None:
        self.steps.append("outputs")


class Device:
    """A session on a GPU that is none: it computes with the CPU's session."""

    def __init__(self, real: Any) -> None:
        self.real, self.bindings, self.shapes = real, [], []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def io_binding(self) -> Bound:
        self.bindings.append(Bound())
        return self.bindings[-1]

    def run_with_iobinding(self, binding: Bound) -> None:
        assert binding.steps[-1] == "inputs"
        binding.steps.append("run")
        sound = binding.values["waveform"].data
        self.shapes.append(sound.shape)
        binding.values["embedding"].data[:] = self.real.run(None, {"waveform": sound})[0]


@pytest.fixture
def on_gpu(spectral_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> OnnxBackend:
    """A backend that believes it is on a GPU, over a device that records."""
    opened = encoder_module.open_session

    def open_device(*arguments: Any) -> tuple[Device, str]:
        return Device(opened(arguments[0], "cpu", 1)[0]), "cuda"

    monkeypatch.setattr(encoder_module, "open_session", open_device)
    monkeypatch.setattr(bindings.ort, "OrtValue", Value)
    monkeypatch.setattr(Value, "allocated", 0)
    return OnnxBackend(spectral_bundle, "cuda", batch_sizes=(1, 2, 4))


def device(backend: OnnxBackend) -> Device:
    session = backend._session
    assert isinstance(session, Device)
    return session


def test_a_gpu_is_given_whole_buckets_and_gives_only_what_was_asked(
    on_gpu: OnnxBackend,
) -> None:
    batch = noise(3, RATE)
    found = on_gpu.embed(batch)
    assert device(on_gpu).shapes == [(4, RATE)]
    assert found.shape == (3, on_gpu.embedding_size)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    reference = device(on_gpu).real.run(None, {"waveform": batch})[0]
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    np.testing.assert_allclose(found, reference, atol=1e-6)


def test_a_gpu_allocates_once_for_a_bucket(on_gpu: OnnxBackend) -> None:
    for seed in range(5):
        on_gpu.embed(noise(2, RATE, seed=seed))
    assert Value.allocated == 2  # the sound and its embeddings
    assert device(on_gpu).bindings[0].steps == ["inputs", "run", "outputs"] * 5
    on_gpu.embed(noise(2, 2 * RATE))
    assert Value.allocated == 4


def test_more_rows_than_the_largest_bucket_go_in_pieces(on_gpu: OnnxBackend) -> None:
    batch = noise(7, RATE)
    found = on_gpu.embed(batch)
    assert device(on_gpu).shapes == [(4, RATE), (4, RATE)]
    np.testing.assert_allclose(found[6], on_gpu.embed(batch[6:])[0], atol=1e-6)


def test_what_is_returned_is_not_the_buffer(on_gpu: OnnxBackend) -> None:
    first = on_gpu.embed(noise(1, RATE))
    kept = first.copy()
    on_gpu.embed(noise(1, RATE, seed=9))
    np.testing.assert_array_equal(first, kept)


def test_buffers_on_a_gpu_are_bounded(on_gpu: OnnxBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "MOST_BINDINGS", 2)
    for samples in (RATE, RATE + 1, RATE, RATE + 2):
        on_gpu.embed(noise(1, samples))
    call = on_gpu._graph.call
    assert isinstance(call, bindings.Bindings)
    assert sorted(call._buckets) == [(1, RATE), (1, RATE + 2)]  # the longest unused went


def test_threads_share_a_bucket_one_after_another(on_gpu: OnnxBackend) -> None:
    batches = [noise(2, RATE, seed=i) for i in range(8)]
    alone = [on_gpu.embed(batch) for batch in batches]
    found: dict[int, Float32] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: on_gpu.embed(batches[i])}))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, expected in enumerate(alone):
        np.testing.assert_array_equal(found[i], expected)


def test_a_gpu_that_fails_is_an_error_of_the_provider(
    on_gpu: OnnxBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Bound) -> None:
        raise RuntimeError("CUDA failure 700: an illegal memory access\nat line 1")

    monkeypatch.setattr(device(on_gpu), "run_with_iobinding", fail, raising=False)
    with pytest.raises(ProviderError, match=r"'cuda' with input \(1, 16000\): CUDA failure 700"):
        on_gpu.embed(noise(1, RATE))


def test_the_fake_tells_voices_apart_and_is_exact(voice: Callable[..., Float32]) -> None:
    fake = FakeBackend()
    rows = np.stack([voice(name, 3.0, seed=s) for name in ("anna", "bert") for s in (0, 1)])
    found = fake.embed(rows)
    assert found.shape == (4, FAKE_SIZE)
    np.testing.assert_array_equal(found[2:3], fake.embed(rows[2:3]))
    same = [found[0] @ found[1], found[2] @ found[3]]
    other = [found[i] @ found[j] for i in (0, 1) for j in (2, 3)]
    assert min(same) > max(other) + 0.05
    with pytest.raises(AudioError, match="too short"):
        fake.embed(rows[:, :100])
