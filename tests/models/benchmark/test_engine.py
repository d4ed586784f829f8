from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.decisions.config import DecisionConfig
from engine.errors import BundleError, VoxwatchError
from engine.events import AnyEvent, Change, Decision, Overlap, Quality, Score, Vad
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import Job, Result
from engine.model.bundle import Bundle, write_bundle
from engine.model.encoder import Encoder
from engine.speech.vad import SileroVad
from models.benchmark import engine as module
from models.benchmark.engine import EngineUnderTest, record_of
from models.evaluation.rttm import Turn

Float32 = NDArray[np.float32]


def speech(start: float, end: float) -> list[AnyEvent]:
    return [Vad(t=start, speech=True, at=start), Vad(t=end, speech=False, at=end)]


def change(at: float, before: str | None, after: str | None, told: float = 9.0) -> Change:
    return Change(t=told, at=at, detected_at=told, llr=-3.0, from_speaker=before, to_speaker=after)


def decision(t: float, state: str) -> Decision:
    decided: dict[str, Any] = {"speaker": "a", "llr": 1.0, "net_speech_s": 1.0, "reason": ""}
    return Decision(t=t, since=t, state=state, **decided)


def score(t: float, figure: float) -> Score:
    others: dict[str, Any] = {"speaker": "a", "norm": 0.0, "posterior": 0.5, "runner_up": None}
    window_s, cosine, llr = figure + 1, figure + 2, figure + 3
    return Score(t=t, cosine=cosine, llr=llr, window_s=window_s, net_speech_s=t, **others)


def test_a_session_that_said_nothing_leaves_an_empty_record() -> None:
    nothing = record_of([])
    assert nothing.states == nothing.turns == ()
    assert nothing.spans.shape == nothing.changes.shape == (0, 2)
    for scores in (nothing.t, nothing.llr, nothing.cosine, nothing.window_s):
        assert scores.shape == (0,)


def test_the_record_keeps_the_order_and_passes_over_the_rest() -> None:
    figures: dict[str, Any] = {"clipped": 0.0, "snr_db": None, "speech_share": 1.0, "problems": ()}
    found = record_of(
        [
            score(1.0, 10.0),
            Quality(t=2.0, level_dbfs=None, **figures),
            decision(2.0, "uncertain"),
            score(2.5, 20.0),
            decision(3.0, "match"),
            change(2.0, "a", "voice-2", told=4.0),
            *speech(0.5, 4.0),
        ]
    )
    assert found.t.tolist() == [1.0, 2.5]
    assert found.window_s.tolist() == [11.0, 21.0]
    assert found.cosine.tolist() == [12.0, 22.0]
    assert found.llr.tolist() == [13.0, 23.0]
    assert found.spans.tolist() == [[0.5, 4.0]]
    assert found.changes.tolist() == [[2.0, 4.0]]
    assert found.states[:2] == ((2.0, "uncertain"), (3.0, "match"))


def test_a_change_of_voice_alarms_even_where_the_match_goes_on() -> None:
    events = [
        change(0.5, "a", "voice-2", told=1.0),  # nobody is matched yet
        decision(2.0, "match"),
        change(3.0, "a", "voice-2", told=4.0),
    ]
    assert record_of([*events]).states == ((2.0, "match"), (4.0, "uncertain"), (4.0, "match"))
    rejected = decision(4.0, "mismatch")
    assert record_of([*events, rejected]).states[-1] == (4.0, "mismatch")
    again = change(4.5, "voice-2", "a", told=5.0)
    assert record_of([*events, rejected, again]).states[-1] == (4.0, "mismatch")


def test_turns_are_the_speech_divided_at_the_changes() -> None:
    spoken = [*speech(0.0, 4.0), *speech(5.0, 9.0)]
    changes = [change(2.0, "voice-1", "voice-2"), change(4.5, "voice-2", "voice-1")]
    assert record_of([*spoken, *changes]).turns == (
        Turn(0.0, 2.0, "voice-1"),
        Turn(2.0, 4.0, "voice-2"),
        Turn(5.0, 9.0, "voice-1"),
    )
    assert record_of([*spoken]).turns == (Turn(0.0, 4.0, "part"), Turn(5.0, 9.0, "part"))


def test_where_two_speak_at_once_the_second_is_the_voice_that_is_nearest() -> None:
    spoken = [*speech(0.0, 4.0), *speech(5.0, 9.0)]
    changes = [change(2.0, "voice-1", "voice-2"), change(8.0, "voice-2", "voice-3")]
    both = [Overlap(t=3.0, start=2.5, end=None), Overlap(t=3.5, start=2.5, end=3.0)]
    assert record_of([*spoken, *changes, *both]).overlaps == (Turn(2.5, 3.0, "voice-1"),)
    assert record_of([*spoken, *both]).overlaps == (Turn(2.5, 3.0, "overlap"),)


def test_voices_without_a_name_are_told_apart() -> None:
    changes = [change(1.0, None, None), change(2.0, None, None)]
    names = [turn.speaker for turn in record_of([*speech(0.0, 4.0), *changes]).turns]
    assert len(set(names)) == len(names) == 3


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 60), unique=True, max_size=8),
    st.dictionaries(st.integers(0, 60), st.sampled_from("abc"), max_size=6),
)
def test_turns_cover_the_speech_once_by_the_last_change_before(
    edges: list[int], names: dict[int, str]
) -> None:
    ordered = sorted(edges)
    spans = list(zip(ordered[::2], ordered[1::2], strict=False))
    changes = [change(at, "first", name) for at, name in names.items()]
    spoken = [event for a, b in spans for event in speech(a, b)]
    turns = record_of([*spoken, *changes]).turns
    first, who = "first" if names else "part", {}
    for turn in turns:
        assert turn.start_s < turn.end_s
        for second in range(round(turn.start_s), round(turn.end_s)):
            assert second not in who
            who[second] = turn.speaker
    assert set(who) == {second for a, b in spans for second in range(a, b)}
    for second, name in who.items():
        before = [at for at in names if at <= second]
        assert name == (names[max(before)] if before else first)


@pytest.fixture(scope="module")
def engine(spectral_bundle: Bundle) -> EngineUnderTest:
    return EngineUnderTest(spectral_bundle)


def test_a_conversation_is_computed_once(
    engine: EngineUnderTest, voice: Callable[..., Float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Job] = []
    answer = module.answer_one

    def counting(job: Job, encoder: Encoder, vad: SileroVad) -> Result:
        asked.append(job)
        return answer(job, encoder, vad)

    monkeypatch.setattr(module, "answer_one", counting)
    enrolled = engine.enrol(voice("anna", 12))
    assert not isinstance(enrolled, str)
    sound = np.concatenate([voice("anna", 6, seed=2), voice("bert", 6, seed=2)])
    answers = engine.answer_cache()
    first = engine.listen(answers, sound, enrolled[0])
    asked.clear()
    again = engine.listen(answers, sound, enrolled[0])
    stricter = engine.listen(answers, sound, enrolled[0], DecisionConfig(false_accept=1e-9))
    unclaimed = engine.listen(answers, sound, None)
    assert not asked
    assert again.states == first.states
    assert "match" in {state for _, state in first.states}
    assert stricter.states != first.states
    assert not unclaimed.states
    np.testing.assert_array_equal(again.cosine, first.cosine)
    fresh = engine.listen(engine.answer_cache(), sound, None)
    assert asked
    assert fresh.turns == unclaimed.turns


def test_a_window_that_fails_ends_the_benchmark_and_is_no_low_score(
    engine: EngineUnderTest, voice: Callable[..., Float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(waveforms: Float32) -> Float32:
        raise VoxwatchError("out of memory")

    monkeypatch.setattr(engine.encoder, "embed", broken)
    with pytest.raises(RuntimeError, match="a job of the benchmark failed: out of memory"):
        engine.listen(engine.answer_cache(), voice("anna", 3), None)


def test_an_enrolment_takes_20_s_of_speech_and_does_with_5(
    engine: EngineUnderTest, voice: Callable[..., Float32]
) -> None:
    for seconds, speech_s in ((7, 5.0), (22, 20.0)):
        made = engine.enrol(voice("anna", seconds))
        assert not isinstance(made, str)
        prepared, enrolled_s = made
        assert enrolled_s == speech_s
        assert prepared.embeddings.shape[0] == 1


@pytest.mark.parametrize(("code", "seconds"), [("silent", 0), ("too-short", 4)])
def test_an_enrolment_that_is_refused_says_why(
    code: str, seconds: int, engine: EngineUnderTest, voice: Callable[..., Float32]
) -> None:
    silence = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)
    speech = voice("anna", seconds) if seconds else silence
    assert engine.enrol(np.concatenate([silence, speech])) == code


def test_a_bundle_without_calibration_is_refused(tmp_path: Path, spectral_bundle: Bundle) -> None:
    manifest = msgspec.structs.replace(spectral_bundle.manifest, calibration=None)
    raw = write_bundle(tmp_path / "raw", manifest, spectral_bundle.model_files())
    with pytest.raises(BundleError, match="is not calibrated: run `voxwatch calibrate`"):
        EngineUnderTest(raw)
