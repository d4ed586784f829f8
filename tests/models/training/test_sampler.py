"""Batches: what is in them, what their spans are taught, and who is never drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.sound.corpus import Corpus
from models.training.config import load_config
from models.training.data import held_out
from models.training.loop import Sounds
from models.training.sampler import Sampler, TrainingBatch
from models.training.teacher import WINDOW_SAMPLES

SEEDS = 12
RATE = 16_000
AS_THEY_ARE = ("voices.faster = 0.0", "voices.shifted = 0.0", "data.coded_share = 0.0")
NOTHING = tuple(
    f"augment.{effect} = 0.0"
    for effect in (
        *("reverberation", "equaliser", "noise", "babble", "telephone"),
        *("band_limit", "clipping", "opus"),
    )
)

Make = Callable[..., tuple[Sampler, list[str]]]


@pytest.fixture
def make(data: Path, write_config: Callable[..., Path]) -> Make:
    """A sampler of the tiny corpus and whom it leaves out."""

    def build(*settings: str) -> tuple[Sampler, list[str]]:
        config = load_config(write_config(*settings))
        corpus = Corpus(config.data.cache)
        heldout = held_out(corpus, config.data)
        augment = Sounds(config).augment(config.augment, seed=0)
        return Sampler(corpus, config, heldout, augment), heldout

    return build


def pitch(windows: Tensor) -> Tensor:
    """``(N, 2)``: the pitch of each window in Hz, and 1."""
    spectrum = np.abs(np.fft.rfft(windows.numpy(), n=RATE))[:, 60:400]
    found = torch.from_numpy(spectrum.argmax(axis=1) + 60.0).float()
    return torch.stack([found, torch.ones(len(found))], dim=1)


def batches(sampler: Sampler) -> list[TrainingBatch]:
    return [sampler.batch(np.random.default_rng(seed)).asked(pitch) for seed in range(SEEDS)]


def pitch_of_spans(batch: TrainingBatch) -> Tensor:
    """What :func:`pitch` said of the windows that teach a span, by their shares."""
    said = batch.share @ batch.said
    return said[:, 0] / said[:, 1]


def test_held_out_speakers_are_never_drawn(make: Make) -> None:
    sampler, heldout = make(*AS_THEY_ARE, *NOTHING)
    assert len(heldout) == 6
    assert not set(heldout) & set(sampler.speakers)
    assert len(sampler.speakers) == 6
    heard = {round(float(hz) / 15) * 15 for batch in batches(sampler) for hz in batch.said[:, 0]}
    assert heard == {90 + 15 * int(name.removeprefix("toy-")) for name in sampler.speakers}


def test_spans_lie_in_their_sequence_and_are_whole_blocks(make: Make) -> None:
    sampler, _ = make()
    for batch in batches(sampler):
        assert batch.sound.shape == (4, 48_000)
        assert bool((batch.start >= 0).all())
        assert bool((batch.end <= 30).all())
        assert bool((batch.end - batch.start >= 5).all())
        assert set(batch.sequence.tolist()) == {0, 1, 2, 3}
        torch.testing.assert_close(batch.targets().norm(dim=1), torch.ones(len(batch.sequence)))
        torch.testing.assert_close(batch.share.sum(dim=1), torch.ones(len(batch.sequence)))


def test_the_teacher_is_asked_once_and_hears_whole_windows(make: Make) -> None:
    sampler, _ = make()
    batch = sampler.batch(np.random.default_rng(0))
    assert batch.heard.shape == (batch.share.shape[1], WINDOW_SAMPLES)
    assert bool((batch.share.sum(dim=0) > 0).all())  # none is heard for nothing
    with pytest.raises(AssertionError, match="not asked"):
        batch.targets()
    asked = batch.asked(pitch)
    assert len(asked.heard) == 0  # it need not travel any more

    def again(_: Tensor) -> Tensor:
        raise AssertionError("what was said is not asked for again")

    assert torch.equal(asked.asked(again).targets(), asked.targets())


def test_a_span_has_one_speaker_and_a_sequence_may_have_several(make: Make) -> None:
    sampler, _ = make("batch.one_speaker = 0.0", *AS_THEY_ARE, *NOTHING)
    several = 0
    for batch in batches(sampler):
        who = pitch_of_spans(batch).round()
        for sequence in range(4):
            rows = batch.sequence == sequence
            several += len(set(who[rows].tolist())) > 1
            # Each piece is taught whole first: spans of other speakers do not overlap it.
            spans = list(zip(batch.start[rows], batch.end[rows], who[rows], strict=True))
            for a, b, one in spans:
                for c, d, other in spans:
                    assert one == other or b <= c or d <= a
    assert several > SEEDS


def test_a_span_is_taught_by_the_voice_that_is_heard_in_it(make: Make) -> None:
    changed = ("voices.faster = 1.0", "voices.shifted = 1.0", "data.coded_share = 0.0")
    sampler, _ = make("batch.one_speaker = 0.0", "batch.local_target = 1.0", *changed, *NOTHING)
    for batch in batches(sampler):
        for row, hz in enumerate(pitch_of_spans(batch)):
            start, end = (int(blocks[row]) * 1600 for blocks in (batch.start, batch.end))
            sound = batch.sound[batch.sequence[row], start:end]
            assert float(pitch(sound[None])[0, 0]) == pytest.approx(float(hz), abs=3)


def test_one_speaker_fills_a_sequence_where_no_change_is_wanted(make: Make) -> None:
    lengths = ("batch.length_s = 1.7", "batch.piece_s = [1, 1]")
    sampler, _ = make("batch.one_speaker = 1.0", *lengths, *AS_THEY_ARE, *NOTHING)
    batch = sampler.batch(np.random.default_rng(0)).asked(pitch)
    who = pitch_of_spans(batch).round()
    for sequence in range(4):
        assert len(set(who[batch.sequence == sequence].tolist())) == 1
    assert float(batch.sound[:, -1600:].abs().amax(dim=1).min()) > 0


def test_speed_moves_the_pitch_and_formants_do_not(make: Make) -> None:
    def heard(*settings: str) -> set[float]:
        sampler, _ = make("data.coded_share = 0.0", *settings, *NOTHING)
        return {float(hz) for batch in batches(sampler) for hz in batch.said[:, 0]}

    own = heard("voices.faster = 0.0", "voices.shifted = 0.0")
    assert len(own) <= 2 * 6  # six pitches, each as exact as a bin
    shifted = heard("voices.faster = 0.0", "voices.shifted = 1.0")
    assert all(min(abs(hz - one) for one in own) <= 2 for hz in shifted)
    faster = heard("voices.faster = 1.0", "voices.shifted = 0.0")
    assert sum(min(abs(hz - one) for one in own) > 2 for hz in faster) > len(faster) / 4
    assert min(own) * 0.79 < min(faster) < max(faster) < max(own) * 1.25


def test_targets_lean_on_the_span_as_far_as_they_are_asked_to(make: Make) -> None:
    long = ("batch.length_s = 5.0", "batch.one_speaker = 1.0")
    whole, _ = make("batch.local_target = 0.0", *long, *AS_THEY_ARE)
    batch = whole.batch(np.random.default_rng(0))
    shares = batch.share[batch.share > 0]
    assert set(shares.tolist()) == {0.5}  # of two windows
    local, _ = make("batch.local_target = 1.0", *long, *AS_THEY_ARE)
    same = local.batch(np.random.default_rng(0))
    torch.testing.assert_close(same.sound, batch.sound)
    torch.testing.assert_close(same.heard, batch.heard)
    assert not torch.allclose(same.share, batch.share, atol=1e-3)


def test_the_same_seed_draws_the_same_batch(make: Make) -> None:
    sampler, _ = make()
    one, again = (sampler.batch(np.random.default_rng([3, 7])) for _ in range(2))
    for name in ("sound", "heard", "share", "sequence"):
        assert torch.equal(getattr(one, name), getattr(again, name))
