"""Near and far: by level, and by how clear the sound is where the network says it."""

from __future__ import annotations

import numpy as np
import pytest
from fake_speech import FakeSpeech, Said

from engine.audio.speech_levels import SpeechLevels
from engine.decisions.distance import (
    CLARITY,
    EVEN_DB,
    LEAST_RISE_DB,
    MOST_NATS,
    RISE_DB_A_NAT,
    RISE_SAMPLES,
    Distances,
)
from engine.format import SAMPLE_RATE_HZ
from engine.spans.interface import BlockHeads

BEFORE, SINCE = (0, 4 * SAMPLE_RATE_HZ), (4 * SAMPLE_RATE_HZ, 6 * SAMPLE_RATE_HZ)


class Clear(FakeSpeech):
    """Speech of which the network says how clear it is, before and since."""

    clarity = (20.0, 20.0)

    def heads(self, start: int, end: int) -> BlockHeads:
        value = self.clarity[start >= SINCE[0]]
        return BlockHeads((CLARITY,), (start,), (end,), np.array([[value]], np.float32))


def distances(below_db: float, speech: FakeSpeech | None = None) -> Distances:
    levels = SpeechLevels()
    noise = np.random.default_rng(1).standard_normal(6 * SAMPLE_RATE_HZ).astype(np.float32)
    noise *= 0.1
    noise[SINCE[0] :] *= np.float32(10 ** (-below_db / 20))
    levels.push(noise)
    voices = np.eye(4, dtype=np.float32)
    return Distances(levels, speech or FakeSpeech(voices, Said(0, 4.0), Said(1, 2.0)))


def far(found: Distances) -> float:
    return found.far_log_odds(found.levels.median_dbfs(*BEFORE), BEFORE, SINCE)


def test_a_television_is_far_and_who_speaks_as_loud_is_near() -> None:
    assert distances(20.0).below_db(-20.0, SINCE) == pytest.approx(20.0, abs=0.5)
    assert far(distances(20.0)) > 4
    assert far(distances(EVEN_DB)) == pytest.approx(0.0, abs=0.4)
    for below_db in (-6.0, 0.0, 6.0):
        assert far(distances(below_db)) < -3


def test_a_voice_that_is_less_clear_is_the_likelier_to_be_far() -> None:
    speech = Clear(np.eye(4, dtype=np.float32), Said(0, 4.0), Said(1, 2.0))
    plain = far(distances(12.0))
    speech.clarity = (20.0, 8.0)
    assert far(distances(12.0, speech)) == pytest.approx(plain + 2.0)
    speech.clarity = (20.0, 20.0)
    assert far(distances(12.0, speech)) == pytest.approx(plain - 1.0)
    speech.clarity = (0.0, 40.0)
    assert far(distances(12.0, speech)) == pytest.approx(plain - MOST_NATS)


def test_what_is_not_known_is_not_far() -> None:
    nothing = (50 * SAMPLE_RATE_HZ, 52 * SAMPLE_RATE_HZ)
    assert distances(20.0).far_log_odds(None, BEFORE, SINCE) < -3
    assert distances(20.0).far_log_odds(-20.0, BEFORE, nothing) < -3


@pytest.mark.parametrize("louder_db", [8.0, 12.0, 20.0])
def test_who_becomes_much_louder_is_the_likelier_to_be_another(louder_db: float) -> None:
    found = distances(-louder_db)
    nats = found.louder_log_odds(found.levels.median_dbfs(*BEFORE), BEFORE, SINCE)
    assert nats == pytest.approx(min((louder_db - LEAST_RISE_DB) / RISE_DB_A_NAT, 3.5), abs=0.2)


@pytest.mark.parametrize("louder_db", [-20.0, -6.0, 0.0, 4.0])
def test_who_fades_or_speaks_as_loud_is_as_likely_the_same(louder_db: float) -> None:
    found = distances(-louder_db)
    assert found.louder_log_odds(found.levels.median_dbfs(*BEFORE), BEFORE, SINCE) == 0


def test_of_a_word_no_level_is_told() -> None:
    found, dbfs = distances(-20.0), -20.0
    word = (SINCE[0], SINCE[0] + RISE_SAMPLES - 1)
    assert found.louder_log_odds(dbfs, BEFORE, word) == 0
    assert found.louder_log_odds(dbfs, (0, RISE_SAMPLES - 1), SINCE) == 0
    assert found.louder_log_odds(None, BEFORE, SINCE) == 0
