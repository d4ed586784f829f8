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
from engine.events import (
    AnyEvent,
    Change,
    Decision,
    Enrolled,
    Progress,
    Quality,
    Refused,
    Score,
    Utterance,
)
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
    assert {decision.state for decision in of(Decision, events)} == {"insufficient"}


@pytest.mark.parametrize(
    ("channels", "pace", "other"),
    [(1, 0.05, "with channels=2,"), (2, 0.2, "with channels=1,"), (1, 0.2, ""), (2, 0.05, "")],
)
def test_at_twice_the_rate_or_half_of_it_there_may_be_other_channels(
    channels: int, pace: float, other: str, voice: Callable[..., Float32]
) -> None:
    sound = np.stack([voice("anna", 12.0), voice("bert", 12.0)][:channels], axis=1)
    data = np.round(sound * 32767).astype("<i2").tobytes()
    events = told(session(PcmDecoder(channels=channels)), data, pace / channels)
    advice = [q.advice for q in of(Quality, events) if "rate-suspect" in q.problems][-1]
    assert "start with sample_rate=" in advice
    assert ("channels=" in advice) == bool(other)
    assert other in advice


@pytest.mark.parametrize("turn_s", [1.1, 1.6, 2.5])
@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_no_verdict_rests_on_another_rate_that_is_not_sure_yet(
    turn_s: float, rate: int, voice: Callable[..., Float32]
) -> None:
    sound = np.round(voice("anna", turn_s * rate / 16_000) * 32767).astype("<i2").tobytes()
    whole = sound[: len(sound) // 3200 * 3200]  # as a sound card hands it over
    events = told(session(), whole, 0.1 * 16_000 / rate)
    (turn,) = of(Utterance, events)
    assert (turn.state, turn.cause) == ("insufficient", "rate-suspect")
    assert f"sample_rate={rate}" in turn.advice
    assert "mismatch" not in [decision.state for decision in of(Decision, events)]
    assert of(Score, events) == []
    assert not [quality for quality in of(Quality, events) if quality.advice]


@pytest.mark.parametrize("part_bytes", [4096, 1 << 20])
@pytest.mark.parametrize("piece_s", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("rate", [8000, 24_000, 44_100, 48_000])
def test_no_verdict_rests_on_another_rate_that_comes_in_large_messages(
    rate: int, piece_s: float, part_bytes: int, voice: Callable[..., Float32]
) -> None:
    """A large message is taken in parts, of which the first tells all of its sound."""
    sound = np.round(voice("anna", 3.0 * rate / 16_000) * 32767).astype("<i2").tobytes()
    size, conversation = round(piece_s * rate) * 2, session()
    for number, start in enumerate(range(0, len(sound), size)):
        message = sound[start : start + size]
        for at in range(0, len(message), part_bytes):
            more = max(0, len(message) - at - part_bytes)
            arrived = Arrival(piece_s * (number + 1), 0.0, more)
            conversation.receive_pcm(message[at : at + part_bytes], arrived)
    (turn,) = of(Utterance, told(conversation, b""))
    assert (turn.state, turn.cause) == ("insufficient", "rate-suspect")
    assert f"sample_rate={rate}" in turn.advice


@pytest.mark.parametrize("jitter_s", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("turn_s", [1.1, 1.6, 2.5])
def test_a_short_turn_of_the_declared_rate_is_judged_at_once(
    jitter_s: float, turn_s: float, voice: Callable[..., Float32]
) -> None:
    rng = np.random.default_rng(1)
    sound = np.round(voice("anna", turn_s) * 32767).astype("<i2").tobytes()
    conversation, last = session(), 0.0
    for number, start in enumerate(range(0, len(sound), 640)):
        last = max(last, 0.02 * number + jitter_s * float(rng.random()))
        conversation.receive_pcm(sound[start : start + 640], Arrival(last, 0.0))
    events = told(conversation, b"")
    assert [turn.state for turn in of(Utterance, events)] == ["mismatch"]
    assert "rate-suspect" not in [decision.cause for decision in of(Decision, events)]


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


@pytest.mark.parametrize("rate", [8000, 12_000, 24_000, 32_000, 44_100, 48_000])
def test_nobody_is_enrolled_from_sound_of_another_rate(
    rate: int, voice: Callable[..., Float32]
) -> None:
    sound = np.round(voice("anna", 24.0) * 32767).astype("<i2").tobytes()
    events = told(Enrolment(SCORER), sound, 0.1 * 16_000 / rate)
    (refused,) = of(Refused, events)
    assert (refused.code, f"sample_rate={rate}" in refused.message) == ("wrong-format", True)
    named = [progress for progress in of(Progress, events) if "rate-suspect" in progress.problems]
    assert named[0].t < 0.75 * refused.t


@pytest.mark.parametrize("rate", [8000, 32_000, 48_000])
def test_nobody_is_enrolled_from_little_sound_of_a_doubted_rate(
    rate: int, voice: Callable[..., Float32]
) -> None:
    sound = np.round(voice("anna", 10.5) * 32767).astype("<i2").tobytes()
    (refused,) = of(Refused, told(Enrolment(SCORER), sound, 0.1 * 16_000 / rate))
    assert refused.code == "wrong-format"


@pytest.mark.parametrize("pace", [None, 0.1, 0.002])
def test_a_file_and_sound_of_the_declared_rate_are_enrolled(
    pace: float | None, voice: Callable[..., Float32]
) -> None:
    sound = np.round(voice("anna", 24.0) * 32767).astype("<i2").tobytes()
    assert of(Enrolled, told(Enrolment(SCORER), sound, pace))


@pytest.mark.parametrize("jitter_s", [0.05, 0.3, 0.8])
def test_whoever_is_enrolled_over_a_link_that_jitters_is_not_refused(
    jitter_s: float, voice: Callable[..., Float32]
) -> None:
    sound = np.round(voice("anna", 22.0) * 32767).astype("<i2").tobytes()
    rng, enrolment, last = np.random.default_rng(1), Enrolment(SCORER), 0.0
    for number, start in enumerate(range(0, len(sound), 3200)):
        last = max(last, 0.1 * number + jitter_s * float(rng.random()))
        enrolment.receive_pcm(sound[start : start + 3200], Arrival(last, 0.0))
    assert of(Enrolled, told(enrolment, b""))
