"""Spans by a graph for windows: what answers for a span that was not embedded itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ, unit
from engine.jobs import EmbedJob, EmbedResult, JobFailure, Result
from engine.model.bundle import Bundle
from engine.spans.interface import Mark
from engine.spans.windows import WindowSpans
from engine.speech.windows import WindowConfig

Float32 = NDArray[np.float32]
S = SAMPLE_RATE_HZ
SIZE = 8


@pytest.fixture
def spans(spectral_bundle: Bundle) -> WindowSpans:
    return WindowSpans(spectral_bundle.manifest, WindowConfig())


def voice(level: int, seconds: float) -> Float32:
    return np.full(round(seconds * S), level / 10, np.float32)


def axes(*shares: float) -> Float32:
    found = np.zeros(SIZE)
    found[: len(shares)] = shares
    return unit(found).astype(np.float32)


def answer(job: EmbedJob) -> Result:
    """The shares of the levels in a window: level 0.1 is the first axis."""
    shares = np.bincount(np.round(job.samples * 10).astype(int), minlength=SIZE + 1)[1:]
    return EmbedResult(job.number, unit(shares.astype(np.float32)))


def settle(spans: WindowSpans, fail: float | None = None) -> list[EmbedJob]:
    """Answer every job, but for the one whose sound was complete at ``fail`` seconds."""
    jobs = [job for job in spans.jobs(1) if isinstance(job, EmbedJob)]
    for job in jobs:
        failed = fail is not None and job.due == round(fail * S)
        spans.receive_result(JobFailure(job.number, "out of memory") if failed else answer(job))
    assert spans.waiting_since is None  # no job of another kind was left
    return jobs


def test_marks_are_windows_and_the_turns_end(spans: WindowSpans) -> None:
    marks = [*spans.push(0, voice(1, 1.7)), *spans.end_turn(round(2.3 * S))]
    assert marks == [
        Mark(0, S, S),
        Mark(0, round(1.5 * S), round(1.5 * S)),
        Mark(0, round(1.7 * S), round(2.3 * S), ends_turn=True),
    ]
    jobs = settle(spans)
    assert [len(job.samples) / S for job in jobs] == [1.0, 1.5, 1.7]
    assert spans.ready == marks[-1].position


def test_no_window_holds_speech_of_two_turns(spans: WindowSpans) -> None:
    list(spans.push(0, voice(1, 4.0)))
    list(spans.end_turn(5 * S))
    list(spans.push(6 * S, voice(2, 1.5)))
    settle(spans)
    np.testing.assert_allclose(spans.heard([(4 * S, 5 * S)])[0][0], axes(0, 1))


def test_a_span_over_two_turns_is_as_much_of_each_as_was_said_in_it(spans: WindowSpans) -> None:
    list(spans.push(0, voice(1, 6.5)))
    list(spans.end_turn(7 * S))
    list(spans.push(8 * S, voice(2, 1.0)))
    settle(spans)
    end = round(7.5 * S)
    for own_s in (0.3, 1.0, 2.0, 3.0, 5.0):
        (found,) = spans.heard([(round((6.5 - own_s) * S), end)])[0]
        np.testing.assert_allclose(found, axes(own_s, 1.0), atol=1e-3)


def test_a_turn_too_short_to_embed_has_none_and_counts_for_nothing(spans: WindowSpans) -> None:
    list(spans.push(0, voice(1, 2.0)))
    list(spans.end_turn(3 * S))
    list(spans.push(4 * S, voice(2, 0.3)))
    (mark,) = spans.end_turn(5 * S)
    settle(spans)
    assert spans.ready == mark.position
    assert spans.failure(mark.turn, mark.position) == "only 0.30 s of speech, 0.4 s needed"
    assert spans.failure(0, mark.position) is None
    np.testing.assert_allclose(spans.heard([(0, mark.position)])[0][0], axes(1))


@pytest.mark.parametrize("length_s", [0.4, 0.45, 0.49])
def test_a_turn_shorter_than_the_graph_takes_is_repeated(
    spans: WindowSpans, length_s: float
) -> None:
    sound = np.concatenate([voice(1, 0.2), voice(2, length_s - 0.2)])
    list(spans.push(0, sound))
    (mark,) = spans.end_turn(S)
    (job,) = settle(spans)
    assert len(job.samples) == S // 2
    np.testing.assert_array_equal(job.samples[: len(sound)], sound)
    np.testing.assert_array_equal(job.samples[len(sound) :], voice(1, 0.5 - length_s))
    assert spans.failure(0, mark.position) is None
    shares = np.bincount(np.round(job.samples * 10).astype(int))[1:]
    np.testing.assert_allclose(spans.heard([(0, mark.position)])[0][0], axes(*shares), atol=1e-6)


def test_a_window_that_failed_is_answered_by_nothing_else(spans: WindowSpans) -> None:
    list(spans.push(0, voice(1, 3.0)))
    settle(spans, fail=1.5)
    assert spans.ready == 3 * S
    assert spans.failure(0, round(1.5 * S)) == "out of memory"
    assert spans.failure(0, 2 * S) is None
    with pytest.raises(LookupError):
        spans.heard([(0, round(1.5 * S))])[0]
    with pytest.raises(KeyError):
        spans.receive_result(EmbedResult(1, axes(1)))  # it was answered before
