from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.format import unit
from models.network.checkpoint import load_trained
from models.network.embedding import embed
from models.network.streaming import StreamingNeXtTDNN
from models.sound.conditions import TrainingConditions
from models.sound.corpus import Corpus
from models.training import whitening
from models.training.whitening import (
    WhiteningError,
    draw_crops,
    embed_crops,
    fold,
    half_against_half,
    whiten,
    whitening_matrix,
    within_covariance,
)


def test_scatter_is_measured_about_each_speaker_alone() -> None:
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(300), 8)
    root = rng.standard_normal((5, 5))
    scatter = rng.standard_normal((len(speakers), 5)) @ root
    centres = 100 * rng.standard_normal((300, 5))
    found = within_covariance(scatter + centres[speakers], speakers)
    np.testing.assert_allclose(found, root.T @ root, atol=0.12 * np.abs(root.T @ root).max())


def test_whitening_evens_out_the_scatter() -> None:
    rng = np.random.default_rng(1)
    root = rng.standard_normal((6, 6))
    within = root.T @ root
    level = np.trace(within) / 6
    even = whitening_matrix(within, ridge=1e-9)
    np.testing.assert_allclose(even @ within @ even.T, level * np.eye(6), atol=1e-4 * level)
    apart = np.linalg.eigvalsh(within)
    ridged = whitening_matrix(within)
    less = np.linalg.eigvalsh(ridged @ within @ ridged.T)
    assert less[-1] / less[0] < apart[-1] / apart[0] / 2


def test_folded_into_the_weights_it_is_the_same_map(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN],
) -> None:
    rng = np.random.default_rng(2)
    network = tiny_streaming_network().eval()
    sounds = list(0.1 * rng.standard_normal((3, 9600)).astype(np.float32))
    mean, matrix = rng.standard_normal(24), rng.standard_normal((24, 24))
    with torch.no_grad():
        before = embed(network, sounds).astype(np.float64)
        fold(network, mean, matrix)
        after = embed(network, sounds).astype(np.float64)
    expected = (before - mean) @ matrix
    np.testing.assert_allclose(after, expected, atol=1e-4 * np.abs(expected).max())


def test_halves_of_a_voice_are_compared_and_nothing_else() -> None:
    embeddings = np.array([[1.0, 0], [0.8, 0.6], [0, 1], [0.6, 0.8], [0.9, 0.4359]])
    speakers, halves = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 1])
    # 0 against 0 has a cosine of 0.8, 1 against 1 of 0.8 and 0.44; others of 0.6, 0.9 and 0.6.
    assert half_against_half(embeddings, speakers, halves) == pytest.approx(1 / 3)
    assert np.isnan(half_against_half(embeddings, speakers, np.zeros(5, int)))


def test_weights_stay_where_whitening_tells_held_out_speakers_less_well_apart(
    checkpoint: Path,
    heldout: Path,
    corpus_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = iter((0.1, 0.2))
    monkeypatch.setattr(whitening, "half_against_half", lambda *_: next(rates))
    output = tmp_path / "whitened.pt"
    assert not whiten(checkpoint, corpus_cache, heldout, output, progress=False).helps
    old, new = (load_trained(path)[0].state_dict() for path in (checkpoint, output))
    assert all(torch.equal(old[key], new[key]) for key in old)


def test_crops_come_as_they_are_and_degraded_and_from_nobody_held_out(corpus: Corpus) -> None:
    held_out = {"s03", "s10"}
    crops = list(draw_crops(corpus, held_out, np.random.default_rng(3)))
    names = list(corpus.by_speaker)
    assert {names[crop.speaker] for crop in crops} == set(names) - held_out
    for plain, degraded in zip(crops[::2], crops[1::2], strict=True):
        start, length = corpus.span(names[plain.speaker])
        assert start <= plain.start
        assert plain.start + plain.length <= start + length
        assert (plain.start, plain.length) == (degraded.start, degraded.length)
        assert plain.turn is None
        assert degraded.turn is not None


@pytest.fixture
def checkpoint(tiny_streaming_network: Callable[..., StreamingNeXtTDNN], tmp_path: Path) -> Path:
    network = tiny_streaming_network()
    path = tmp_path / "last.pt"
    state = {"ema": network.state_dict(), "arch": asdict(network.arch), "step": 7, "config": "{}"}
    torch.save(state, path)
    return path


@pytest.fixture
def heldout(tmp_path: Path) -> Path:
    path = tmp_path / "heldout.txt"
    path.write_text("s00\ns01\n")
    return path


def test_a_whitened_checkpoint_is_the_old_one_with_another_last_layer(
    checkpoint: Path, heldout: Path, corpus_cache: Path, tmp_path: Path
) -> None:
    output = tmp_path / "whitened.pt"
    found = whiten(checkpoint, corpus_cache, heldout, output, progress=False)
    assert (found.speakers, found.helps) == (22, True)
    old, _ = load_trained(checkpoint)
    new, known = load_trained(output)
    assert known["step"] == 7
    changed = {k for k, v in new.state_dict().items() if not torch.equal(v, old.state_dict()[k])}
    assert changed
    assert all(k.startswith(("fc.", "bn3.")) for k in changed)
    assert set(torch.load(output, weights_only=True)) == {"ema", "arch", "step", "config"}
    # What it was fitted on scatters about nothing and more evenly than it did.
    corpus, rng = Corpus(corpus_cache), np.random.default_rng(0)
    crops = list(draw_crops(corpus, {"s00", "s01"}, rng))
    speakers = np.array([crop.speaker for crop in crops])
    before, after = (
        embed_crops(
            n,
            corpus,
            crops,
            TrainingConditions(corpus_cache),
            np.random.default_rng(0),
            progress=False,
        )
        for n in (old, new)
    )
    assert np.linalg.norm(after.mean(axis=0)) < 0.2 * np.linalg.norm(before.mean(axis=0))
    scatter = [np.linalg.eigvalsh(within_covariance(unit(e), speakers)) for e in (before, after)]
    spread = [values[-1] / values.mean() for values in scatter]
    assert spread[1] < 0.7 * spread[0]


@pytest.mark.parametrize(("names", "why"), [("", "names no speakers"), ("s00 nobody", "'nobody'")])
def test_a_list_of_another_run_would_let_held_out_speakers_in(
    names: str, why: str, checkpoint: Path, corpus_cache: Path, tmp_path: Path
) -> None:
    heldout = tmp_path / "other.txt"
    heldout.write_text(names)
    with pytest.raises(WhiteningError, match=why):
        whiten(checkpoint, corpus_cache, heldout, tmp_path / "out.pt", progress=False)


def test_the_checkpoint_is_not_written_over(
    checkpoint: Path, heldout: Path, corpus_cache: Path
) -> None:
    with pytest.raises(WhiteningError, match="from which training goes on"):
        whiten(checkpoint, corpus_cache, heldout, checkpoint, progress=False)


def test_what_it_lacks_is_said(checkpoint: Path, heldout: Path, tmp_path: Path) -> None:
    with pytest.raises(WhiteningError, match=r"cannot read .*name the cache"):
        whiten(checkpoint, tmp_path / "none", heldout, tmp_path / "out.pt", progress=False)


def test_too_few_speakers_are_refused(
    checkpoint: Path, corpus: Corpus, corpus_cache: Path, tmp_path: Path
) -> None:
    names = list(corpus.by_speaker)
    heldout = tmp_path / "heldout.txt"
    heldout.write_text("\n".join(names[:-3]))
    with pytest.raises(WhiteningError, match=r"3 speakers .* too few"):
        whiten(checkpoint, corpus_cache, heldout, tmp_path / "out.pt", progress=False)


def test_an_output_that_cannot_be_written_is_said(
    checkpoint: Path, heldout: Path, corpus_cache: Path, tmp_path: Path
) -> None:
    output = tmp_path / "none" / "out.pt"
    with pytest.raises(WhiteningError, match="cannot write"):
        whiten(checkpoint, corpus_cache, heldout, output, progress=False)
