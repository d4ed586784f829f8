from __future__ import annotations

import numpy as np
import pytest

from engine.model.bundle import Bundle
from engine.model.encoder import Encoder
from engine.model.frames import SpanPooling
from engine.scoring.scorer import CalibratedScorer
from engine.serving.inference import answer_one
from engine.spans.frames import FrameSpans
from engine.speech.vad import SileroVad
from models.calibration.evidence_streams import Talk
from models.calibration.stream_spans import BATCH, spoken
from tests.models.calibration.conftest import RATE, Ends, followed, noise, other


def test_a_span_is_of_the_sound_where_it_lies(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer
) -> None:
    stream, sound = followed(talk, [talk, other(talk, 1)], encoder, scorer)
    assert [mark.position for mark in stream.marks] == [
        *range(RATE, len(sound) + 1, RATE // 2),
        len(sound),
    ]
    for mark in stream.marks[:-1]:
        span = max(0, mark.position - 3 * RATE), mark.position
        (found,) = stream.spans.heard([span])[0]
        ends = sound[[span[0], span[1] - 1]]
        np.testing.assert_allclose(found[:2], ends / np.linalg.norm(ends), rtol=1e-5)


def test_windows_of_one_length_share_a_batch_of_some_size(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer
) -> None:
    followed(talk, [talk, other(talk, 1, 4.9)], encoder, scorer)
    assert {rows for rows, _ in encoder.batches} == {1, BATCH}
    assert max(rows for rows, _ in encoder.batches) == BATCH


def test_a_frames_graph_gives_every_span(frames_bundle: Bundle) -> None:
    encoder = Encoder(frames_bundle, "cpu")
    sound = (0.1 * np.random.default_rng(0).standard_normal(7 * RATE)).astype(np.float32)
    stream, marks = spoken(sound, encoder)
    assert [mark.position for mark in marks] == [*range(RATE // 2, len(sound), RATE // 2), 7 * RATE]
    assert [mark.at - mark.position for mark in marks[-3:]] == [RATE // 2, RATE // 2, 0]
    # This graph hears no block but the own one, so that a span by itself is the same.
    spans = [(0, RATE), (2 * RATE, 5 * RATE), (RATE // 2, 7 * RATE)]
    expected = [encoder.embed(sound[None, a:b])[0] for a, b in spans]
    np.testing.assert_allclose(stream.heard(spans)[0], np.stack(expected), atol=1e-4)


def test_spans_were_heard_as_live_ones_and_as_waveforms_are(heard_bundle: Bundle) -> None:
    encoder = Encoder(heard_bundle, "cpu")
    loudness = np.repeat(np.geomspace(0.02, 0.5, 7), RATE)
    sound = (loudness * np.random.default_rng(0).standard_normal(7 * RATE)).astype(np.float32)
    spans = [(0, RATE), (2 * RATE, 5 * RATE), (RATE // 2, 7 * RATE)]
    stream, _ = spoken(sound, encoder)
    expected = np.stack([encoder.hear(sound[None, a:b])[1][0] for a, b in spans])
    assert np.ptp(expected[:, 0]) > 2
    found = stream.heard(spans)[1]
    np.testing.assert_allclose(found[:, :2], expected[:, :2], rtol=1e-4)
    live, vad = FrameSpans(SpanPooling(heard_bundle), 0.5), SileroVad()
    list(live.push(0, sound))
    list(live.end_turn(len(sound)))
    while jobs := live.jobs(0):
        live.receive_result(answer_one(jobs[0], encoder, vad))
    np.testing.assert_allclose(live.heard(spans)[1], found, rtol=1e-4)
    assert not np.allclose(found[:, 2], expected[:, 2], rtol=1e-2)  # which have margins


def test_windows_do_not_say_how_they_were_heard(encoder: Ends) -> None:
    stream, _ = spoken(noise(0, 5.0), encoder)
    assert np.all(np.isnan(stream.heard([(0, RATE), (RATE, 3 * RATE)])[1]))


def test_long_pauses_end_turns_as_they_do_live(frames_bundle: Bundle) -> None:
    """The next one is computed as the first is."""
    encoder, sound = Encoder(frames_bundle, "cpu"), noise(0, 5.0)
    stream, marks = spoken(sound, encoder, [(RATE, 0.25), (3 * RATE, 2.0)])
    assert {mark.turn for mark in marks} == {0, 3 * RATE}
    assert [mark.position for mark in marks if mark.ends_turn] == [3 * RATE, 5 * RATE]
    assert [mark.at for mark in marks] == sorted(mark.at for mark in marks)
    live = FrameSpans(SpanPooling(frames_bundle), 0.5)
    for start, piece in ((0, sound[: 3 * RATE]), (5 * RATE, sound[3 * RATE :])):
        list(live.push(start, piece))
        list(live.end_turn(start + len(piece)))
    while jobs := live.jobs(0):
        live.receive_result(answer_one(jobs[0], encoder, SileroVad()))
    spans = [(0, 3 * RATE), (3 * RATE, 5 * RATE), (2 * RATE, 4 * RATE)]
    np.testing.assert_array_equal(stream.heard(spans)[0], live.heard(spans)[0])


@pytest.mark.parametrize("kind", ["frames", "windows"])
def test_speech_with_pauses_lies_where_it_was_said(
    kind: str, frames_bundle: Bundle, encoder: Ends
) -> None:
    heard = Encoder(frames_bundle, "cpu") if kind == "frames" else encoder
    pauses = [(RATE, 0.25), (3 * RATE, 2.0)]
    stream, marks = spoken(noise(0, 5.0), heard, pauses)
    assert stream.timeline.begins(RATE) == 1.25 * RATE
    assert stream.timeline.ends(3 * RATE) == 3.25 * RATE
    assert stream.timeline.begins(3 * RATE) == 5.25 * RATE
    assert marks[-1].position == stream.timeline.position == 5 * RATE
