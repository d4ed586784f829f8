"""The tracker where jobs failed: by a graph for windows an answer is of more than was asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random

import numpy as np
from fake_scorers import fake_scorer
from hypothesis import example, given
from hypothesis import settings as of_test
from hypothesis import strategies as st

from engine.decisions.config import DecisionConfig
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.tracker import Tracker
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import AnyEvent, Utterance
from engine.format import SAMPLE_RATE_HZ, unit
from engine.jobs import EmbedJob, EmbedResult, JobFailure
from engine.model.manifest import Calibration
from engine.scoring.identify import EnrolledVoiceprints
from engine.spans.interface import Mark
from engine.spans.windows import WindowSpans
from engine.speech.windows import WindowConfig

SIZE = 4
SCORER = fake_scorer(
    SIZE, Calibration(half_speech_s=1.0, slope=(12.0, 0.0), offset=(-6.0, 0.0, 0.0))
)
ANNA = EnrolledVoiceprints({"anna": SCORER.prepare(np.eye(SIZE, dtype=np.float32)[:1], 10.0)})
ASKED = TrackerSettings(ANNA, True, DecisionConfig())


def answer(job: EmbedJob) -> EmbedResult:
    """The shares of the voices in a window; the sound of a voice is its number in tenths."""
    shares = np.bincount(np.round(job.samples * 10).astype(int), minlength=SIZE)
    return EmbedResult(job.number, unit(shares.astype(np.float32)))


def sounds(random: Random) -> Iterator[tuple[int, int]]:
    """Voices, and the samples that each says."""
    for _ in range(random.randint(2, 12)):
        length_s = random.choice([0.3, 0.7, 1.0, 2.0, 3.0, 6.0, 9.0])
        yield random.choice([0, 0, 1, 2]), round(length_s * SAMPLE_RATE_HZ)


def heard(spans: WindowSpans, random: Random) -> Iterator[Mark]:
    """What those say, in pieces of half a second, some of it after a pause."""
    media = 0
    for voice, samples in sounds(random):
        if random.random() < 0.3:
            yield from spans.end_turn(media)
            media += SAMPLE_RATE_HZ
        for at in range(0, samples, SAMPLE_RATE_HZ // 2):
            length = min(SAMPLE_RATE_HZ // 2, samples - at)
            yield from spans.push(media, np.full(length, voice / 10, np.float32))
            media += length
    yield from spans.end_turn(media)


def settle(spans: WindowSpans, random: Random, failing: float, run: int) -> int:
    """Answer every job or fail it. Failures come in runs; returned is what is left of one."""
    for job in spans.jobs(1):
        assert isinstance(job, EmbedJob)
        if not run and random.random() < failing:
            run = random.choice([1, 2, 4, 9])
        spans.receive_result(JobFailure(job.number, "out of memory") if run else answer(job))
        run = max(run - 1, 0)
    return run


def told(random: Random, failing: float) -> list[AnyEvent]:
    """Everything that is told of a conversation of which so many jobs begin a run of failures."""
    spans, tracker = WindowSpans(SCORER.bundle.manifest, WindowConfig()), Tracker(SCORER, 0.5)
    run, events, waiting = 0, list[AnyEvent](), deque[Mark]()
    for mark in heard(spans, random):
        run = settle(spans, random, failing, run)
        waiting.append(mark)
        while waiting and waiting[0].position <= spans.ready:
            events += tracker.add(spans, KnownSpeech(waiting.popleft(), ASKED))
    assert not waiting
    return events


@of_test(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([0.02, 0.1, 0.2]))
@example(20, 0.02)
@example(1, 0.1)
def test_a_stream_goes_on_whichever_windows_failed(seed: int, failing: float) -> None:
    assert any(isinstance(event, Utterance) for event in told(Random(seed), failing))
