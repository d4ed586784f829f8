"""Mixtures: what is said of them is what went into them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.sound.corpus import Corpus
from models.training import mixtures
from models.training.mixtures import (
    BLOCK_SAMPLES,
    LENGTH_BLOCKS,
    LENGTH_SAMPLES,
    Mixtures,
    active_blocks,
    block_power,
    local_snr_db,
)

SPEAKERS = ["s00", "s01", "s02", "s03"]


@pytest.fixture
def room() -> NDArray[np.float32]:
    response = np.zeros(4000, np.float32)
    response[[0, 1600]] = 1.0, 0.1  # an echo after 100 ms: C50 is 20 dB
    return response


@pytest.fixture
def drawn(corpus: Corpus, room: NDArray[np.float32]) -> Mixtures:
    noise = np.random.default_rng(0).standard_normal(2 * LENGTH_SAMPLES).astype(np.float32)
    return Mixtures(corpus, SPEAKERS, noise, [room])


def always(monkeypatch: pytest.MonkeyPatch, **shares: float) -> None:
    """Mixtures of one kind: no second voice, room, noise or line unless it is asked for."""
    for name in ("SECOND_VOICE", "REVERBERANT", "NOISY", "ON_THE_TELEPHONE"):
        monkeypatch.setattr(mixtures, name, shares.get(name, 0.0))


def test_what_is_not_added_is_not_known(drawn: Mixtures, monkeypatch: pytest.MonkeyPatch) -> None:
    always(monkeypatch)
    mixture = drawn.draw(np.random.default_rng(1))
    assert mixture.sound.shape == (LENGTH_SAMPLES,)
    assert mixture.truth.shape == (LENGTH_BLOCKS, 3)
    assert not mixture.truth[:, 0].any()
    assert np.isnan(mixture.truth[:, 1:]).all()
    assert block_power(mixture.sound).min() > 0  # speech without a pause


def test_clarity_is_that_of_the_room(drawn: Mixtures, monkeypatch: pytest.MonkeyPatch) -> None:
    always(monkeypatch, REVERBERANT=1.0)
    truth = drawn.draw(np.random.default_rng(2)).truth
    np.testing.assert_allclose(truth[:, 2], 20.0, atol=1e-4)
    assert np.isnan(truth[:, 1]).all()


def test_the_ratio_is_that_of_the_sound(drawn: Mixtures, monkeypatch: pytest.MonkeyPatch) -> None:
    always(monkeypatch, NOISY=1.0)
    rng = np.random.default_rng(3)
    for snr_db in (-3.0, 15.0):
        monkeypatch.setattr(mixtures, "NOISE_SNR_DB", (snr_db, snr_db))
        truth = drawn.draw(rng).truth
        assert abs(truth[:, 1].mean() - snr_db) < 1.5


def test_overlap_is_where_the_second_voice_is_heard(
    drawn: Mixtures, monkeypatch: pytest.MonkeyPatch
) -> None:
    always(monkeypatch, SECOND_VOICE=1.0)
    monkeypatch.setattr(mixtures, "PIECE_LEVEL_DB", (0.0, 0.0))
    monkeypatch.setattr(mixtures, "OVERLAP_LEVEL_DB", (10.0, 10.0))
    monkeypatch.setattr(mixtures, "OVERLAPS", (1, 1))
    for seed in range(5):
        mixture = drawn.draw(np.random.default_rng(seed))
        both, loud = mixture.truth[:, 0] > 0, block_power(mixture.sound)
        assert 4 <= both.sum() <= 31
        assert np.all(np.diff(np.flatnonzero(both)) == 1)  # the voices of the corpus are steady
        inner = np.flatnonzero(both)[1:-1]
        assert loud[inner].min() > 2 * loud[~both].max()


def test_the_line_takes_its_share_of_the_noise(
    drawn: Mixtures, corpus: Corpus, room: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    low = np.sin(2 * np.pi * 60 * np.arange(2 * LENGTH_SAMPLES) / 16_000).astype(np.float32)
    hum = Mixtures(corpus, SPEAKERS, low, [room])
    monkeypatch.setattr(mixtures, "NOISE_SNR_DB", (0.0, 0.0))
    found = []
    for share in (0.0, 1.0):
        always(monkeypatch, NOISY=1.0, ON_THE_TELEPHONE=share)
        found.append(hum.draw(np.random.default_rng(4)).truth[:, 1].mean())
    assert found[1] > found[0] + 15  # of the hum of 60 Hz nothing is left


def test_a_voice_is_not_active_in_its_pauses() -> None:
    voice = np.zeros(4 * BLOCK_SAMPLES, np.float32)
    voice[:BLOCK_SAMPLES] = 0.1
    voice[BLOCK_SAMPLES : 2 * BLOCK_SAMPLES] = 0.002
    assert active_blocks(voice).tolist() == [True, False, False, False]
    assert not active_blocks(np.zeros_like(voice)).any()


def test_the_local_ratio_follows_the_noise_and_stays_within_its_bounds() -> None:
    speech = np.full(60 * BLOCK_SAMPLES, 0.1, np.float32)
    noise = np.zeros_like(speech)
    noise[40 * BLOCK_SAMPLES :] = 0.1
    found = local_snr_db(speech, noise)
    assert found[0] == mixtures.SNR_BOUNDS_DB[1]
    assert math.isclose(found[-1], 0.0, abs_tol=0.1)
    assert np.all(np.diff(found[20:50]) <= 1e-9)
