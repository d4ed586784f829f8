"""The session and sound that had come before: a problem of its quality, since when it began."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from fake_scorers import fake_scorer
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import AnyEvent, Decision, Quality
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import EmbedResult, Job, Result, VadJob, VadResult
from engine.session import Session

SIZE, S = 8, SAMPLE_RATE_HZ
SCORER = fake_scorer(SIZE)
OWNER = np.eye(1, SIZE, dtype=np.float32)


def noise(seconds: float, seed: int) -> bytes:
    steps = np.random.default_rng(seed).standard_normal(round(seconds * S)) * 2000
    return steps.astype("<i2").tobytes()


LOOP, NEW = noise(3.0, 0), noise(9.0, 1)
SOUND = LOOP * 3 + NEW


def answer(job: Job) -> Result:
    """Everything is speech of the owner's."""
    if isinstance(job, VadJob):
        return VadResult(job.number, np.ones(len(job.frames), np.float32), job.state)
    return EmbedResult(job.number, OWNER[0])


def go_on(session: Session) -> list[AnyEvent]:
    while jobs := session.jobs_to_run():
        for job in jobs:
            session.receive_result(answer(job))
    return list(session.events())


def told(edges: list[int]) -> list[AnyEvent]:
    session = Session(SCORER, {"owner": SCORER.prepare(OWNER, 10.0)})
    found: list[AnyEvent] = []
    for start, end in pairwise(sorted({0, *edges, len(SOUND)})):
        session.receive_pcm(SOUND[start:end])
        found += go_on(session)
    session.receive_eof()
    return found + go_on(session)


def test_repeated_sound_is_a_problem_of_its_quality_until_there_is_new_sound() -> None:
    heard = told(list(range(0, len(SOUND), 3200)))
    quality = [event for event in heard if isinstance(event, Quality)]
    repeated = [event for event in quality if "repeated" in event.problems]
    first = repeated[0]
    assert first.t < 6.0
    assert first.repeated_since is not None
    assert 3.0 <= first.repeated_since <= 4.0
    assert "3.0 s before" in first.advice
    assert quality.index(repeated[-1]) - quality.index(first) == len(repeated) - 1
    assert quality[-1].repeated_since is None
    assert quality[-1].t > repeated[-1].t > 9.0


def test_who_speaks_is_decided_all_the_same() -> None:
    states = [event.state for event in told([]) if isinstance(event, Decision)]
    assert states[-1] == "match"


@settings(max_examples=15)
@given(st.lists(st.integers(0, len(SOUND)), max_size=30))
def test_any_chunking_tells_the_same(edges: list[int]) -> None:
    assert told(edges) == told([])


def test_our_own_loudspeaker_may_say_the_same_thing_twice() -> None:
    session = Session(SCORER, {"owner": SCORER.prepare(OWNER, 10.0)})
    found: list[AnyEvent] = []
    for start in range(0, len(SOUND), 3200):
        if start == len(LOOP) // 3200 * 3200:
            session.mute(True)
        if start == len(LOOP) * 3 // 3200 * 3200:
            session.mute(False)
        session.receive_pcm(SOUND[start : start + 3200])
        found += go_on(session)
    session.receive_eof()
    found += go_on(session)
    assert not [e for e in found if isinstance(e, Quality) and "repeated" in e.problems]
