"""The gate: every frame told once, in order, whatever the grouping."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.speech.gate import FrameSpan, Gate, GateConfig

PROBABILITIES = st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0]), max_size=120)


def run(probabilities: list[float], config: GateConfig | None = None) -> list[FrameSpan]:
    gate = Gate(config)
    return [*gate.feed(probabilities), *gate.flush()]


def joined(frame_spans: list[FrameSpan]) -> list[FrameSpan]:
    """Neighbours of one kind as one, but for those at an edge."""
    found: list[FrameSpan] = []
    for one in frame_spans:
        last = found[-1] if found else None
        edges = last is None or last.started or last.ended or one.started or one.ended
        if last is not None and not edges and last.kind == one.kind:
            found[-1] = FrameSpan(one.kind, last.start, one.end)
        else:
            found.append(one)
    return found


def spans(frame_spans: list[FrameSpan]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for frame_span in frame_spans:
        if frame_span.started:
            found.append((frame_span.start, frame_span.end))
        elif frame_span.kind == "speech":
            found[-1] = (found[-1][0], frame_span.end)
    return found


@given(PROBABILITIES)
def test_spans_cover_every_frame_once_and_edges_alternate(probabilities: list[float]) -> None:
    frame_spans = run(probabilities)
    position, inside = 0, False
    for frame_span in frame_spans:
        assert frame_span.start == position
        assert frame_span.end >= frame_span.start
        position = frame_span.end
        if frame_span.started:
            assert not inside
            inside = True
        assert (frame_span.kind == "speech") == inside
        if frame_span.ended:
            inside = False
    assert position == len(probabilities)
    assert not inside


@given(PROBABILITIES, st.lists(st.integers(0, 120), max_size=8))
def test_any_grouping_gives_the_same_spans(probabilities: list[float], cuts: list[int]) -> None:
    gate, frame_spans = Gate(), []
    edges = sorted({0, len(probabilities), *(min(c, len(probabilities)) for c in cuts)})
    for a, b in pairwise(edges):
        frame_spans += gate.feed(probabilities[a:b])
    assert joined([*frame_spans, *gate.flush()]) == joined(run(probabilities))


@given(PROBABILITIES)
def test_frames_fed_at_once_are_told_as_one_between_two_edges(probabilities: list[float]) -> None:
    frame_spans = list(Gate().feed(probabilities))
    assert frame_spans == joined(frame_spans)


def test_a_span_is_padded_on_both_sides() -> None:
    frame_spans = run([0.0] * 10 + [1.0] * 5 + [0.0] * 20)
    assert spans(frame_spans) == [(8, 17)]


def test_a_single_frame_does_not_open_the_gate() -> None:
    assert spans(run([0.0] * 5 + [1.0] + [0.0] * 20)) == []


def test_a_pause_shorter_than_the_hangover_does_not_close_it() -> None:
    assert spans(run([1.0] * 5 + [0.0] * 7 + [1.0] * 5)) == [(0, 17)]


def test_probabilities_between_the_thresholds_keep_the_state() -> None:
    assert spans(run([0.4] * 30)) == []
    assert spans(run([1.0] * 3 + [0.4] * 30)) == [(0, 33)]


def test_what_lies_on_a_threshold_is_speech() -> None:
    config = GateConfig()
    on, below = config.open_probability, math.nextafter(config.open_probability, 0)
    assert spans(run([on] * 10)) == [(0, 10)]
    assert spans(run([below] * 10)) == []
    on, below = config.close_probability, math.nextafter(config.close_probability, 0)
    assert spans(run([1.0] * 3 + [on] * 10 + [0.0] * 20)) == [(0, 15)]
    assert spans(run([1.0] * 3 + [below] * 10 + [0.0] * 20)) == [(0, 5)]


def test_the_end_of_the_stream_closes_the_gate() -> None:
    frame_spans = run([1.0] * 6)
    assert frame_spans[-1].ended
    assert spans(frame_spans) == [(0, 6)]


@pytest.mark.parametrize(
    "bad",
    [
        {"open_probability": 0.3},
        {"close_probability": 0.0},
        {"open_frames": 0},
        {"close_frames": 1},
    ],
)
def test_a_gate_that_cannot_work_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="the gate needs"):
        GateConfig(**bad)


def test_silence_that_is_held_back_is_told_to_who_waits() -> None:
    gate = Gate(GateConfig(close_frames=8, padding_frames=2))
    assert [one.end for one in gate.feed([0.0] * 5)] == [3]
    assert [(one.kind, one.end) for one in gate.settle()] == [("silence", 5)]
    (opened,) = gate.feed([1.0] * 2)
    assert (opened.start, opened.started) == (5, True)
    list(gate.feed([1.0] * 2))
    assert list(gate.settle()) == []  # somebody speaks
    list(gate.feed([0.0] * 2))
    assert list(gate.settle()) == []  # as yet it is the padding
    list(gate.feed([0.0] * 2))
    told = [(one.kind, one.end, one.ended) for one in gate.settle()]
    assert told == [("speech", 11, True), ("silence", 13, False)]
    assert gate.quiet
