"""Batches: what is in them, what their spans are taught, and who is never drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.sound.corpus import Corpus
from models.training.config import load_config
from models.training.data import TEACHER_FOLDER, held_out
from models.training.loop import Sounds
from models.training.sampler import Sampler
from models.training.teacher import Targets

SEEDS = 12


@pytest.fixture
def make(data: Path, write_config: Callable[..., Path]) -> Callable[..., tuple[Sampler, list[str]]]:
    """A sampler of the tiny corpus and whom it leaves out."""

    def build(*settings: str) -> tuple[Sampler, list[str]]:
        config = load_config(write_config(*settings))
        corpus = Corpus(config.data.cache)
        heldout = held_out(corpus, config.data)
        targets = Targets(corpus, config.data.cache / TEACHER_FOLDER, config.data.speeds)
        augment = Sounds(config).augment(config.augment, seed=0)
        return Sampler(corpus, config, heldout, targets, augment), heldout

    return build


def test_held_out_speakers_are_never_drawn(
    make: Callable[..., tuple[Sampler, list[str]]],
) -> None:
    sampler, heldout = make()
    assert len(heldout) == 6
    assert not set(heldout) & set(sampler.speakers)
    assert sampler.classes == 2 * 6
    assert sampler.class_centres().shape == (12, 192)


def test_spans_lie_in_their_sequence_and_are_whole_blocks(
    make: Callable[..., tuple[Sampler, list[str]]],
) -> None:
    sampler, _ = make()
    for seed in range(SEEDS):
        batch = sampler.batch(np.random.default_rng(seed))
        assert batch.sound.shape == (4, 48_000)
        assert bool((batch.start >= 0).all())
        assert bool((batch.end <= 30).all())
        assert bool((batch.end - batch.start >= 5).all())
        assert set(batch.sequence.tolist()) == {0, 1, 2, 3}
        torch.testing.assert_close(batch.targets.norm(dim=1), torch.ones(len(batch.targets)))


def test_a_span_has_one_speaker_and_a_sequence_may_have_several(
    make: Callable[..., tuple[Sampler, list[str]]],
) -> None:
    sampler, _ = make("batch.one_speaker = 0.0", "augment.speed = 0.0")
    several = 0
    for seed in range(SEEDS):
        batch = sampler.batch(np.random.default_rng(seed))
        for sequence in range(4):
            rows = batch.sequence == sequence
            several += len(set(batch.labels[rows].tolist())) > 1
            # Each piece is taught whole first: spans of other speakers do not overlap it.
            spans = list(zip(batch.start[rows], batch.end[rows], batch.labels[rows], strict=True))
            for a, b, who in spans:
                for c, d, other in spans:
                    assert who == other or b <= c or d <= a
    assert several > SEEDS


def test_one_speaker_fills_a_sequence_where_no_change_is_wanted(
    make: Callable[..., tuple[Sampler, list[str]]],
) -> None:
    sampler, _ = make("batch.one_speaker = 1.0", "batch.length_s = 1.7", "batch.piece_s = [1, 1]")
    batch = sampler.batch(np.random.default_rng(0))
    for sequence in range(4):
        assert len(set(batch.labels[batch.sequence == sequence].tolist())) == 1
    assert float(batch.sound[:, -1600:].abs().amax(dim=1).min()) > 0


def test_what_is_said_faster_is_somebody_else(
    make: Callable[..., tuple[Sampler, list[str]]],
) -> None:
    sampler, _ = make("augment.speed = 1.0")
    seen = set()
    for seed in range(SEEDS):
        seen |= set(sampler.batch(np.random.default_rng(seed)).labels.tolist())
    assert seen & set(range(6))
    assert seen & set(range(6, 12))
    assert seen <= set(range(12))


def test_unlabelled_sources_have_targets_and_no_class(
    make: Callable[..., tuple[Sampler, list[str]]],
) -> None:
    sampler, _ = make('data.unlabelled_sources = ["toy"]')
    batch = sampler.batch(np.random.default_rng(0))
    assert set(batch.labels.tolist()) == {-1}
    assert sampler.classes == 0


def test_targets_lean_on_the_span_as_far_as_they_are_asked_to(
    make: Callable[..., tuple[Sampler, list[str]]],
) -> None:
    whole, _ = make("batch.local_target = 0.0", "augment.speed = 0.0")
    batch = whole.batch(np.random.default_rng(0))
    centres = torch.from_numpy(whole.class_centres())
    torch.testing.assert_close(batch.targets, centres[batch.labels])
    local, _ = make("batch.local_target = 1.0", "augment.speed = 0.0")
    same = local.batch(np.random.default_rng(0))
    torch.testing.assert_close(same.sound, batch.sound)
    assert not torch.allclose(same.targets, batch.targets, atol=1e-3)


def test_the_same_seed_draws_the_same_batch(
    make: Callable[..., tuple[Sampler, list[str]]],
) -> None:
    sampler, _ = make()
    one, again = (sampler.batch(np.random.default_rng([3, 7])) for _ in range(2))
    assert torch.equal(one.sound, again.sound)
    assert torch.equal(one.targets, again.targets)
