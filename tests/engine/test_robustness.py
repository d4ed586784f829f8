"""What must change nothing: the level of a recording, silence before it, what was heard before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio.files import read_audio
from engine.audio.pcm import PcmDecoder
from engine.events import AnyEvent, Decision, Utterance
from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import load_bundle
from engine.scoring.scorer import PreparedEmbeddings
from engine.session import Session
from models.benchmark.engine import EngineUnderTest

VOICES = Path(__file__).parents[2] / "scripts" / "demo_voices"
Float32 = NDArray[np.float32]


@pytest.fixture(scope="module")
def engine() -> EngineUnderTest:
    return EngineUnderTest(load_bundle())


@pytest.fixture(scope="module")
def anna(engine: EngineUnderTest) -> PreparedEmbeddings:
    enrolled = engine.enrol(read_audio(VOICES / "anna.ogg").waveform)
    assert not isinstance(enrolled, str)
    return enrolled[0]


@pytest.fixture(scope="module")
def call() -> Float32:
    """Anna for 12 s, then Ben for 7 s."""
    return read_audio(VOICES / "call.ogg").waveform[: 20 * SAMPLE_RATE_HZ]


def told(engine: EngineUnderTest, anna: PreparedEmbeddings, heard: Float32) -> list[AnyEvent]:
    session = Session(engine.scorer, {"anna": anna}, decoder=PcmDecoder("pcm_f32le"))
    return engine.answer_cache().run(session, heard)


def turns(events: list[AnyEvent]) -> list[Utterance]:
    """Those with enough speech to be certain of."""
    return [e for e in events if isinstance(e, Utterance) and e.speech_s >= 2]


def states(events: list[AnyEvent]) -> set[str]:
    return {e.state for e in events if isinstance(e, Decision)}


@pytest.mark.parametrize("db", [-24.0, -12.0, -3.0, 0.7])
def test_the_level_of_a_recording_is_no_evidence(
    engine: EngineUnderTest, anna: PreparedEmbeddings, call: Float32, db: float
) -> None:
    usual = told(engine, anna, call)
    changed = told(engine, anna, np.asarray(call * 10 ** (db / 20), np.float32))
    assert {"match", "mismatch"} <= states(usual)
    assert states(changed) == states(usual)
    for before, after in zip(turns(usual), turns(changed), strict=True):
        assert after.state == before.state
        assert after.llr == pytest.approx(before.llr, abs=3.0)


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01])
@pytest.mark.parametrize("seconds", [3, 240])
def test_speech_after_long_silence_is_heard_as_without_it(
    engine: EngineUnderTest, anna: PreparedEmbeddings, call: Float32, noise: float, seconds: int
) -> None:
    """The detector is recurrent, and some lose their way in a stream that does not end."""
    rng = np.random.default_rng(0)
    silence = noise * rng.standard_normal(seconds * SAMPLE_RATE_HZ)
    events = told(engine, anna, np.concatenate([silence, call]).astype(np.float32))
    spoken, usual = turns(events), turns(told(engine, anna, call))
    assert [turn.state for turn in spoken] == [turn.state for turn in usual]
    assert sum(turn.speech_s for turn in spoken) == pytest.approx(
        sum(turn.speech_s for turn in usual), rel=0.1
    )
