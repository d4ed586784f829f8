"""The frames graph: chunks, states, the flush of the look-ahead, and the pooling of spans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from frames_model import BANDS, BLOCK, DELAY_BLOCKS, FIGURES, HEARD, MARGIN_BLOCKS

from engine.errors import BundleError
from engine.model.bundle import Bundle, load_bundle, write_bundle
from engine.model.encoder import Encoder, embed_speech
from engine.model.frames import FramesGraph, SpanPooling
from engine.model.manifest import FRAMES_FILE, HEAD_FILE, MODEL_FILE, FramesFigures
from engine.model.providers import open_session, provider_options


@pytest.fixture(scope="module")
def graph(frames_bundle: Bundle) -> FramesGraph:
    return FramesGraph(open_session(frames_bundle, "cpu", 1)[0], frames_bundle)


def noise(rows: int, blocks: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((rows, blocks * BLOCK))).astype(np.float32)


def sums(graph: FramesGraph, sound: np.ndarray, chunks: list[int]) -> np.ndarray:
    """Sums of all blocks that went in, by chunks of so many blocks."""
    flushed = np.pad(sound, ((0, 0), (0, DELAY_BLOCKS * BLOCK)))
    states, found, done = np.zeros((len(sound), FIGURES.state_size), np.float32), [], 0
    for blocks in chunks:
        piece = flushed[:, done * BLOCK : (done + blocks) * BLOCK]
        real = min(max(sound.shape[1] - done * BLOCK, 0), blocks * BLOCK) // 160
        answer = graph.run(piece, np.full(len(sound), real), states)
        states, done = answer.states, done + blocks
        found.append(answer.sums)
        assert answer.heads.shape == (len(sound), blocks, 0)
    return np.concatenate(found, axis=1)[:, DELAY_BLOCKS:]


def test_a_bundle_of_format_2_comes_back_as_it_was_written(frames_bundle: Bundle) -> None:
    assert frames_bundle.manifest.frames == FIGURES
    assert sorted(frames_bundle.manifest.sha256) == [FRAMES_FILE, HEAD_FILE]
    assert frames_bundle.manifest.model_sha256 == frames_bundle.manifest.sha256[FRAMES_FILE]
    assert frames_bundle.head is not None
    assert frames_bundle.head.shape == (2 * BANDS + 1, BANDS)


def test_chunks_of_any_size_give_the_sums_of_the_whole(graph: FramesGraph) -> None:
    sound = noise(2, 12)
    whole = sums(graph, sound, [17])
    for chunks in ([5, 5, 5, 2], [1] * 17, [3, 9, 5]):
        np.testing.assert_allclose(sums(graph, sound, chunks), whole, rtol=1e-5, atol=1e-5)


def test_a_waveform_is_the_span_of_all_its_blocks(
    graph: FramesGraph, frames_bundle: Bundle
) -> None:
    sound = noise(3, 8)
    margin = MARGIN_BLOCKS * BLOCK
    padded, blocks = np.pad(sound, ((0, 0), (margin, margin))), DELAY_BLOCKS + 2 * MARGIN_BLOCKS
    span, magnitude = graph.pooling.embed(sums(graph, padded, [8 + blocks]).sum(axis=1))
    encoder = Encoder(frames_bundle, "cpu")
    np.testing.assert_allclose(encoder.embed(sound), span, atol=1e-6)
    np.testing.assert_allclose(embed_speech(encoder, sound[1]), span[1], atol=1e-6)
    np.testing.assert_allclose(encoder.hear(sound)[1][:, -1], magnitude, atol=1e-6)


def test_a_margin_is_silence_around_the_waveform(frames_bundle: Bundle, tmp_path: Path) -> None:
    figures = msgspec.structs.replace(FIGURES, margin_blocks=0)
    manifest = msgspec.structs.replace(frames_bundle.manifest, frames=figures)
    wide = Encoder(frames_bundle, "cpu")
    tight = Encoder(write_bundle(tmp_path / "b", manifest, frames_bundle.model_files()), "cpu")
    sound = noise(2, 8)[:, : 7 * BLOCK + 800]
    padded = np.pad(sound, ((0, 0), (2 * BLOCK, 2 * BLOCK)))
    found = tight.embed(padded)
    np.testing.assert_allclose(wide.embed(sound), found, atol=1e-6)


def test_no_margin_is_longer_than_what_the_graph_holds_back() -> None:
    """Of speech that has come out nothing could be told that counts with it later."""
    with pytest.raises(ValueError, match="margin_blocks"):
        msgspec.convert(msgspec.to_builtins(FIGURES) | {"margin_blocks": 6}, FramesFigures)


@pytest.mark.parametrize("margin", [0, 2])
def test_how_a_waveform_was_heard_is_the_mean_of_its_own_blocks(
    margin: int, heard_bundle: Bundle, tmp_path: Path
) -> None:
    """And of none of the silence around it."""
    figures = msgspec.structs.replace(HEARD, margin_blocks=margin)
    manifest = msgspec.structs.replace(heard_bundle.manifest, frames=figures)
    encoder = Encoder(write_bundle(tmp_path / "b", manifest, heard_bundle.model_files()), "cpu")
    sound = noise(2, 8) * np.repeat(np.geomspace(0.1, 1, 8), BLOCK).astype(np.float32)
    padded, frames = np.pad(sound, ((0, 0), (0, DELAY_BLOCKS * BLOCK))), np.full(2, 80)
    heads = encoder.run_frames(padded, frames, np.zeros((2, HEARD.state_size), np.float32)).heads
    blocks = heads[:, DELAY_BLOCKS:]
    assert np.ptp(blocks[:, :, 1]) > 3
    said = encoder.hear(sound)[1][:, :-1]
    np.testing.assert_allclose(said, blocks[:, :, 1:].mean(axis=1), rtol=1e-5)


def test_what_does_not_fill_a_block_counts(frames_bundle: Bundle) -> None:
    encoder, sound = Encoder(frames_bundle, "cpu"), noise(1, 8)
    short = encoder.embed(sound[:, : 7 * BLOCK])
    longer = encoder.embed(sound[:, : 7 * BLOCK + 800])
    assert np.abs(longer - short).max() > 1e-4


def test_a_head_of_another_shape_is_said(frames_bundle: Bundle, tmp_path: Path) -> None:
    changed = msgspec.structs.replace(FIGURES, pooled_channels=BANDS + 1)
    manifest = msgspec.structs.replace(frames_bundle.manifest, frames=changed)
    with pytest.raises(BundleError, match=r"head\.npy holds float32 \(49, 24\)"):
        write_bundle(tmp_path / "b", manifest, frames_bundle.model_files())


def test_a_graph_for_windows_is_no_frames_graph(
    frames_bundle: Bundle, spectral_bundle: Bundle, tmp_path: Path
) -> None:
    files = frames_bundle.model_files() | {FRAMES_FILE: spectral_bundle.model_path.read_bytes()}
    bundle = write_bundle(tmp_path / "b", frames_bundle.manifest, files)
    with pytest.raises(BundleError, match="does not turn sound, frames and states into"):
        Encoder(bundle, "cpu")


def test_the_format_and_the_frames_go_together(frames_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format 2"):
        msgspec.structs.replace(frames_bundle.manifest, format=1)
    files = {MODEL_FILE: b"x"} | frames_bundle.model_files()
    folder = write_bundle(tmp_path / "b", frames_bundle.manifest, files).folder
    assert replace(load_bundle(folder), folder=folder).model_files() == frames_bundle.model_files()


def test_tensorrt_is_asked_for_every_input(frames_bundle: Bundle) -> None:
    options = provider_options("tensorrt", frames_bundle, {})
    size = FIGURES.state_size
    assert options["trt_profile_min_shapes"] == f"sound:1x1600,frames:1,states:1x{size}"
    assert options["trt_profile_opt_shapes"] == f"sound:8x8000,frames:8,states:8x{size}"


def test_all_streams_pool_by_one_head_in_memory(frames_bundle: Bundle) -> None:
    assert frames_bundle.head is not None
    assert np.shares_memory(SpanPooling(frames_bundle)._columns, frames_bundle.head)
