"""The silence behind a turn: it counts where the turn is judged by itself, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile as sf
from driven_spans import PAUSE, Float32, S, embedded, saying, settle, speech
from frames_model import BLOCK, FIGURES, MARGIN_BLOCKS

from engine.jobs import FramesJob, JobFailure, Result
from engine.model.bundle import Bundle, load_bundle
from engine.model.encoder import Encoder
from engine.model.frames import SpanPooling
from engine.spans.frames import FrameSpans

DEMO_VOICES = Path(__file__).parents[3] / "scripts" / "demo_voices"


@pytest.mark.parametrize("hop_s", [0.1, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("length_s", [0.07, 0.1, 0.3, 1.0, 1.03, 1.17, 2.5])
def test_no_turn_is_known_to_its_end_before_the_margin_behind_it_is(
    frames_bundle: Bundle, encoder: Encoder, hop_s: float, length_s: float
) -> None:
    spans, sound = FrameSpans(SpanPooling(frames_bundle), hop_s), speech(length_s)
    for start in (0, 10 * S):
        marks = [*spans.push(start, sound), *spans.end_turn(start + len(sound) + PAUSE)]
        while spans.waiting_since is not None:
            assert spans.ready < marks[-1].position
            (job,) = spans.jobs(1)
            assert isinstance(job, FramesJob)
            spans.receive_result(embedded(job, encoder))
        assert spans.ready == marks[-1].position
        # Every frame that counts weighs one in this model. What the last block has room for of the
        # margin counts with it.
        known, margin = spans._margins.last, MARGIN_BLOCKS * BLOCK // 160
        room = -len(sound) % BLOCK // 160
        assert (known.turn, known.end) == (marks[-1].turn, spans.ready)
        assert known.sums[0, 0] == margin - room
        new = spans._blocks.places[:, 2] == known.turn
        assert spans._blocks.sums[new, 0, 0].sum() == len(sound) // 160 + room


def test_a_margin_counts_where_a_span_within_the_turn_reaches_its_end(
    spans: FrameSpans, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths_s = (2.34, 0.3, 1.5)
    for number, length_s in enumerate(lengths_s):
        list(spans.push(4 * number * S, speech(length_s, number)))
        list(spans.end_turn(4 * number * S + round(length_s * S) + PAUSE))
    settle(spans, encoder)
    asked: list[Float32] = []
    embed = spans._pooling.embed

    def noted(sums: Float32) -> tuple[Float32, Float32]:
        asked.append(sums[:, 0, 0])
        return embed(sums)

    monkeypatch.setattr(spans._pooling, "embed", noted)
    first, last = round(2.34 * S) + round(0.3 * S), spans.position
    inside, before = first + 5 * BLOCK, first - 3 * BLOCK
    cut = [(first, last), (first, inside), (inside, last), (inside, inside + BLOCK), (before, last)]
    for margins in (False, True):
        spans.heard(cut, margins=margins)
    margin = MARGIN_BLOCKS * BLOCK // 160
    assert (asked[1] - asked[0]).tolist() == [margin, 0, margin, 0, 0]


def test_where_another_voice_speaks_at_the_end_of_a_turn_its_margin_counts_for_nobody(
    frames_bundle: Bundle, encoder: Encoder
) -> None:
    figures = msgspec.structs.replace(FIGURES, heads=("snr_db", "overlap_logit"))
    manifest = msgspec.structs.replace(frames_bundle.manifest, frames=figures)
    for first, margins in ((5, 0), (4, 1)):  # blocks in which two speak, of ten
        spans = FrameSpans(SpanPooling(replace(frames_bundle, manifest=manifest)), 0.5)

        def heads(number: Float32, first: int = first) -> list[Float32]:
            return [number, np.where((number >= first) & (number < first + 5), 3.0, -2.0)]

        list(spans.push(0, speech(1.0)))
        list(spans.end_turn(2 * S))
        settle(spans, encoder, saying(encoder, heads))
        assert len(spans._margins) == margins


@pytest.mark.parametrize("answered", [3, 4, 5])
def test_margins_are_restored_with_the_stream(
    frames_bundle: Bundle, encoder: Encoder, answered: int
) -> None:
    """Those that have come out in part and those that have whole, of one turn and of the next."""
    pooling, sound = SpanPooling(frames_bundle), speech(1.4)
    whole = FrameSpans(pooling, 0.5)
    moved = FrameSpans(pooling, 0.5)
    for spans in (whole, moved):
        for start in (0, 4 * S):
            list(spans.push(start, sound))
            list(spans.end_turn(start + 2 * S))
    settle(whole, encoder)
    for number in range(5 + answered):
        (job,) = moved.jobs(number)
        moved.receive_result(embedded(job, encoder))
    again = FrameSpans.restore(pooling, moved.save())
    settle(again, encoder)
    assert len(again._margins) == 2
    assert again._margins.saved() == whole._margins.saved()


def test_the_margin_of_a_turn_whose_end_is_lost_is_lost_with_it(
    spans: FrameSpans, encoder: Encoder
) -> None:
    def reply(job: FramesJob) -> Result:
        answered.append(job)
        if len(answered) == 3:  # in the graph is the end, and of the margin behind it one block
            return JobFailure(job.number, "out of memory")
        return embedded(job, encoder)

    answered: list[FramesJob] = []
    marks = [*spans.push(0, speech(1.4)), *spans.end_turn(2 * S)]
    assert [chunk.after for chunk in spans._planned] == [0, 0, BLOCK, BLOCK, 0]
    settle(spans, encoder, reply)
    assert len(answered) == 5
    assert spans.ready == marks[-1].position
    assert len(spans._margins) == 0
    assert spans._blocks.sums[:, 0, 0].tolist() == [10] * 5


@pytest.mark.parametrize("length_s", [0.6, 1.0, 2.0])
def test_a_turn_is_judged_by_what_the_end_of_its_speech_tells(length_s: float) -> None:
    """By the model that ships: the end comes out with the silence behind it."""
    bundle = load_bundle()
    encoder, spans = Encoder(bundle, "cpu"), FrameSpans(SpanPooling(bundle), 0.5)
    figures = bundle.manifest.frames
    assert figures is not None
    sound, rate_hz = sf.read(DEMO_VOICES / "anna.ogg", dtype="float32")
    assert rate_hz == S
    sound = sound[S : S + round(length_s * S)]
    list(spans.push(0, sound))
    list(spans.end_turn(len(sound) + PAUSE))
    settle(spans, encoder)
    blocks, margin = len(sound) // BLOCK, figures.margin_blocks
    silence = np.zeros((figures.delay_blocks + margin) * BLOCK, np.float32)
    counted, nothing = len(sound) // 160 + margin * 10, np.zeros((1, figures.state_size))
    whole = np.concatenate([sound, silence])[None]
    found = encoder.run_frames(whole, np.array([counted]), nothing.astype(np.float32)).sums
    sums = found[:, figures.delay_blocks :]
    for margins, last in ((False, blocks), (True, blocks + margin)):
        expected, _ = spans._pooling.embed(sums[:, :last].sum(axis=1))
        told, _ = spans.heard([(0, len(sound))], margins=margins)
        np.testing.assert_allclose(told, expected, atol=1e-4)
