"""Spans by a frames graph: same speech, same marks and embeddings, each frame computed once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from driven_spans import PAUSE, Float32, S, embedded, saying, settle, speech
from frames_model import BLOCK, DELAY_BLOCKS, FIGURES, MARGIN_BLOCKS
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.jobs import FramesJob, FramesResult, JobFailure, Result
from engine.model.bundle import Bundle
from engine.model.encoder import Encoder
from engine.model.frames import SpanPooling
from engine.spans.frames import FrameSpans
from engine.spans.interface import Mark

TURNS = ((0, 2.34), (4 * S, 0.3), (5 * S, 1.5))  # media sample and seconds of each
TOLERANCE = 2e-6  # of one number of a unit embedding


def hear(spans: FrameSpans, cuts: list[int], encoder: Encoder) -> list[Mark]:
    marks: list[Mark] = []
    for number, (start, length_s) in enumerate(TURNS):
        sound = speech(length_s, number)
        edges = sorted({0, len(sound), *(cut % len(sound) for cut in cuts)})
        for a, b in pairwise(edges):
            marks += spans.push(start + a, sound[a:b])
            if len(cuts) % 2:
                settle(spans, encoder)
        marks += spans.end_turn(start + len(sound) + PAUSE)
    settle(spans, encoder)
    return marks


def test_marks_come_with_the_look_ahead_or_with_the_turns_end(
    spans: FrameSpans, encoder: Encoder
) -> None:
    marks = hear(spans, [], encoder)
    first, second, third = (round(s * S) for _, s in TURNS)
    ends = [start + round(s * S) + PAUSE for start, s in TURNS]
    assert marks[:3] == [Mark(0, k * S // 2, (k + 1) * S // 2) for k in (1, 2, 3)]
    assert marks[3:5] == [Mark(0, 2 * S, ends[0]), Mark(0, first, ends[0], ends_turn=True)]
    assert marks[5] == Mark(first, first + second, ends[1], ends_turn=True)
    last = first + second
    assert [m.position - last for m in marks[6:]] == [S // 2, S, third]
    assert [m.turn for m in marks[6:]] == [last] * 3
    assert spans.ready == spans.position == marks[-1].position


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 3 * S), max_size=6))
def test_any_chunking_gives_the_same_marks_and_embeddings(
    frames_bundle: Bundle, encoder: Encoder, cuts: list[int]
) -> None:
    whole, cut = (FrameSpans(SpanPooling(frames_bundle), 0.5) for _ in range(2))
    marks = hear(whole, [], encoder)
    assert hear(cut, cuts, encoder) == marks
    asked = [(mark.turn, mark.position) for mark in marks]
    np.testing.assert_array_equal(cut.heard(asked)[0], whole.heard(asked)[0])


@pytest.mark.parametrize(("hop_s", "apart_s"), [(0.25, 0.2), (0.5, 0.5), (0.8, 0.8), (3.0, 3.0)])
def test_marks_come_a_hop_apart_to_the_nearest_block(
    frames_bundle: Bundle, hop_s: float, apart_s: float
) -> None:
    spans = FrameSpans(SpanPooling(frames_bundle), hop_s)
    positions = [mark.position for mark in spans.push(0, speech(15.0))]
    assert len(positions) > 3
    assert set(np.diff(positions)) == {round(apart_s * S)}


def test_a_turn_is_what_its_own_sound_is(spans: FrameSpans, encoder: Encoder) -> None:
    ends = [mark for mark in hear(spans, [], encoder) if mark.ends_turn]
    for number, mark in enumerate(ends):
        alone = encoder.embed(speech(TURNS[number][1], number)[None])
        found = spans.heard([(mark.turn, mark.position)])[0]
        np.testing.assert_allclose(found, alone, atol=TOLERANCE)


def test_a_span_within_a_turn_is_the_sum_of_its_blocks(spans: FrameSpans, encoder: Encoder) -> None:
    sound = speech(3.0)
    list(spans.push(0, sound))
    settle(spans, encoder)
    assert spans.ready == 25 * BLOCK
    alone = encoder.embed(sound[None, 7 * BLOCK : 19 * BLOCK])
    asked = [(7 * BLOCK, 19 * BLOCK), (7 * BLOCK + 300, 19 * BLOCK - 300)]  # the nearest blocks
    for found in spans.heard(asked)[0]:
        np.testing.assert_allclose(found, alone[0], atol=TOLERANCE)


def test_each_frame_goes_in_once_and_in_order(spans: FrameSpans, encoder: Encoder) -> None:
    margin = np.zeros(MARGIN_BLOCKS * BLOCK, np.float32)
    for start, length_s in TURNS:
        sound = speech(length_s)
        list(spans.push(start, sound))
        list(spans.end_turn(start + len(sound) + PAUSE))
        jobs = settle(spans, encoder)
        assert {len(job.samples) for job in jobs} == {DELAY_BLOCKS * BLOCK}
        heard = np.concatenate([job.samples[: job.frames * 160] for job in jobs])
        np.testing.assert_array_equal(heard, np.concatenate([sound, margin]))


def test_a_chunk_that_fails_takes_what_was_in_the_graph_and_no_more(
    spans: FrameSpans, encoder: Encoder
) -> None:
    def reply(job: FramesJob) -> Result:
        if job.due == S:  # the second chunk
            return JobFailure(job.number, "out of memory")
        return embedded(job, encoder)

    marks = [*spans.push(0, speech(3.0)), *spans.end_turn(4 * S)]
    settle(spans, encoder, reply)
    assert spans.ready == marks[-1].position == 3 * S
    assert spans.failure(0, S) == "out of memory"
    assert spans.failure(S, 2 * S) is None
    assert spans.failure(0, 3 * S) is None  # two thirds of it are known
    with pytest.raises(LookupError):
        spans.heard([(0, S)])[0]
    rest = encoder.embed(speech(3.0)[None, S:])
    np.testing.assert_allclose(spans.heard([(0, 3 * S)])[0], rest, atol=TOLERANCE)


def test_an_answer_nobody_asked_for_is_refused(spans: FrameSpans) -> None:
    nothing = np.zeros(0, np.float32)
    with pytest.raises(KeyError):
        spans.receive_result(FramesResult(1, nothing, nothing, nothing))


@pytest.mark.parametrize("less", ["sums", "heads"])
def test_an_answer_of_other_blocks_than_went_in_is_refused(
    spans: FrameSpans, encoder: Encoder, less: str
) -> None:
    """What came after it would be taken to have been said elsewhere."""
    list(spans.push(0, speech(3.0)))
    (job,) = spans.jobs(0)
    assert isinstance(job, FramesJob)
    result = embedded(job, encoder)
    assert isinstance(result, FramesResult)
    with pytest.raises(ValueError, match="blocks"):
        spans.receive_result(replace(result, **{less: getattr(result, less)[:-1]}))


def test_old_blocks_are_merged_and_old_spans_stay_what_they_were(
    spans: FrameSpans, encoder: Encoder
) -> None:
    sound = speech(0.1 + 100.0)
    for start in range(0, len(sound), S):
        for mark in spans.push(start, sound[start : start + S]):
            settle(spans, encoder)
            spans.settle(mark.position)
    assert len(spans._blocks) < 100 + 50 + 100 + 60
    position = spans.ready
    for back_s in (0.7, 8.0, 30.0, 50.0):
        start = position - round(back_s * S)
        if back_s > 10:
            start = start // (S // 2) * (S // 2)  # of old speech, half seconds are kept
        alone = encoder.embed(sound[None, start:position])
        found = spans.heard([(start, position)])[0]
        np.testing.assert_allclose(found, alone, atol=5e-6)
    everything = encoder.embed(sound[None, :position])
    np.testing.assert_allclose(spans.heard([(0, position)])[0], everything, atol=2e-5)


def test_how_spans_were_heard_is_told_where_the_graph_says_it(
    frames_bundle: Bundle, encoder: Encoder
) -> None:
    figures = msgspec.structs.replace(FIGURES, heads=("overlap_logit", "snr_db", "c50_db"))
    manifest = msgspec.structs.replace(frames_bundle.manifest, frames=figures)
    known = FrameSpans(SpanPooling(replace(frames_bundle, manifest=manifest)), 0.5)

    def heads(number: Float32) -> list[Float32]:
        return [np.full_like(number, -3), number, 30 - number]

    list(known.push(0, speech(2.0)))
    list(known.end_turn(3 * S))
    settle(known, encoder, saying(encoder, heads))
    asked = [(0, 2 * S), (4 * BLOCK, 7 * BLOCK)]
    np.testing.assert_allclose(known.heard(asked)[1][:, :2], [[9.5, 20.5], [5, 25]])
    again = FrameSpans.restore(known._pooling, known.save())
    np.testing.assert_array_equal(again.heard(asked)[1], known.heard(asked)[1])


def test_how_spans_were_heard_is_not_known_by_a_graph_that_does_not_say_it(
    spans: FrameSpans, encoder: Encoder
) -> None:
    list(spans.push(0, speech(3.0)))
    settle(spans, encoder)
    assert np.all(np.isnan(spans.heard([(0, S), (S, 2 * S)])[1][:, :2]))


def test_blocks_in_which_two_speak_count_for_nobody(
    frames_bundle: Bundle, encoder: Encoder
) -> None:
    figures = msgspec.structs.replace(FIGURES, heads=("snr_db", "overlap_logit"))
    manifest = msgspec.structs.replace(frames_bundle.manifest, frames=figures)
    spans = FrameSpans(SpanPooling(replace(frames_bundle, manifest=manifest)), 0.5)

    def heads(number: Float32) -> list[Float32]:
        return [number, np.where((number >= 7) & (number < 12), 3.0, -2.0)]

    sound = speech(2.0)
    list(spans.push(0, sound))
    list(spans.end_turn(3 * S))
    settle(spans, encoder, saying(encoder, heads))
    clean = np.concatenate([sound[: 7 * BLOCK], sound[12 * BLOCK :]])
    found = spans.heard([(0, 2 * S), (7 * BLOCK, 12 * BLOCK)])[0]
    np.testing.assert_allclose(found[0], encoder.embed(clean[None])[0], atol=TOLERANCE)
    alone = encoder.embed(sound[None, 7 * BLOCK : 12 * BLOCK])[0]
    np.testing.assert_allclose(found[1], alone, atol=TOLERANCE)  # there are no others in it
    said = spans.heads(6 * BLOCK, 9 * BLOCK)
    assert said.names == ("snr_db", "overlap_logit")
    assert said.starts == (6 * BLOCK, 7 * BLOCK, 8 * BLOCK)
    np.testing.assert_array_equal(said.values, [[6, -2], [7, 3], [8, 3]])
    again = FrameSpans.restore(spans._pooling, spans.save())
    np.testing.assert_array_equal(again.heads(0, 2 * S).values, spans.heads(0, 2 * S).values)
    np.testing.assert_array_equal(again.heard([(0, 2 * S)])[0], found[:1])


GOES_ON = """
import sys
from pathlib import Path
import numpy as np
from engine.model.bundle import load_bundle
from engine.model.encoder import Encoder
from engine.model.frames import SpanPooling
from engine.serving.inference import answer_one
from engine.speech.vad import SileroVad
from engine.spans.frames import FrameSpans

bundle = load_bundle(Path(sys.argv[1]))
encoder, pooling = Encoder(bundle, "cpu"), SpanPooling(bundle)
spans = FrameSpans.restore(pooling, Path(sys.argv[2]).read_bytes())
rest = np.load(sys.argv[3])
list(spans.push(spans.timeline.media, rest))
list(spans.end_turn(spans.timeline.media + 9600))
while jobs := spans.jobs(1):
    spans.receive_result(answer_one(jobs[0], encoder, None))
asked = [(0, spans.position), (spans.position - 8000, spans.position)]
found = spans.heard(asked, margins=True)[0]
np.save(sys.argv[4], found)
"""


@pytest.mark.parametrize("under_way", [False, True])
def test_a_stream_goes_on_in_another_process_bit_for_bit(
    frames_bundle: Bundle, encoder: Encoder, tmp_path: Path, under_way: bool
) -> None:
    pooling, sound = SpanPooling(frames_bundle), speech(5.2)
    whole, moved = FrameSpans(pooling, 0.5), FrameSpans(pooling, 0.5)
    list(whole.push(700, sound))
    list(whole.end_turn(700 + len(sound) + PAUSE))
    settle(whole, encoder)
    list(moved.push(700, sound[:40_000]))
    if under_way:  # two chunks are planned, and the first of them runs
        assert moved.jobs(1)
    else:
        settle(moved, encoder)
    places = [tmp_path / name for name in ("stream", "rest.npy", "found.npy")]
    places[0].write_bytes(moved.save())
    np.save(places[1], sound[40_000:])
    arguments = [str(frames_bundle.folder), *map(str, places)]
    subprocess.run([sys.executable, "-c", GOES_ON, *arguments], check=True)
    asked = [(0, whole.position), (whole.position - 8000, whole.position)]
    np.testing.assert_array_equal(np.load(places[2]), whole.heard(asked, margins=True)[0])
