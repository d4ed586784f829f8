"""The scheduler: what runs next, from a clock that is only a number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.format import FRAME_SAMPLES
from engine.jobs import EmbedJob, Result, VadJob, VadState
from engine.serving.scheduler import Batch, Full, QueuedJob, Scheduler, SchedulerConfig, best_bucket

SHORT, LONG = 100, 300  # lengths of windows, in samples


def ignored(entry: QueuedJob, result: Result) -> None:
    """Nobody waits for the answer."""


def window(
    stream: int, due_s: float, length: int = LONG, *, live: bool = True, arrived_s: float = 0.0
) -> QueuedJob:
    job = EmbedJob(stream, np.zeros(length, np.float32), 0)
    return QueuedJob(stream, job, arrived_s, due_s, live, answered=ignored)


def frames(
    stream: int,
    count: int = 3,
    *,
    arrived_s: float = 0.0,
    due_s: float = 1.0,
    quiet: bool = False,
) -> QueuedJob:
    job = VadJob(stream, np.zeros((count, FRAME_SAMPLES), np.float32), VadState.initial(1), quiet)
    return QueuedJob(stream, job, arrived_s, due_s, True, answered=ignored)


def streams(batch: Batch | None) -> list[int]:
    assert batch is not None
    return [entry.stream for entry in batch.entries]


def batcher(*sizes: int, **settings: int | float) -> Scheduler:
    return Scheduler(SchedulerConfig(sizes or (1,), **settings))


def test_the_earliest_deadline_is_first() -> None:
    line = batcher(1)
    for stream, due in ((1, 3.0), (2, 1.0), (3, 2.0)):
        line.add(window(stream, due))
    assert [streams(line.next_batch(0.0)) for _ in range(3)] == [[2], [3], [1]]
    assert line.next_batch(0.0) is None


def test_equal_deadlines_keep_their_order() -> None:
    line = batcher(8)
    for stream in range(6):
        line.add(window(stream, 1.0))
    assert streams(line.next_batch(0.0)) == list(range(6))


def test_the_most_urgent_window_chooses_the_length() -> None:
    line = batcher(4)
    for stream, due, length in ((1, 2.0, LONG), (2, 1.0, SHORT), (3, 3.0, LONG), (4, 9.0, SHORT)):
        line.add(window(stream, due, length))
    assert streams(line.next_batch(0.0)) == [2, 4]  # both short; 4 goes along before its time
    assert streams(line.next_batch(0.0)) == [1, 3]


@given(
    st.lists(
        st.tuples(st.floats(0, 10), st.sampled_from([SHORT, LONG, 7])), min_size=1, max_size=40
    ),
    st.sampled_from([(1,), (1, 2, 4, 8), (3, 16)]),
)
def test_everything_runs_once_in_batches_of_one_length(
    windows: list[tuple[float, int]], sizes: tuple[int, ...]
) -> None:
    line = batcher(*sizes)
    for i, (due, length) in enumerate(windows):
        line.add(window(i, due, length))
    seen: list[int] = []
    while (batch := line.next_batch(0.0)) is not None:
        waiting = [due for i, (due, _) in enumerate(windows) if i not in seen]
        assert batch.entries[0].due_s == min(waiting)
        assert len({len(e.job.samples) for e in batch.entries}) == 1
        assert len(batch.entries) <= max(sizes)
        assert [e.due_s for e in batch.entries] == sorted(e.due_s for e in batch.entries)
        seen += streams(batch)
    assert sorted(seen) == list(range(len(windows)))
    assert line.queued == 0


@pytest.mark.parametrize(
    ("waiting", "taken"),
    [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (6, 6), (7, 7), (8, 8), (9, 8), (100, 8)],
)
def test_a_bucket_is_full_or_nearly(waiting: int, taken: int) -> None:
    assert best_bucket(waiting, (1, 2, 4, 8)) == taken


def test_fewer_than_the_smallest_bucket_still_run() -> None:
    assert best_bucket(1, (4, 8)) == 1


def test_the_line_is_bounded() -> None:
    line = batcher(1, capacity=2)
    line.add(window(1, 1.0))
    line.add(window(2, 1.0))
    with pytest.raises(Full, match="overloaded"):
        line.add(window(3, 1.0))
    line.add(frames(3))  # detections are bounded by their streams
    assert line.queued == 2


def test_detections_gather_for_a_moment_and_go_first() -> None:
    line = batcher(1, vad_wait_s=0.02)
    line.add(window(9, 0.0))
    line.add(frames(1, arrived_s=5.0))
    line.add(frames(2, arrived_s=5.01))
    assert line.wake_s == pytest.approx(5.02)
    assert streams(line.next_batch(5.015)) == [9]  # a free thread does not wait for them
    assert line.next_batch(5.015) is None
    assert streams(line.next_batch(5.02)) == [1, 2]
    assert line.wake_s is None


def test_detections_of_quiet_streams_wait_longer_or_go_along() -> None:
    line = batcher(1, vad_wait_s=0.02, vad_quiet_wait_s=0.1)
    line.add(frames(1, arrived_s=5.0, quiet=True))
    assert line.next_batch(5.05) is None
    assert line.wake_s == pytest.approx(5.1)
    line.add(frames(2, arrived_s=5.05))
    assert line.wake_s == pytest.approx(5.07)
    assert streams(line.next_batch(5.07)) == [1, 2]


def test_a_timer_that_rings_a_little_early_is_good_enough() -> None:
    line = batcher(1, vad_wait_s=0.02)
    line.add(frames(1, arrived_s=5.0))
    assert line.next_batch(5.0185) is None
    assert streams(line.next_batch(5.0195)) == [1]


def test_many_frames_do_not_wait() -> None:
    line = batcher(1, vad_frames=8)
    line.add(frames(1, 7))
    assert line.next_batch(0.0) is None
    line.add(frames(2, 1))
    assert streams(line.next_batch(0.0)) == [1, 2]


def test_a_long_detection_leaves_room_for_no_other() -> None:
    line = batcher(1, vad_frames=10, vad_rows=2)
    line.add(frames(1, 64, due_s=3.0))  # a file, whose patience is longer
    for stream in (2, 3, 4):
        line.add(frames(stream, 3, due_s=1.0))
    assert streams(line.next_batch(0.0)) == [2, 3]
    assert streams(line.next_batch(0.0)) == [4]
    assert streams(line.next_batch(0.0)) == [1]
    assert line.next_batch(9.0) is None


def test_what_is_left_of_the_detections_keeps_its_time() -> None:
    line = batcher(1, vad_rows=1, vad_frames=100, vad_wait_s=0.02)
    line.add(frames(1, 1, arrived_s=1.0, due_s=1.1))
    line.add(frames(2, 1, arrived_s=1.01, due_s=1.2))
    assert streams(line.next_batch(1.0)) == [1]
    assert line.wake_s == pytest.approx(1.03)


def test_a_stream_that_goes_takes_its_jobs_along() -> None:
    line = batcher(8)
    for stream in (1, 2, 1):
        line.add(window(stream, 1.0))
    line.add(frames(1))
    line.discard(1)
    assert line.queued == 1
    assert line.wake_s is None
    assert streams(line.next_batch(0.0)) == [2]
    assert line.next_batch(9.0) is None


def test_draining_gives_everything_back_in_order() -> None:
    line = batcher(1)
    line.add(window(1, 9.0))
    line.add(frames(2))
    line.add(window(3, 1.0, SHORT))
    assert [entry.stream for entry in line.drain()] == [1, 2, 3]
    assert line.queued == 0
    assert line.next_batch(9.0) is None


def test_live_windows_in_line_past_their_deadline_widen_the_hop() -> None:
    line = batcher(1)
    line.add(window(1, 1.0))
    assert line.review(0.9) is None
    assert line.review(1.2) is None  # late once: perhaps a hiccup
    assert line.review(1.5) == 0.75


def test_a_file_is_never_late() -> None:
    line = batcher(1)
    line.add(window(1, 1.0, live=False))
    assert [line.review(float(t)) for t in range(2, 20)] == [None] * 18


def test_windows_that_started_late_count_after_they_have_left() -> None:
    line = batcher(1)
    line.add(window(1, 1.0))
    line.review(0.0)
    line.next_batch(1.4)
    line.review(1.5)
    line.add(window(1, 1.1))
    line.next_batch(1.6)
    assert line.review(1.8) == 0.75
    assert line.overload.late_s == pytest.approx(0.5)


@pytest.mark.parametrize(
    "settings",
    [{"batch_sizes": ()}, {"batch_sizes": (4, 1)}, {"batch_sizes": (0, 1)}, {"capacity": 0}],
)
def test_an_impossible_configuration_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SchedulerConfig(**settings)
