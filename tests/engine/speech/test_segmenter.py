"""The segmenter: spans cover the sound once, cut at every period, for any chunking."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.pcm import PcmDecoder
from engine.format import FRAME_SAMPLES
from engine.jobs import VadResult
from engine.speech.gate import GateConfig
from engine.speech.segmenter import FRAMES_IN_SILENCE, Segmenter, Span

PERIOD = 10 * FRAME_SAMPLES // 4  # not a whole number of frames
LEVELS = st.lists(st.tuples(st.sampled_from([0, 9000]), st.integers(1, 9000)), max_size=8)


def listen(pieces: list[np.ndarray]) -> list[Span]:
    segmenter, spans = Segmenter(PcmDecoder(), GateConfig(), period=PERIOD), []
    for piece in [*pieces, None]:
        if piece is None:
            spans += segmenter.receive_eof()
        else:
            segmenter.receive_pcm(piece.astype("<i2").tobytes())
        while (job := segmenter.job(1)) is not None:
            assert segmenter.detecting(1)
            loud = np.abs(job.frames).max(axis=1) > 0.1
            result = VadResult(1, loud.astype(np.float32), job.state)
            spans += segmenter.receive_result(result)
    assert segmenter.finished
    assert not segmenter.waiting
    return spans


@given(LEVELS, st.lists(st.integers(0, 40_000), max_size=6))
def test_stretches_cover_the_sound_once_and_edges_do_not_depend_on_the_pieces(
    levels: list[tuple[int, int]], cuts: list[int]
) -> None:
    sound = np.concatenate([np.zeros(0), *(np.resize([level, -level], n) for level, n in levels)])
    edges = sorted({0, len(sound), *(min(c, len(sound)) for c in cuts)})
    whole, split = listen([sound]), listen([sound[a:b] for a, b in pairwise(edges)])
    for spans in (whole, split):
        joined = np.concatenate([np.zeros(0), *(s.samples for s in spans)])
        np.testing.assert_array_equal(joined, (sound / 32768).astype(np.float32))
        assert all(a.end == b.start for a, b in pairwise(spans))
        assert all(s.start // PERIOD == (max(s.end, s.start + 1) - 1) // PERIOD for s in spans)
    marked = [
        [(s.start, s.end, s.started, s.ended) for s in spans if s.started or s.ended]
        for spans in (whole, split)
    ]
    assert marked[0] == marked[1]


def test_the_last_frame_is_filled_up_with_silence() -> None:
    segmenter = Segmenter(PcmDecoder(), GateConfig(), period=PERIOD)
    samples = FRAMES_IN_SILENCE * FRAME_SAMPLES + 188
    segmenter.receive_pcm(np.resize([9000, -9000], samples).astype("<i2").tobytes())
    first = segmenter.job(1)
    assert first is not None
    assert len(first.frames) == FRAMES_IN_SILENCE
    assert segmenter.job(2) is None  # one at a time
    list(
        segmenter.receive_result(VadResult(1, np.zeros(FRAMES_IN_SILENCE, np.float32), first.state))
    )
    assert not segmenter.waiting
    list(segmenter.receive_eof())
    last = segmenter.job(2)
    assert last is not None
    assert np.count_nonzero(last.frames) == 188


def test_in_silence_frames_are_gathered_and_in_speech_they_are_not() -> None:
    segmenter = Segmenter(PcmDecoder(), GateConfig(), period=PERIOD)
    frame, given_out = bytes(2 * FRAME_SAMPLES), []
    answers = iter([0.0] * (FRAMES_IN_SILENCE - 1) + [0.9] * 3 + [0.0] * 20)
    alone = GateConfig().open_frames + GateConfig().close_frames
    for _ in range(3 * FRAMES_IN_SILENCE + alone):
        segmenter.receive_pcm(frame)
        if job := segmenter.job(1):
            count = len(job.frames)
            given_out.append(count)
            answer = np.array([next(answers) for _ in range(count)], np.float32)
            list(segmenter.receive_result(VadResult(1, answer, job.state)))
    # The last frame of the first job is loud: each that follows goes out by itself, until the
    # gate is shut.
    assert given_out == [FRAMES_IN_SILENCE, *[1] * alone, FRAMES_IN_SILENCE, FRAMES_IN_SILENCE]


def test_sound_after_the_end_is_refused() -> None:
    segmenter = Segmenter(PcmDecoder(), GateConfig(), period=PERIOD)
    list(segmenter.receive_eof())
    with pytest.raises(RuntimeError, match="has ended"):
        segmenter.receive_pcm(b"\0\0")


def answer(segmenter: Segmenter) -> list[Span]:
    spans: list[Span] = []
    while (job := segmenter.job(1)) is not None:
        loud = (np.abs(job.frames).max(axis=1) > 0.1).astype(np.float32)
        spans += segmenter.receive_result(VadResult(1, loud, job.state))
    return spans


@pytest.mark.parametrize("late", [False, True], ids=["answered at once", "answered at the end"])
@pytest.mark.parametrize("silent_frames", [4, 20])  # within the hangover and after it
def test_who_waits_is_told_by_the_end_of_the_frame(silent_frames: int, late: bool) -> None:
    segmenter = Segmenter(PcmDecoder(), GateConfig(), period=100 * FRAME_SAMPLES)
    loud = np.resize([9000, -9000], 20 * FRAME_SAMPLES).astype("<i2")
    silent = np.zeros(silent_frames * FRAME_SAMPLES + 100, "<i2")
    spans: list[Span] = []
    for sound in (loud, silent):
        segmenter.receive_pcm(sound.tobytes())
        spans += [] if late else answer(segmenter)
    asked = segmenter.received
    spans += segmenter.settle()
    segmenter.receive_pcm(bytes(2 * (FRAME_SAMPLES - 100)))
    spans += answer(segmenter)
    assert segmenter.ruled >= asked
    ends = [span.end // FRAME_SAMPLES for span in spans if span.ended]
    assert ends == [20 + GateConfig().padding_frames]


def test_a_detection_that_somebody_waits_for_is_urgent_and_gathers_nothing() -> None:
    segmenter = Segmenter(PcmDecoder(), GateConfig(), period=PERIOD)
    segmenter.receive_pcm(bytes(2 * FRAME_SAMPLES))
    assert segmenter.job(1) is None
    list(segmenter.settle())
    job = segmenter.job(1)
    assert job is not None
    assert job.urgent
    list(segmenter.receive_result(VadResult(1, np.zeros(1, np.float32), job.state)))
    assert segmenter.ruled == segmenter.received
    segmenter.receive_pcm(bytes(2 * FRAME_SAMPLES * FRAMES_IN_SILENCE))
    job = segmenter.job(2)
    assert job is not None
    assert not job.urgent


@pytest.mark.parametrize("silent_frames", range(9, 17))
def test_what_ends_a_turn_waits_for_no_more_silence(silent_frames: int) -> None:
    segmenter = Segmenter(PcmDecoder(), GateConfig(), period=100 * FRAME_SAMPLES)
    segmenter.receive_pcm(np.resize([9000, -9000], 20 * FRAME_SAMPLES).astype("<i2").tobytes())
    answer(segmenter)
    ends = (20 + silent_frames) * FRAME_SAMPLES - 100
    needed = silent_frames + GateConfig().padding_frames
    urgent = []
    for _ in range(needed):
        segmenter.receive_pcm(bytes(2 * FRAME_SAMPLES))
        segmenter.wait_for(ends)
        while (job := segmenter.job(1)) is not None:
            urgent.append(job.urgent)
            list(segmenter.receive_result(VadResult(1, np.zeros(len(job.frames)), job.state)))
    assert segmenter.ruled >= ends
    assert urgent[-1]
    assert not any(urgent[:-1])
    segmenter.receive_pcm(bytes(2 * FRAME_SAMPLES))
    assert segmenter.job(1) is None  # Afterwards frames gather as before.
