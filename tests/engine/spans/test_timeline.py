from __future__ import annotations

import pytest

from engine.spans.timeline import Timeline


@pytest.fixture
def timeline() -> Timeline:
    """Speech at media samples 100 to 150, 200 to 230 and 230 to 300."""
    found = Timeline()
    for start, samples in ((100, 30), (130, 20), (170, 0), (200, 30), (230, 70)):
        found.push(start, samples)
    return found


def test_a_place_between_two_runs_ends_the_one_and_begins_the_other(timeline: Timeline) -> None:
    assert (timeline.position, timeline.media) == (150, 300)
    assert [timeline.begins(p) for p in (0, 10, 50, 51, 149)] == [100, 110, 200, 201, 299]
    assert [timeline.ends(p) for p in (0, 10, 50, 51, 150)] == [100, 110, 150, 201, 300]


def test_runs_are_those_that_have_speech_between(timeline: Timeline) -> None:
    assert timeline.runs(0, 50) == ((0, 100),)
    assert timeline.runs(50, 150) == ((50, 200),)
    assert timeline.runs(49, 51) == ((0, 100), (50, 200))


def test_what_is_forgotten_leaves_the_rest_in_its_place(timeline: Timeline) -> None:
    timeline.forget(60)
    assert timeline.runs(0, 150) == ((50, 200),)
    assert timeline.begins(60) == 210
