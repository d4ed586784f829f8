"""The session and sound that is not what was declared: nothing is said against anybody."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fake_scorers import fake_scorer
from numpy.typing import NDArray

from engine.arrival.moments import Arrival
from engine.audio.pcm import PcmDecoder
from engine.enrolment import Enrolment
from engine.events import AnyEvent, Change, Decision, Quality, Refused, Score, Utterance
from engine.jobs import EmbedResult, Job, Result, VadJob, VadResult
from engine.session import Session

Float32 = NDArray[np.float32]
SIZE = 8
SCORER = fake_scorer(SIZE)
OWNER = np.eye(1, SIZE, dtype=np.float32)
SOMEBODY = np.eye(SIZE, dtype=np.float32)[3]


def answer(job: Job) -> Result:
    """Everything is speech, and it is somebody else's."""
    if isinstance(job, VadJob):
        return VadResult(job.number, np.ones(len(job.frames), np.float32), job.state)
    return EmbedResult(job.number, SOMEBODY)


def told(
    conversation: Session | Enrolment, data: bytes, pace: float | None = None
) -> list[AnyEvent]:
    """What is said of ``data``, sent at ``pace`` seconds of the clock for 3200 bytes."""
    events: list[AnyEvent] = []

    def go_on() -> None:
        while jobs := conversation.jobs_to_run():
            for job in jobs:
                conversation.receive_result(answer(job))
        events.extend(conversation.events())

    for number, start in enumerate(range(0, len(data), 3200)):
        arrived = None if pace is None else Arrival(number * pace, 0.0)
        conversation.receive_pcm(data[start : start + 3200], arrived)
        go_on()
    conversation.receive_eof()
    go_on()
    return events


def session(decoder: PcmDecoder | None = None) -> Session:
    return Session(SCORER, {"owner": SCORER.prepare(OWNER, 10.0)}, decoder=decoder)


def of(kind: type[AnyEvent], events: list[AnyEvent]) -> list[AnyEvent]:
    return [event for event in events if isinstance(event, kind)]


def test_the_sound_itself_is_judged(voice: Callable[..., Float32]) -> None:
    sound = np.round(voice("anna", 6.0) * 32767).astype("<i2").tobytes()
    events = told(session(), sound, 0.1)
    assert [turn.state for turn in of(Utterance, events)] == ["mismatch"]
    assert of(Score, events)
    assert all(not quality.advice for quality in of(Quality, events))


def test_no_verdict_rests_on_a_form_that_was_not_declared(voice: Callable[..., Float32]) -> None:
    sound = voice("anna", 6.0).astype("<f4").tobytes()
    events = told(session(), sound)
    (turn,) = of(Utterance, events)
    assert (turn.state, turn.llr, turn.speaker) == ("insufficient", None, None)
    assert (turn.cause, "pcm_f32le" in turn.reason) == ("format-suspect", True)
    assert {decision.state for decision in of(Decision, events)} == {"insufficient"}
    assert of(Decision, events)[-1].cause == "format-suspect"
    assert of(Score, events) == of(Change, events) == []
    first = of(Quality, events)[0]
    assert first.t < 1.0
    assert (first.problems[-1], first.likely) == ("format-suspect", "pcm_f32le")


@pytest.mark.parametrize(("pace", "rate"), [(0.2, 8000), (0.05, 32_000), (0.1 / 3, 48_000)])
def test_no_verdict_rests_on_another_rate_than_was_declared(
    pace: float, rate: int, voice: Callable[..., Float32]
) -> None:
    sound = np.round(voice("anna", 12.0) * 32767).astype("<i2").tobytes()
    events = told(session(), sound, pace)
    named = [q for q in of(Quality, events) if "rate-suspect" in q.problems]
    assert named[0].likely == f"sample_rate={rate}"
    assert named[0].t * 10 * pace <= 5.0  # seconds of the clock
    (turn,) = of(Utterance, events)
    assert (turn.state, turn.cause) == ("insufficient", "rate-suspect")
    late = [d for d in of(Decision, events) if d.t >= named[0].t]
    assert {decision.state for decision in late} == {"insufficient"}


def test_a_suspicion_that_was_wrong_ends(voice: Callable[..., Float32]) -> None:
    sound = voice("anna", 3.0)
    right = np.round(voice("anna", 6.0) * 32767).astype("<i2").tobytes()
    events = told(session(), sound.astype("<f4").tobytes() + right)
    assert of(Quality, events)[-1].problems == ()
    assert of(Decision, events)[-1].state == "mismatch"


def test_nobody_is_enrolled_from_sound_of_another_form(voice: Callable[..., Float32]) -> None:
    events = told(Enrolment(SCORER), voice("anna", 20.0).astype("<f4").tobytes())
    (refused,) = of(Refused, events)
    assert refused.code == "wrong-format"
    assert "pcm_f32le" in refused.message
