"""The listener: stretches cover the sound once, cut at every period, for any chunking."""

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
from engine.speech.segmenter import FRAMES_IN_SILENCE, Listener, Stretch

PERIOD = 10 * FRAME_SAMPLES // 4  # not a whole number of frames
LEVELS = st.lists(st.tuples(st.sampled_from([0, 9000]), st.integers(1, 9000)), max_size=8)


def listen(pieces: list[np.ndarray]) -> list[Stretch]:
    listener, stretches = Listener(PcmDecoder(), GateConfig(), period=PERIOD), []
    for piece in [*pieces, None]:
        if piece is None:
            stretches += listener.receive_eof()
        else:
            listener.receive_pcm(piece.astype("<i2").tobytes())
        while (job := listener.job(1)) is not None:
            assert listener.detecting(1)
            loud = np.abs(job.frames).max(axis=1) > 0.1
            result = VadResult(1, loud.astype(np.float32), job.state)
            stretches += listener.receive_result(result)
    assert listener.finished
    assert not listener.waiting
    return stretches


@given(LEVELS, st.lists(st.integers(0, 40_000), max_size=6))
def test_stretches_cover_the_sound_once_and_edges_do_not_depend_on_the_pieces(
    levels: list[tuple[int, int]], cuts: list[int]
) -> None:
    sound = np.concatenate([np.zeros(0), *(np.full(n, level) for level, n in levels)])
    edges = sorted({0, len(sound), *(min(c, len(sound)) for c in cuts)})
    whole, split = listen([sound]), listen([sound[a:b] for a, b in pairwise(edges)])
    for stretches in (whole, split):
        joined = np.concatenate([np.zeros(0), *(s.samples for s in stretches)])
        np.testing.assert_array_equal(joined, (sound / 32768).astype(np.float32))
        assert all(a.end == b.start for a, b in pairwise(stretches))
        assert all(s.start // PERIOD == (max(s.end, s.start + 1) - 1) // PERIOD for s in stretches)
    marked = [
        [(s.start, s.end, s.started, s.ended) for s in stretches if s.started or s.ended]
        for stretches in (whole, split)
    ]
    assert marked[0] == marked[1]


def test_the_last_frame_is_filled_up_with_silence() -> None:
    listener = Listener(PcmDecoder(), GateConfig(), period=PERIOD)
    samples = FRAMES_IN_SILENCE * FRAME_SAMPLES + 188
    listener.receive_pcm(np.full(samples, 9000, "<i2").tobytes())
    first = listener.job(1)
    assert first is not None
    assert len(first.frames) == FRAMES_IN_SILENCE
    assert listener.job(2) is None  # one at a time
    list(
        listener.receive_result(VadResult(1, np.zeros(FRAMES_IN_SILENCE, np.float32), first.state))
    )
    assert not listener.waiting
    list(listener.receive_eof())
    last = listener.job(2)
    assert last is not None
    assert np.count_nonzero(last.frames) == 188


def test_in_silence_frames_are_gathered_and_in_speech_they_are_not() -> None:
    listener = Listener(PcmDecoder(), GateConfig(), period=PERIOD)
    frame, given_out = bytes(2 * FRAME_SAMPLES), []
    answers = iter([0.0] * (FRAMES_IN_SILENCE - 1) + [0.9] * 3 + [0.0] * 20)
    alone = GateConfig().open_frames + GateConfig().close_frames
    for _ in range(3 * FRAMES_IN_SILENCE + alone):
        listener.receive_pcm(frame)
        if job := listener.job(1):
            count = len(job.frames)
            given_out.append(count)
            answer = np.array([next(answers) for _ in range(count)], np.float32)
            list(listener.receive_result(VadResult(1, answer, job.state)))
    # The last frame of the first job is loud: each that follows goes out by itself, until the
    # gate is shut.
    assert given_out == [FRAMES_IN_SILENCE, *[1] * alone, FRAMES_IN_SILENCE, FRAMES_IN_SILENCE]


def test_sound_after_the_end_is_refused() -> None:
    listener = Listener(PcmDecoder(), GateConfig(), period=PERIOD)
    list(listener.receive_eof())
    with pytest.raises(RuntimeError, match="has ended"):
        listener.receive_pcm(b"\0\0")
