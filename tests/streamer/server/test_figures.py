"""Without figures an event says what is so, and nothing to climb by."""

from __future__ import annotations

import msgspec
import pytest

from engine import events
from engine.decisions.config import DecisionConfig
from engine.decisions.doubt import OpenTrial, _of_speech
from streamer.server.figures import without_figures

SCORE = events.Score(
    t=1.0, speaker="anna", cosine=0.5, norm=1.0, llr=2.0, posterior=0.9, runner_up=None,
    net_speech_s=3.0, window_s=3.0, evidence=2.5,
)  # fmt: skip
DECISION = events.Decision(
    t=1.0, state="uncertain", speaker="anna", since=0.5, llr=2.0, net_speech_s=3.0,
    reason="2.50 lies below 4.60", evidence=2.5, accept_llr=4.6, cause="near-bound",
    attainable_llr=5.0, advice="speak on",
)  # fmt: skip
UTTERANCE = events.Utterance(
    t=1.0, start=0.0, end=1.0, speech_s=0.9, state="match", speaker="anna", llr=7.25,
    posterior=0.99, evidence=7.25, reason="7.25 is above 4.60", accept_llr=4.6,
)  # fmt: skip


def test_a_score_is_nothing_but_figures() -> None:
    assert without_figures(SCORE) is None


@pytest.mark.parametrize(
    ("attainable", "kept"),
    [(9.0, "more-speech"), (4.0, None), (1.0, None)],  # near the bound of 4.6, and far below it
)
def test_no_advice_tells_how_much_is_lacking(attainable: float, kept: str | None) -> None:
    trial = OpenTrial(0.123, cosine=0.5, norm=1.0, speech_s=3.0, enrolled_s=20.0)
    cause, advice = _of_speech(DecisionConfig(), trial, (attainable,) * 3, short=False)
    told = without_figures(msgspec.structs.replace(DECISION, cause=cause, advice=advice))
    assert told is not None
    assert told.cause == kept
    assert "llr" not in told.advice
    assert told.advice == (advice if kept else "")


def test_a_decision_keeps_its_state() -> None:
    told = without_figures(DECISION)
    assert told is not None
    assert (told.state, told.speaker, told.since) == ("uncertain", "anna", 0.5)
    assert (told.llr, told.evidence, told.attainable_llr, told.reason) == (None, None, None, "")
    assert told.cause is None
    assert "2.5" not in msgspec.json.encode(told).decode()


def test_a_verdict_on_a_turn_keeps_its_state() -> None:
    told = without_figures(UTTERANCE)
    assert told is not None
    assert (told.state, told.speech_s) == ("match", 0.9)
    assert "7.25" not in msgspec.json.encode(told).decode()


def test_what_has_no_figures_stays_as_it_is() -> None:
    vad = events.Vad(t=1.0, speech=True, at=0.5)
    assert without_figures(vad) is vad
