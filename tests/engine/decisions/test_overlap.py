"""Spans in which two voices speak at once: spans and no flicker, the same for any chunking."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.audio.files import read_audio
from engine.audio.pcm import PcmDecoder
from engine.decisions.overlap import BLOCKS, OverlapSpans
from engine.events import AnyEvent, Overlap
from engine.format import SAMPLE_RATE_HZ
from engine.serving.inference import answer_one, settle
from engine.session import Session
from engine.spans.frames import OVERLAP
from engine.spans.interface import BlockHeads, Mark
from engine.spans.timeline import Timeline
from streamer.local.replay import Replay

Float32 = NDArray[np.float32]
BLOCK = SAMPLE_RATE_HZ // 10
VOICES = Path(__file__).parents[3] / "scripts" / "demo_voices"


@dataclass(eq=False)
class Speech:
    """Speech without a pause, of blocks that say so much for two voices; None: block lost."""

    log_odds: list[float | None]
    names: tuple[str, ...] = ("snr_db", OVERLAP)

    def __post_init__(self) -> None:
        self.timeline = Timeline()
        self.timeline.push(0, len(self.log_odds) * BLOCK)

    def heads(self, start: int, end: int) -> BlockHeads:
        first, last = start // BLOCK, end // BLOCK
        known = [(i, v) for i, v in enumerate(self.log_odds) if first <= i < last and v is not None]
        return BlockHeads(
            self.names,
            tuple(i * BLOCK for i, _ in known),
            tuple((i + 1) * BLOCK for i, _ in known),
            np.array([[20.0, v] for _, v in known], np.float32).reshape(-1, 2),
        )


def told(
    speech: Speech, ends: list[int] | None = None, cuts: tuple[int, ...] = ()
) -> list[Overlap]:
    """What is told with a mark at every cut, and with turns that end after ``ends`` blocks."""
    spans, found = OverlapSpans(), list[Overlap]()
    ends = ends or [len(speech.log_odds)]
    for place in sorted({*cuts, *ends}):
        mark = Mark(0, place * BLOCK, place * BLOCK, ends_turn=place in ends)
        found += spans.add(speech, mark)
    return found


def spans_of(found: list[Overlap]) -> list[tuple[float, float | None]]:
    return [(one.start, one.end) for one in found]


def test_a_span_is_told_when_it_begins_and_when_it_ends() -> None:
    speech = Speech([-3.0] * 10 + [3.0] * 10 + [-3.0] * 10)
    begun, ended = told(speech, cuts=tuple(range(31)))
    assert (begun.start, begun.end) == (1.0, None)
    assert (ended.start, ended.end) == (1.0, 2.0)
    assert 1.0 < begun.t < 2.0 < ended.t <= 2.5


def test_it_does_not_flicker() -> None:
    wavering = Speech([-3.0] * 5 + [3.0] * 6 + [2.0, -2.5] * 10 + [-3.0] * 10)
    assert len(told(wavering, cuts=tuple(range(41)))) == 2
    single = Speech([-3.0, -3.0, 4.0, -3.0, -3.0, -3.0, 4.0, -3.0] * 4)
    assert told(single, cuts=tuple(range(33))) == []


def test_no_span_crosses_the_end_of_a_turn_or_what_is_not_known() -> None:
    assert spans_of(told(Speech([3.0] * 20), ends=[10, 20])) == [
        (0.0, None),
        (0.0, 1.0),
        (1.0, None),
        (1.0, 2.0),
    ]
    lost = Speech([3.0] * 8 + [None] * 4 + [3.0] * 8)
    assert spans_of(told(lost))[1::2] == [(0.0, 0.8), (1.2, 2.0)]


def test_of_sound_that_is_suspected_to_be_another_nothing_is_said() -> None:
    speech, spans = Speech([3.0] * 30), OverlapSpans()
    marks = [Mark(0, place * BLOCK, place * BLOCK, ends_turn=place == 30) for place in (10, 20, 30)]
    found = [
        list(spans.add(speech, mark, suspected=suspected))
        for mark, suspected in zip(marks, (False, True, True), strict=True)
    ]
    assert [spans_of(one) for one in found] == [[(0.0, None)], [(0.0, 1.0)], []]


def test_less_than_half_a_second_of_a_turn_says_nothing() -> None:
    assert told(Speech([9.0] * (BLOCKS - 1))) == []


def test_a_bundle_without_the_head_tells_of_none() -> None:
    assert told(Speech([3.0] * 20, names=("snr_db",))) == []
    assert told(Speech([3.0] * 20, names=())) == []


@settings(max_examples=100)
@given(
    st.lists(st.none() | st.floats(-6, 6, width=16), min_size=1, max_size=60),
    st.lists(st.integers(1, 60), max_size=12),
)
def test_spans_do_not_depend_on_where_marks_lie(
    log_odds: list[float | None], cuts: list[int]
) -> None:
    speech, count = Speech(log_odds), len(log_odds)
    found = told(speech, cuts=tuple(cut for cut in cuts if cut < count))
    assert spans_of(found) == spans_of(told(speech))
    for begun, ended in zip(found[::2], found[1::2], strict=True):
        assert begun.end is None
        assert ended.end is not None
        assert begun.start == ended.start < ended.end


@cache
def replay() -> Replay:
    return Replay()


def voice(name: str, seconds: float) -> Float32:
    sound = read_audio(VOICES / f"{name}.ogg").waveform
    return sound[: round(seconds * SAMPLE_RATE_HZ)]


def heard(sound: Float32, edges: list[int]) -> list[AnyEvent]:
    """Every event of the built-in model on ``sound``, cut at those samples."""
    here, found = replay(), list[AnyEvent]()
    session = Session(here.scorer, {}, decoder=PcmDecoder("pcm_f32le"))
    for piece in np.split(sound.astype("<f4"), edges):
        session.receive_pcm(piece.tobytes())
        found += settle(session, lambda job: answer_one(job, here.backend, here.vad))
    session.receive_eof()
    return found + list(settle(session, lambda job: answer_one(job, here.backend, here.vad)))


def overlaps(found: list[AnyEvent]) -> list[Overlap]:
    return [one for one in found if isinstance(one, Overlap)]


def test_two_voices_at_once_are_told_by_the_built_in_model() -> None:
    anna, ben = voice("anna", 8.0), voice("ben", 8.0)
    assert overlaps(heard(anna, [])) == overlaps(heard(ben, [])) == []
    both = np.concatenate([anna[: 3 * SAMPLE_RATE_HZ], (anna + ben)[3 * SAMPLE_RATE_HZ :] / 2])
    found = [one for one in overlaps(heard(both, [])) if one.end is not None]
    assert found
    assert all(one.start > 2.5 for one in found)
    assert sum((one.end or 0) - one.start for one in found) > 1.0


@pytest.mark.parametrize("seed", range(3))
def test_any_chunking_tells_the_same(seed: int) -> None:
    both = (voice("anna", 6.0) + voice("ben", 6.0)) / 2
    edges = np.random.default_rng(seed).integers(0, len(both), 40)
    assert heard(both, sorted(edges.tolist())) == heard(both, [])
