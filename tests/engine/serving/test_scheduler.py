"""The scheduler: what runs next, from a clock that is only a number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.format import FRAME_SAMPLES
from engine.jobs import EmbedJob, Result, VadJob, VadState
from engine.serving.line import Gathering, QueuedJob, best_bucket
from engine.serving.scheduler import FILES_TURN, LIVE_S, Batch, Full, Scheduler, SchedulerConfig

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
    urgent: bool = False,
    live: bool = True,
) -> QueuedJob:
    sound, state = np.zeros((count, FRAME_SAMPLES), np.float32), VadState.initial(1)
    job = VadJob(stream, sound, state, quiet, urgent)
    return QueuedJob(stream, job, arrived_s, due_s, live, answered=ignored)


def streams(batch: Batch | None) -> list[int]:
    assert batch is not None
    return [entry.stream for entry in batch.entries]


def batcher(
    *sizes: int,
    vad_rows: int = 128,
    vad_frames: int = 512,
    vad_wait_s: float = 0.04,
    vad_quiet_wait_s: float = 0.1,
    **settings: int,
) -> Scheduler:
    gathering = Gathering(vad_rows, vad_frames, vad_wait_s, vad_quiet_wait_s)
    return Scheduler(SchedulerConfig(sizes or (1,), gathering=gathering, **settings))


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
    assert line.wake_s() == pytest.approx(5.02)
    assert streams(line.next_batch(5.015)) == [9]  # a free thread does not wait for them
    assert line.next_batch(5.015) is None
    assert streams(line.next_batch(5.02)) == [1, 2]
    assert line.wake_s() is None


def test_detections_of_quiet_streams_wait_longer_or_go_along() -> None:
    line = batcher(1, vad_wait_s=0.02, vad_quiet_wait_s=0.1)
    line.add(frames(1, arrived_s=5.0, quiet=True))
    assert line.next_batch(5.05) is None
    assert line.wake_s() == pytest.approx(5.1)
    line.add(frames(2, arrived_s=5.05))
    assert line.wake_s() == pytest.approx(5.07)
    assert streams(line.next_batch(5.07)) == [1, 2]


def test_detections_that_somebody_waits_for_run_at_once_with_what_is_there() -> None:
    line = batcher(1)
    line.add(frames(1, arrived_s=5.0, quiet=True))
    line.add(frames(2, arrived_s=5.01, quiet=True, urgent=True))
    assert line.wake_s() == pytest.approx(5.01)
    assert streams(line.next_batch(5.01)) == [1, 2]
    line.add(frames(1, arrived_s=6.0, quiet=True))
    line.hurry(2, 6.01)  # it has none in the line
    assert line.next_batch(6.01) is None
    line.hurry(1, 6.01)
    assert streams(line.next_batch(6.01)) == [1]


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
    assert line.wake_s() == pytest.approx(1.03)


def test_a_stream_that_goes_takes_its_jobs_along() -> None:
    line = batcher(8)
    for stream in (1, 2, 1):
        line.add(window(stream, 1.0))
    line.add(frames(1))
    line.discard(1)
    assert line.queued == 1
    assert line.wake_s() is None
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


def test_live_windows_come_before_those_of_files_however_old() -> None:
    line = batcher(1)
    for stream in range(5):
        line.add(window(stream, due_s=-100.0, live=False))
    line.add(window(9, due_s=5.0))
    assert streams(line.next_batch(1.0)) == [9]
    assert streams(line.next_batch(1.0)) == [0]


def test_a_batch_is_of_live_streams_or_of_files() -> None:
    line = batcher(8, vad_wait_s=0.0)
    for stream in range(3):
        line.add(window(stream, 1.0, live=stream == 1))
        line.add(frames(stream, live=stream == 1))
    batches = [line.next_batch(1.0) for _ in range(4)]
    assert [streams(batch) for batch in batches] == [[1], [1], [0, 2], [0, 2]]
    assert [batch.live for batch in batches if batch] == [True, True, False, False]


def test_batches_of_files_are_small_while_anybody_is_live() -> None:
    line = batcher(8, vad_wait_s=0.0, file_rows=2, file_frames=100)
    line.add(window(99, 0.0, arrived_s=10.0))
    assert streams(line.next_batch(10.0)) == [99]
    for stream in range(20):
        line.add(window(stream, 0.0, live=False))
        line.add(frames(stream, 64, live=False))
    assert len(streams(line.next_batch(10.0))) == 1  # of 64 frames
    later = 10.0 + LIVE_S
    assert len(streams(line.next_batch(later))) == 8  # of 64 frames, 512 in all
    while isinstance((batch := line.next_batch(later)).entries[0].job, VadJob):
        pass
    assert len(streams(batch)) == 8
    line.add(frames(99, arrived_s=later))
    assert streams(line.next_batch(later)) == [99]
    assert len(streams(line.next_batch(later))) == 2


def test_files_get_a_batch_now_and_then_whatever_is_live() -> None:
    line = batcher(1)
    line.add(window(99, 0.0, live=False))
    for stream in range(2 * FILES_TURN):
        line.add(window(stream, 0.0))
    taken = [streams(line.next_batch(0.0)) for _ in range(FILES_TURN + 1)]
    assert taken[-1] == [99]


def test_where_no_files_may_run_they_wait_and_nobody_is_woken_for_them() -> None:
    line = batcher(1, vad_wait_s=0.02)
    line.add(frames(1, live=False))
    line.add(window(1, 0.0, live=False))
    assert line.next_batch(9.0, files=False) is None
    assert line.wake_s(files=False) is None
    assert line.wake_s() is not None
    assert streams(line.next_batch(9.0)) == [1]


def test_files_make_no_live_stream_late() -> None:
    line = batcher(1)
    for stream in range(50):
        line.add(window(stream, due_s=-100.0, live=False))
    assert [line.review(now) for now in (0.0, 0.3, 0.6, 1.0, 2.0, 3.0)] == [None] * 6
    assert line.overload.hop_s == 0.0
