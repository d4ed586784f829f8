"""Transcripts are matched with the speech that they were made from."""

from __future__ import annotations

from typing import Any

import pytest

from voxwatch_client.speech_spans import SpeechSpans

BEGAN, STOPPED, TEXT = "began", "stopped", "text"


@pytest.mark.parametrize(
    ("told", "spans"),
    [
        pytest.param([(BEGAN, 1), (STOPPED, 3), (TEXT, 4)], [(1, 3)], id="after its end"),
        pytest.param([(BEGAN, 1), (TEXT, 3), (STOPPED, 3.2)], [(1, 3)], id="before its end"),
        pytest.param(
            [(BEGAN, 1), (TEXT, 3), (STOPPED, 3.2), (BEGAN, 5), (TEXT, 7), (STOPPED, 7.2)],
            [(1, 3), (5, 7)],
            id="two before their ends",
        ),
        pytest.param(
            [(BEGAN, 1), (STOPPED, 3), (BEGAN, 4), (TEXT, 5), (STOPPED, 6), (TEXT, 6.5)],
            [(1, 3), (4, 6)],
            id="the first while the second is said",
        ),
        pytest.param(
            [(BEGAN, 1), (STOPPED, 2), (BEGAN, 3), (STOPPED, 4), (TEXT, 4.5)],
            [(1, 4)],
            id="one of two",
        ),
        pytest.param(
            [(BEGAN, 1), (STOPPED, 2), (BEGAN, 7), (STOPPED, 9), (TEXT, 10)],
            [(7, 9)],
            id="noise long before has none",
        ),
        pytest.param(
            [(BEGAN, 1), (TEXT, 3), (TEXT, 5), (STOPPED, 6), (TEXT, 6.5)],
            [(1, 3), (3, 5), (5, 6)],
            id="three of one speech",
        ),
        pytest.param(
            [(BEGAN, 1), (STOPPED, 3), (TEXT, 4), (TEXT, 4.5)],
            [(1, 3), (1, 3)],
            id="two after one speech",
        ),
        pytest.param([(TEXT, 4)], [(0, 4)], id="nothing says where speech is"),
        pytest.param([(STOPPED, 1), (BEGAN, 2), (BEGAN, 3), (TEXT, 4)], [(2, 4)], id="said twice"),
    ],
)
def test_a_transcript_has_the_span_of_its_own_speech(told: list[Any], spans: list[Any]) -> None:
    found = SpeechSpans(latency_s=3.0)
    taken = []
    for what, at_s in told:
        if what == TEXT:
            taken.append(found.take(at_s))
        else:
            getattr(found, what)(at_s)
    assert taken == spans
