"""Graphs bound to buffers: real onnxruntime, on the CPU, by the code that binds on a GPU."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from frames_model import BLOCK, FIGURES
from numpy.typing import NDArray

from engine.model import bindings
from engine.model.backend import OnnxBackend
from engine.model.bundle import Bundle, load_bundle
from engine.model.frames import FramesOutput

Float32 = NDArray[np.float32]
SIZES = (1, 2, 4)


def noise(*shape: int, seed: int = 0) -> Float32:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def ask(backend: OnnxBackend, rows: int, blocks: int, seed: int = 0) -> FramesOutput:
    figures = backend.bundle.manifest.frames
    assert figures is not None
    sound = noise(rows, blocks * figures.block_samples, seed=seed)
    frames = np.arange(1, rows + 1, dtype=np.int64)
    return backend.run_frames(sound, frames, np.zeros((rows, figures.state_size), np.float32))


def alike(one: FramesOutput, other: FramesOutput) -> None:
    for name in ("sums", "states", "heads"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.fixture
def bound(frames_bundle: Bundle) -> OnnxBackend:
    return OnnxBackend(frames_bundle, "cpu", batch_sizes=SIZES, binds=True)


@pytest.fixture
def allocated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the buffers that were allocated."""
    shapes: list[tuple[int, ...]] = []
    real = ort.OrtValue.ortvalue_from_shape_and_type

    def allocate(shape: list[int], *rest: Any) -> Any:
        shapes.append(tuple(shape))
        return real(shape, *rest)

    monkeypatch.setattr(ort.OrtValue, "ortvalue_from_shape_and_type", allocate)
    return shapes


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("blocks", [1, 5])
def test_a_bound_frames_graph_says_what_it_says_unbound(
    frames_bundle: Bundle, bound: OnnxBackend, rows: int, blocks: int
) -> None:
    alike(ask(bound, rows, blocks), ask(OnnxBackend(frames_bundle, "cpu"), rows, blocks))


def test_the_bundle_that_ships_can_be_bound() -> None:
    bundle = load_bundle()
    bound = OnnxBackend(bundle, "cpu", batch_sizes=SIZES, binds=True)
    found = ask(bound, 3, 5)
    alike(found, ask(OnnxBackend(bundle, "cpu"), 3, 5))
    assert found.heads.shape[-1] == len(bundle.manifest.frames.heads)


def test_states_go_on_from_one_call_to_the_next(frames_bundle: Bundle, bound: OnnxBackend) -> None:
    """A stream in chunks, whose rows lie in other buckets each time."""
    sound, free = noise(1, 12 * BLOCK), OnnxBackend(frames_bundle, "cpu")
    states = {backend: np.zeros((1, FIGURES.state_size), np.float32) for backend in (bound, free)}
    for start, others in ((0, 0), (4, 3), (8, 1)):
        chunk, answers = sound[:, start * BLOCK : (start + 4) * BLOCK], []
        for backend, before in states.items():
            rows = np.concatenate([chunk, noise(others, 4 * BLOCK, seed=start)])
            mixed = np.concatenate([before, noise(others, FIGURES.state_size, seed=9)])
            answer = backend.run_frames(rows, np.full(1 + others, 40), mixed)
            states[backend] = answer.states[:1]
            answers.append(answer)
        alike(*answers)


def test_a_bucket_is_allocated_once(bound: OnnxBackend, allocated: list[tuple[int, ...]]) -> None:
    for seed in range(4):
        ask(bound, 3, 5, seed)
        ask(bound, 4, 5, seed)
    assert len(allocated) == 5  # sound, frames and states; sums and states
    assert {shape[0] for shape in allocated} == {4}
    ask(bound, 4, 6)
    assert len(allocated) == 10


def test_an_answer_is_not_the_buffer(bound: OnnxBackend) -> None:
    first = ask(bound, 2, 5)
    kept = first.sums.copy(), first.states.copy()
    ask(bound, 2, 5, seed=7)
    np.testing.assert_array_equal(first.sums, kept[0])
    np.testing.assert_array_equal(first.states, kept[1])


def test_buckets_are_bounded(bound: OnnxBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "MOST_BINDINGS", 2)
    for blocks in (1, 2, 1, 3):
        ask(bound, 1, blocks)
    call = bound._graph.call
    assert isinstance(call, bindings.Bindings)
    assert sorted(call._buckets) == [(1, BLOCK), (1, 3 * BLOCK)]  # the longest unused went


def test_threads_share_a_bucket(frames_bundle: Bundle, bound: OnnxBackend) -> None:
    free = OnnxBackend(frames_bundle, "cpu")
    found: dict[int, FramesOutput] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: ask(bound, 2, 5, i)}))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(8):
        alike(found[i], ask(free, 2, 5, i))


def test_a_graph_of_windows_is_bound_by_the_same_code(spectral_bundle: Bundle) -> None:
    bound = OnnxBackend(spectral_bundle, "cpu", batch_sizes=SIZES, binds=True)
    free = OnnxBackend(spectral_bundle, "cpu", batch_sizes=SIZES)
    for rows, samples in ((1, 16_000), (3, 16_000), (7, 24_000)):
        sound = noise(rows, samples)
        np.testing.assert_allclose(bound.embed(sound), free.embed(sound), atol=1e-6)


def test_a_whole_recording_binds_nothing(
    bound: OnnxBackend, allocated: list[tuple[int, ...]]
) -> None:
    for seconds in (1, 2, 3):
        bound.embed(noise(1, seconds * 16_000))
    assert allocated == []
