"""Batches: what is in them, what their spans are taught, and who is never drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from models.sound.corpus import Corpus
from models.training.config import load_config
from models.training.data import held_out
from models.training.loop import Batches, Sounds
from models.training.sampler import Sampler, TrainingBatch
from models.training.teacher import WINDOW_SAMPLES, Teacher

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


def brightness(windows: Tensor) -> Tensor:
    """``(N, 2)``: where the spectrum of each window has its middle, in Hz, and 1."""
    power = np.square(np.abs(np.fft.rfft(windows.numpy(), n=RATE)))[:, :4000]
    found = torch.from_numpy(power @ np.arange(4000) / power.sum(axis=1)).float()
    return torch.stack([found, torch.ones(len(found))], dim=1)


def batches(sampler: Sampler, ask: Callable[[Tensor], Tensor] = pitch) -> list[TrainingBatch]:
    return [sampler.batch(np.random.default_rng(seed)).asked(ask) for seed in range(SEEDS)]


def taught(batch: TrainingBatch) -> Tensor:
    """What was said of the windows that teach a span, in Hz, by their shares."""
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
    assert asked.heard.untyped_storage().nbytes() == 0  # it need not travel any more

    def again(_: Tensor) -> Tensor:
        raise AssertionError("what was said is not asked for again")

    assert torch.equal(asked.asked(again).targets(), asked.targets())


def test_a_span_has_one_speaker_and_a_sequence_may_have_several(make: Make) -> None:
    sampler, _ = make("batch.one_speaker = 0.0", *AS_THEY_ARE, *NOTHING)
    several = 0
    for batch in batches(sampler):
        who = taught(batch).round()
        for sequence in range(4):
            rows = batch.sequence == sequence
            several += len(set(who[rows].tolist())) > 1
            # Each piece is taught whole first: spans of other speakers do not overlap it.
            spans = list(zip(batch.start[rows], batch.end[rows], who[rows], strict=True))
            for a, b, one in spans:
                for c, d, other in spans:
                    assert one == other or b <= c or d <= a
    assert several > SEEDS


@pytest.mark.parametrize(("ask", "within"), [(pitch, 0.03), (brightness, 0.1)])
def test_a_span_is_taught_by_the_voice_that_is_heard_in_it(
    make: Make, ask: Callable[[Tensor], Tensor], within: float
) -> None:
    changed = ("voices.faster = 1.0", "voices.shifted = 1.0", "data.coded_share = 0.0")
    sampler, _ = make("batch.one_speaker = 0.0", "batch.local_target = 1.0", *changed, *NOTHING)
    for batch in batches(sampler, ask):
        for row, hz in enumerate(taught(batch)):
            start, end = (int(blocks[row]) * 1600 for blocks in (batch.start, batch.end))
            sound = batch.sound[batch.sequence[row], start:end]
            assert float(ask(sound[None])[0, 0]) == pytest.approx(float(hz), rel=within)


def test_a_span_is_taught_by_where_it_lies_in_its_piece(make: Make) -> None:
    # Two pieces of some 4.7 and 5.2 s: the windows of each begin at 0 and 3 s before its end.
    long = ("batch.length_s = 10.0", "batch.piece_s = [4.5, 5.0]", "batch.local_target = 1.0")
    sampler, _ = make("batch.one_speaker = 0.0", "batch.spans = 2", *long, *AS_THEY_ARE)
    seen = 0
    for batch in batches(sampler):
        for whole in range(0, len(batch.start), 3):
            first, last = int(batch.start[whole]), int(batch.end[whole])
            shares = [row[row > 0] for row in batch.share[whole : whole + 3]]
            if len(shares[0]) < 2:
                continue
            columns = batch.share[whole].nonzero().squeeze(1)
            for row in range(whole, whole + 3):
                span_s = (
                    (float(batch.start[row]) - first) / 10,
                    (float(batch.end[row]) - first) / 10,
                )
                starts_s = (0.0, (last - first) / 10 - 3.0)
                own = [max(min(s + 3, span_s[1]) - max(s, span_s[0]), 0.0) for s in starts_s]
                wanted = torch.tensor(own) / sum(own)
                # A piece need not begin or end with a block.
                torch.testing.assert_close(batch.share[row, columns], wanted, atol=0.25, rtol=0)
                seen += row > whole and first > 0
    assert seen > SEEDS


def test_one_speaker_fills_a_sequence_where_no_change_is_wanted(make: Make) -> None:
    lengths = ("batch.length_s = 1.7", "batch.piece_s = [1, 1]")
    sampler, _ = make("batch.one_speaker = 1.0", *lengths, *AS_THEY_ARE, *NOTHING)
    batch = sampler.batch(np.random.default_rng(0)).asked(pitch)
    who = taught(batch).round()
    for sequence in range(4):
        assert len(set(who[batch.sequence == sequence].tolist())) == 1
    assert float(batch.sound[:, -1600:].abs().amax(dim=1).min()) > 0


def test_speed_moves_the_pitch_and_formants_do_not(make: Make) -> None:
    def heard(*settings: str, ask: Callable[[Tensor], Tensor] = pitch) -> set[float]:
        sampler, _ = make("data.coded_share = 0.0", *settings, *NOTHING)
        return {float(hz) for batch in batches(sampler, ask) for hz in batch.said[:, 0]}

    own = heard("voices.faster = 0.0", "voices.shifted = 0.0")
    assert len(own) <= 2 * 6  # six pitches, each as exact as a bin
    shifted = heard("voices.faster = 0.0", "voices.shifted = 1.0")
    assert all(min(abs(hz - one) for one in own) <= 2 for hz in shifted)
    faster = heard("voices.faster = 1.0", "voices.shifted = 0.0")
    assert sum(min(abs(hz - one) for one in own) > 2 for hz in faster) > len(faster) / 4
    assert min(own) * 0.79 < min(faster) < max(faster) < max(own) * 1.25
    bright = heard("voices.faster = 0.0", "voices.shifted = 0.0", ask=brightness)
    brighter = heard("voices.faster = 0.0", "voices.shifted = 1.0", ask=brightness)
    assert len({round(hz / 3) for hz in brighter}) > 2 * len({round(hz / 3) for hz in bright})


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
    for name in ("sound", "hidden", "heard", "share", "sequence", "start", "end"):
        assert torch.equal(getattr(one, name), getattr(again, name))


@pytest.mark.parametrize(("device", "asked"), [("cpu", True), ("cuda", False)])
def test_a_gpu_s_teacher_is_asked_by_the_process_that_has_it(
    make: Make, write_config: Callable[..., Path], device: str, asked: bool
) -> None:
    class Stub:
        def __init__(self) -> None:
            self.device = torch.device(device)

        def __call__(self, windows: Tensor) -> Tensor:
            return pitch(windows)

    sampler, _ = make()
    batches = Batches(sampler, cast(Teacher, Stub()), load_config(write_config()))
    batch = batches[0]
    assert (len(batch.said) > 0) == asked
    assert (len(batch.heard) > 0) != asked
    torch.testing.assert_close(batch.asked(pitch).targets(), batches[0].asked(pitch).targets())
