"""The session: same sound, same events, whatever the chunking and the order of results."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bundle import Bundle, Calibration, Manifest
from engine.errors import BundleError
from engine.events import AnyEvent, Change, Decision, Failure, Score, Summary, Vad
from engine.scores import Scorer, Sides
from engine.session import (
    EmbedJob,
    EmbedResult,
    Job,
    JobFailure,
    Result,
    Session,
    VadJob,
    VadResult,
)
from engine.vad import SAMPLE_RATE_HZ

SIZE = 8
MANIFEST = Manifest(
    name="fake",
    version="1",
    licence="none",
    source="test",
    architecture={},
    front_end={},
    embedding_size=SIZE,
    calibration=Calibration(half_speech_s=1.0, slope=(10.0, 0.0), offset=(-5.0, 0.0, 0.0)),
)
SCORER = Scorer(Bundle(MANIFEST, Path(), None))
VOICES = {"anna": 0.2, "berta": 0.5}  # a voice is the level of its samples


def voice(level: float) -> np.ndarray:
    """Embedding of a level: one axis for each tenth."""
    embedding = np.zeros((1, SIZE), np.float32)
    embedding[0, round(level * 10) % SIZE] = 1.0
    return embedding


def enrolled(*names: str) -> dict[str, Sides]:
    return {name: SCORER.sides(voice(VOICES[name]), 10.0) for name in names}


def answer(job: Job) -> Result:
    """A detector of loudness and an encoder of level: deterministic, and right."""
    if isinstance(job, VadJob):
        return VadResult(job.number, (np.abs(job.frames).mean(axis=1) > 0.05) * 1.0, job.state)
    return EmbedResult(job.number, voice(float(np.median(np.abs(job.samples))))[0])


def pcm(*parts: tuple[float, float]) -> bytes:
    """Parts of (level, seconds) as s16le."""
    levels = [np.full(round(s * SAMPLE_RATE_HZ), level) for level, s in parts]
    return (np.concatenate(levels) * 32767).astype("<i2").tobytes()


def run(
    session: Session,
    pieces: list[bytes],
    order: Callable[[list[Job]], list[Job]] = lambda jobs: jobs,
    reply: Callable[[Job], Result] = answer,
) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    pending: list[Job] = []
    for piece in [*pieces, None]:
        if piece is None:
            session.receive_eof()
        else:
            session.receive_pcm(piece)
        pending += session.jobs_to_run()
        while pending:
            pending = order(pending)
            session.receive_result(reply(pending.pop(0)))
            pending += session.jobs_to_run()
            events += session.events()
    events += session.events()
    assert not session.waiting
    return events


SOUND = pcm((0.0, 0.7), (0.2, 4.0), (0.0, 1.0), (0.2, 2.0), (0.5, 5.0), (0.0, 0.5))


def reference() -> list[AnyEvent]:
    return run(Session(SCORER, enrolled("anna", "berta")), [SOUND])


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(0, len(SOUND)), max_size=10),
    seed=st.integers(0, 2**31),
)
def test_any_chunking_and_any_order_of_results_give_the_same_events(
    cuts: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    edges = sorted({0, len(SOUND), *cuts})
    pieces = [SOUND[a:b] for a, b in pairwise(edges)]
    shuffled = run(
        Session(SCORER, enrolled("anna", "berta")),
        pieces,
        order=lambda jobs: [jobs[i] for i in rng.permutation(len(jobs))],
    )
    assert msgspec.to_builtins(shuffled) == msgspec.to_builtins(reference())


def test_events_are_numbered_without_gaps_and_in_media_order() -> None:
    events = reference()
    assert [e.seq for e in events] == list(range(len(events)))
    times = [e.t for e in events]
    assert times == sorted(times)
    assert isinstance(events[-1], Summary)


def test_the_first_score_comes_with_the_first_second_of_speech() -> None:
    first = next(e for e in reference() if isinstance(e, Score))
    assert first.net_speech_s == 1.0
    assert first.window_s == 1.0
    assert first.t == pytest.approx(0.7 + 1.0, abs=0.1)


def test_speech_starts_and_ends() -> None:
    edges = [(e.speech, e.at) for e in reference() if isinstance(e, Vad)]
    assert [speech for speech, _ in edges] == [True, False, True, False]
    for (_, at), expected in zip(edges, [0.7, 4.7, 5.7, 12.7], strict=True):
        assert at == pytest.approx(expected, abs=0.1)


def test_takeover_is_decided_and_the_change_back_dated() -> None:
    events = reference()
    decided = [(e.state, e.speaker) for e in events if isinstance(e, Decision)]
    assert decided[0] == ("insufficient", "anna")
    assert ("match", "anna") in decided
    assert decided[-1] == ("match", "berta")
    changes = [e for e in events if isinstance(e, Change)]
    assert len(changes) == 1
    assert changes[0].at <= 7.7 + 0.6 < changes[0].detected_at + 1.0


def test_an_unclaimed_stranger_is_unknown_and_a_claimed_one_a_mismatch() -> None:
    stranger = [pcm((0.7, 4.0))]
    open_set = run(Session(SCORER, enrolled("anna"), claimed=False), stranger)
    claimed = run(Session(SCORER, enrolled("anna")), stranger)
    assert [e for e in open_set if isinstance(e, Decision)][-1].state == "unknown"
    assert [e for e in claimed if isinstance(e, Decision)][-1].state == "mismatch"


def test_without_voiceprints_changes_are_still_found() -> None:
    events = run(Session(SCORER, {}), [pcm((0.2, 4.0), (0.5, 4.0))])
    assert [type(e) for e in events] == [Vad, Change, Vad, Summary]


def test_silence_is_no_evidence() -> None:
    events = run(Session(SCORER, enrolled("anna")), [pcm((0.0, 5.0))])
    assert [type(e) for e in events] == [Summary]
    summary = events[0]
    assert isinstance(summary, Summary)
    assert (summary.received_s, summary.speech_s, summary.decisions) == (5.0, 0.0, {})


def test_a_failed_window_is_an_error_and_not_a_low_score() -> None:
    def reply(job: Job) -> Result:
        if isinstance(job, EmbedJob) and len(job.samples) < 1.5 * SAMPLE_RATE_HZ:
            return JobFailure(job.number, "out of memory")
        return answer(job)

    events = run(Session(SCORER, enrolled("anna")), [pcm((0.2, 3.0))], reply=reply)
    failures = [e for e in events if isinstance(e, Failure)]
    assert [f.message for f in failures] == ["out of memory"]
    scores = [e for e in events if isinstance(e, Score)]
    assert scores
    assert min(s.window_s for s in scores) == 1.5


def test_a_session_without_calibration_is_refused() -> None:
    bare = msgspec.structs.replace(MANIFEST, calibration=None)
    with pytest.raises(BundleError, match="not calibrated"):
        Session(Scorer(Bundle(bare, Path(), None)), {})


def test_sound_after_the_end_is_refused() -> None:
    session = Session(SCORER, {})
    session.receive_eof()
    with pytest.raises(RuntimeError, match="has ended"):
        session.receive_pcm(b"\0\0")


def test_an_answer_nobody_asked_for_is_refused() -> None:
    with pytest.raises(KeyError):
        Session(SCORER, {}).receive_result(EmbedResult(7, voice(0.1)[0]))
