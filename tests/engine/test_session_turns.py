"""Turns in a session: each is judged by its own speech, whatever was said before it."""

from __future__ import annotations

import numpy as np
import pytest
from fake_voices import ALARMED, SCORER, SOUND, answer, enrolled, of, pcm, run

from engine.events import Failure, Utterance
from engine.format import FRAME_SAMPLES, SAMPLE_RATE_HZ
from engine.jobs import EmbedJob, Job, JobFailure, Result
from engine.serving.inference import settle
from engine.session import Session
from engine.session_config import SessionConfig
from engine.speech.gate import GateConfig


def test_an_utterance_says_who_was_heard() -> None:
    events = run(Session(SCORER, enrolled("anna"), config=ALARMED), [SOUND])
    spoken = of(Utterance, events)
    assert [(u.state, u.speaker) for u in spoken] == [
        ("match", "anna"),
        ("match", "anna"),
        ("mismatch", "anna"),
    ]
    for utterance in spoken:
        assert utterance.speech_s == pytest.approx(utterance.end - utterance.start)
    assert spoken[0].t == pytest.approx(spoken[0].end + 0.6)
    assert spoken[0].llr == pytest.approx(5.0, abs=0.1)
    assert spoken[0].posterior == pytest.approx(1 / (1 + np.exp(-spoken[0].llr)))


@pytest.mark.parametrize("pause_s", [0.8, 3.0, 20.0])
def test_a_turn_is_judged_by_its_own_speech_whatever_was_said_before(pause_s: float) -> None:
    sound = [pcm((0.2, 5.0), (0.0, pause_s), (0.5, 2.0), (0.0, pause_s), (0.2, 1.0))]
    owner, stranger, again = of(Utterance, run(Session(SCORER, enrolled("anna")), sound))
    assert (owner.state, stranger.state, again.state) == ("match", "mismatch", "match")
    assert (owner.llr, stranger.llr, again.llr) == pytest.approx((5.0, -5.0, 5.0), abs=0.5)


def test_speech_is_one_turn_across_a_pause_that_is_shorter_than_the_configured_one() -> None:
    sound = [pcm((0.2, 2.0), (0.0, 0.4), (0.2, 2.0), (0.0, 0.8), (0.2, 2.0))]
    spoken = of(Utterance, run(Session(SCORER, enrolled("anna")), sound))
    assert [u.start for u in spoken] == pytest.approx([0.0, 5.2], abs=0.1)
    assert spoken[0].speech_s < spoken[0].end - spoken[0].start - 0.2
    config = SessionConfig(turn_pause_s=0.2)
    assert len(of(Utterance, run(Session(SCORER, enrolled("anna"), config=config), sound))) == 3


def test_a_turn_of_half_a_second_is_judged_and_a_shorter_one_is_insufficient() -> None:
    sound = [pcm((0.2, 0.6), (0.0, 1.0), (0.5, 0.6), (0.0, 1.0), (0.2, 0.1))]
    short, other, shortest = of(Utterance, run(Session(SCORER, enrolled("anna")), sound))
    assert (short.state, other.state) == ("match", "mismatch")
    assert (shortest.state, shortest.speaker, shortest.llr) == ("insufficient", None, None)
    assert shortest.reason.endswith("s of speech, 0.4 s are needed")


@pytest.mark.parametrize("spoken_s", [0.26, 0.28, 0.3])
def test_a_turn_shorter_than_windows_may_be_has_a_verdict(spoken_s: float) -> None:
    sound = [pcm((0.2, 1.0), (0.0, 1.0), (0.5, spoken_s), (0.0, 1.0))]
    events = run(Session(SCORER, enrolled("anna")), sound)
    _, short = of(Utterance, events)
    assert 0.4 <= short.speech_s < SCORER.bundle.manifest.min_window_s
    assert (short.state, short.llr) == ("mismatch", pytest.approx(-5.0, abs=0.1))
    assert not of(Failure, events)


def test_a_turn_whose_embedding_failed_is_an_error_and_no_verdict() -> None:
    def reply(job: Job) -> Result:
        return JobFailure(job.number, "out of memory") if isinstance(job, EmbedJob) else answer(job)

    events = run(Session(SCORER, enrolled("anna")), [pcm((0.2, 0.8))], reply=reply)
    assert [e.message for e in of(Failure, events)] == ["out of memory"]
    (utterance,) = of(Utterance, events)
    assert (utterance.state, utterance.reason) == ("insufficient", "out of memory")


def test_a_turn_has_the_problems_of_its_own_sound() -> None:
    sound = [pcm((0.2, 2.0), (0.0, 1.0), (0.99, 2.0), (0.0, 1.0), (0.2, 2.0))]
    spoken = of(Utterance, run(Session(SCORER, enrolled("anna")), sound))
    assert [u.problems for u in spoken] == [(), ("clipped",), ()]


@pytest.mark.parametrize("spoken_s", [1.0, 1.01, 1.02, 1.05, 1.08, 1.11])
def test_a_verdict_waits_for_no_more_sound_than_the_end_of_its_turn_takes(spoken_s: float) -> None:
    """That is a frame, and those by which speech that follows would be padded."""
    session, piece = Session(SCORER, enrolled("anna")), 320  # samples: 20 ms
    sound, waited = pcm((0.2, spoken_s), (0.0, 1.5)), None
    for start in range(0, len(sound), 2 * piece):
        session.receive_pcm(sound[start : start + 2 * piece])
        for event in settle(session, answer):
            if isinstance(event, Utterance):
                waited = session.received_s - event.t
    assert waited is not None
    padding = GateConfig().padding_frames
    assert waited <= (padding + 1) * FRAME_SAMPLES / SAMPLE_RATE_HZ + 0.02
