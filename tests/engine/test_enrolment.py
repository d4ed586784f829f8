"""Enrolment: one voice, enough of it, and well recorded; anything else is refused."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile as sf
from fake_scorers import CLEAR, fake_scorer
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.pcm import PcmDecoder
from engine.enrolment import Enrolment
from engine.enrolment_demands import SHORT_ENROLMENT, EnrolmentConfig
from engine.events import AnyEvent, Enrolled, Failure, Progress, Refused
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import EmbedJob, EmbedResult, Job, JobFailure, Result, VadJob, VadResult
from engine.model.bundle import load_bundle
from engine.model.encoder import Encoder
from engine.scoring.scorer import CalibratedScorer
from engine.scoring.voiceprints import Prototype, Voiceprint
from engine.serving.inference import answer_one, settle
from engine.speech.vad import SileroVad

SIZE = 8
SCORER = fake_scorer(SIZE)
Models = tuple[Encoder, SileroVad]
DEMO_VOICES = Path(__file__).parents[2] / "scripts" / "demo_voices"


def axis(samples: np.ndarray) -> np.ndarray:
    """A voice is the level of its samples: one axis for each tenth."""
    embedding = np.zeros(SIZE, np.float32)
    embedding[round(float(np.median(np.abs(samples))) * 10) % SIZE] = 1.0
    return embedding


def answer(job: Job) -> Result:
    if isinstance(job, VadJob):
        return VadResult(job.number, (np.abs(job.frames).mean(axis=1) > 0.1) * 1.0, job.state)
    return EmbedResult(job.number, axis(job.samples))


def pcm(*parts: tuple[float, float]) -> bytes:
    """Parts of (level, seconds) as s16le."""
    levels = [np.resize([level, -level], round(s * SAMPLE_RATE_HZ)) for level, s in parts]
    return (np.concatenate(levels) * 32767).astype("<i2").tobytes()


def enrol(
    pieces: list[bytes], enrolment: Enrolment | None = None, *, seed: int = 0, fail: int = 0
) -> list[AnyEvent]:
    """Answers come in random order; the first ``fail`` windows cannot be embedded."""
    enrolment, rng = enrolment or Enrolment(SCORER), np.random.default_rng(seed)
    events: list[AnyEvent] = []
    pending: list[Job] = []
    for piece in [*pieces, None]:
        if piece is None:
            enrolment.receive_eof()
        else:
            enrolment.receive_pcm(piece)
        pending += enrolment.jobs_to_run()
        while pending:
            job = pending.pop(int(rng.integers(len(pending))))
            failing = fail and isinstance(job, EmbedJob) and job.due <= fail * 2.5 * 16_000 + 8000
            enrolment.receive_result(JobFailure(job.number, "busy") if failing else answer(job))
            pending += enrolment.jobs_to_run()
            events += enrolment.events()
    events += enrolment.events()
    assert not enrolment.waiting
    assert not enrolment.waiting
    assert all(not isinstance(e, Enrolled | Refused) for e in events[:-1])
    return events


def refusal(*parts: tuple[float, float]) -> Refused:
    last = enrol([pcm(*parts)])[-1]
    assert isinstance(last, Refused)
    return last


SPOKEN = pcm((0.0, 0.7), (0.2, 9.0), (0.0, 1.0), (0.2, 14.0))


def test_enough_speech_of_one_voice_becomes_a_prototype() -> None:
    enrolment = Enrolment(SCORER)
    events = enrol([SPOKEN], enrolment)
    last = events[-1]
    assert isinstance(last, Enrolled)
    assert (last.net_speech_s, last.prototypes) == (20.0, 1)
    assert last.agreement == pytest.approx(1.0)
    assert last.t == pytest.approx(21.5, abs=0.5)  # not at the end of the sound
    (prototype,) = enrolment.prototypes
    assert prototype.speech_s == 20.0
    np.testing.assert_allclose(prototype.embedding, axis(np.full(9, 0.2)), atol=1e-6)


@settings(max_examples=15)
@given(st.lists(st.integers(0, len(SPOKEN)), max_size=8), st.integers(0, 2**31))
def test_any_chunking_and_any_order_of_results_give_the_same_events(
    cuts: list[int], seed: int
) -> None:
    edges = sorted({0, len(SPOKEN), *cuts})
    pieces = [SPOKEN[a:b] for a, b in pairwise(edges)]
    assert msgspec.to_builtins(enrol(pieces, seed=seed)) == msgspec.to_builtins(enrol([SPOKEN]))


def test_progress_is_told_twice_a_second_and_rises_to_the_end() -> None:
    events = enrol([SPOKEN])
    progress = [e for e in events if isinstance(e, Progress)]
    assert set(np.round(np.diff([e.t for e in progress]), 3)) == {0.512}
    assert [e.percent for e in progress] == sorted(e.percent for e in progress)
    assert progress[-1].percent >= 97
    assert {e.needed_s for e in progress} == {20.0}
    assert "no-speech" in progress[0].problems


def test_the_end_of_the_sound_will_do_after_the_least() -> None:
    last = enrol([pcm((0.2, 10.5))])[-1]
    assert isinstance(last, Enrolled)
    assert last.net_speech_s == 10.0


@pytest.mark.parametrize(("spoken_s", "used_s"), [(3.2, 3.3), (4.5, 4.6), (6.0, 5.0), (12.0, 10.0)])
def test_how_much_is_asked_for_does_not_change_the_voiceprint(
    spoken_s: float, used_s: float
) -> None:
    """Little speech is used whole, but for what is left over behind two parts and more."""
    embeddings = []
    for least_s in (3.0, used_s - 0.1):
        enrolment = Enrolment(SCORER, config=EnrolmentConfig(min_s=least_s))
        last = enrol([pcm((0.0, 0.7), (0.2, spoken_s), (0.0, 1.0))], enrolment)[-1]
        assert isinstance(last, Enrolled)
        assert last.net_speech_s == pytest.approx(used_s, abs=0.1)
        embeddings.append(enrolment.prototypes[0].embedding)
    np.testing.assert_array_equal(*embeddings)


def test_a_single_short_part_is_all_that_there_is() -> None:
    enrolment = Enrolment(SCORER, config=EnrolmentConfig(min_s=0.5))
    last = enrol([pcm((0.0, 0.7), (0.2, 1.5), (0.0, 1.0))], enrolment)[-1]
    assert isinstance(last, Enrolled)
    assert last.agreement == 1.0
    assert enrolment.prototypes[0].speech_s == pytest.approx(1.6, abs=0.1)


def test_two_parts_that_overlap_say_nothing_of_the_number_of_voices() -> None:
    enrolment = Enrolment(SCORER, config=SHORT_ENROLMENT)
    assert isinstance(enrol([pcm((0.2, 2.2), (0.5, 2.2))], enrolment)[-1], Enrolled)
    enrolment = Enrolment(SCORER, config=SHORT_ENROLMENT)
    assert isinstance(enrol([pcm((0.2, 2.7), (0.5, 2.7))], enrolment)[-1], Refused)


def test_poor_sound_is_taken_on_request() -> None:
    for parts in ([(0.2, 12.0), (1.0, 0.4), (0.2, 12.0)], [(0.09, 4.0), (0.2, 22.0)]):
        enrolment = Enrolment(SCORER, config=EnrolmentConfig(allow_poor=True))
        assert isinstance(enrol([pcm(*parts)], enrolment)[-1], Enrolled)


def test_sound_after_the_end_is_ignored() -> None:
    enrolment = Enrolment(SCORER)
    enrol([SPOKEN], enrolment)
    enrolment.receive_pcm(SPOKEN)
    assert enrolment.jobs_to_run() == []
    assert list(enrolment.events()) == []


def test_too_short() -> None:
    refused = refusal((0.0, 1.0), (0.2, 6.0))
    assert refused.code == "too-short"
    assert refused.message.startswith("6.1 s of speech: 10 s are needed")


def test_silent() -> None:
    assert refusal((0.0, 4.0)).code == "silent"
    assert "check the microphone, its mute switch" in refusal((0.0, 4.0)).message
    assert refusal((0.05, 4.0)).code == "silent"  # loud enough, but nobody speaks


@pytest.mark.parametrize("level", [0.02, 0.05, 0.08])
def test_no_speech_in_loud_sound_blames_no_mute_switch(level: float) -> None:
    refused = refusal((level, 4.0))
    assert refused.code == "silent"
    assert "find a quieter place" in refused.message
    assert "mute" not in refused.message


def test_clipped() -> None:
    refused = refusal((0.2, 12.0), (1.0, 0.4), (0.2, 12.0))
    assert refused.code == "clipped"
    assert "lower the input level" in refused.message


def test_noisy() -> None:
    assert refusal((0.09, 4.0), (0.2, 22.0)).code == "noisy"
    assert isinstance(enrol([pcm((0.02, 4.0), (0.2, 22.0))])[-1], Enrolled)


@pytest.mark.parametrize("turns", [[(0.2, 12.0), (0.5, 12.0)], [(0.2, 5.0), (0.5, 5.0)] * 3])
def test_several_voices(turns: list[tuple[float, float]]) -> None:
    assert refusal(*turns).code == "several-voices"


@pytest.mark.parametrize(("apart_llr", "taken"), [(-0.8, True), (-1.2, False)])
def test_the_least_alike_parts_of_one_voice_may_be_less_alike_than_chance(
    apart_llr: float, taken: bool
) -> None:
    """Any voice falls into two sets that are a little unlike, and nobody is refused for that."""
    scorer = fake_scorer(SIZE, msgspec.structs.replace(CLEAR, offset=(apart_llr, 0.0, 0.0)))
    turns = [pcm((0.2, 12.0), (0.5, 12.0))]
    assert isinstance(enrol(turns, Enrolment(scorer))[-1], Enrolled if taken else Refused)
    kept = Voiceprint("anna", (Prototype(axis(np.full(9, 0.5)), 20.0),))
    joined = enrol([SPOKEN], Enrolment(scorer, kept=kept))[-1]
    assert isinstance(joined, Enrolled if taken else Refused)


def test_what_joins_others_must_be_the_voice_of_one_of_them() -> None:
    def joined(*levels: float) -> AnyEvent:
        there = [Prototype(axis(np.full(9, level)), 20.0) for level in levels]
        kept = Voiceprint("anna", tuple(there))
        enrolment = Enrolment(SCORER, kept=kept)
        last = enrol([SPOKEN], enrolment)[-1]
        assert bool(enrolment.prototypes) is isinstance(last, Enrolled)
        return last

    assert isinstance(joined(0.2), Enrolled)
    assert isinstance(joined(0.5, 0.2), Enrolled)
    for levels, said in (((0.5,), "the recording it"), ((0.5, 0.7), "all 2 recordings it")):
        refused = joined(*levels)
        assert isinstance(refused, Refused)
        assert refused.code == "several-voices"
        assert f"another voice than in {said} was to join (LLR -5.0)" in refused.message


def test_a_part_that_failed_is_made_up_for_with_more_speech() -> None:
    events = enrol([pcm((0.2, 24.0))], fail=1)
    assert [e.message for e in events if isinstance(e, Failure)] == ["busy"]
    last = events[-1]
    assert isinstance(last, Enrolled)
    assert last.net_speech_s == 20.0
    assert last.t == pytest.approx(22.5, abs=0.1)


def test_a_late_server_does_not_matter() -> None:
    enrolment = Enrolment(SCORER)
    enrolment.set_overload(3.0, 1.0)
    assert msgspec.to_builtins(enrol([SPOKEN], enrolment)) == msgspec.to_builtins(enrol([SPOKEN]))


@pytest.mark.parametrize(
    "bad", [{"part_s": 0.0}, {"min_s": 0.0}, {"min_s": 20.5}, {"needed_s": 4.0, "min_s": 2.0}]
)
def test_lengths_that_cannot_be_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="an enrolment needs"):
        EnrolmentConfig(**bad)


@pytest.fixture(scope="module")
def models() -> Models:
    return Encoder(load_bundle(), "cpu"), SileroVad()


def spoken(name: str) -> np.ndarray:
    return sf.read(DEMO_VOICES / f"{name}.ogg", dtype="float32")[0]


def really(models: Models, sound: np.ndarray, enrolment: Enrolment | None = None) -> AnyEvent:
    enrolment = enrolment or Enrolment(
        CalibratedScorer(load_bundle()), decoder=PcmDecoder("pcm_f32le")
    )
    enrolment.receive_pcm(sound.astype("<f4").tobytes())
    enrolment.receive_eof()
    return list(settle(enrolment, lambda job: answer_one(job, *models)))[-1]


@pytest.mark.parametrize("name", ["anna", "ben"])
def test_the_bundled_model_enrols_one_voice(models: Models, name: str) -> None:
    last = really(models, spoken(name))
    assert isinstance(last, Enrolled)
    assert last.agreement > 0.5  # these two people in one recording: 0.27


def test_the_bundled_model_refuses_a_takeover(models: Models) -> None:
    middle = 12 * SAMPLE_RATE_HZ
    last = really(models, np.concatenate([spoken("anna")[:middle], spoken("ben")[middle:]]))
    assert isinstance(last, Refused)
    assert last.code == "several-voices"


def test_the_bundled_model_lets_a_person_join_and_refuses_another(models: Models) -> None:
    anna, ben = (spoken(name) for name in ("anna", "ben"))
    half = len(anna) // 2
    scorer = CalibratedScorer(load_bundle())
    first = Enrolment(scorer, decoder=PcmDecoder("pcm_f32le"))
    assert isinstance(really(models, anna[:half], first), Enrolled)
    kept = Voiceprint("anna", first.prototypes)
    for sound, kind in ((anna[half:], Enrolled), (ben, Refused)):
        second = Enrolment(scorer, decoder=PcmDecoder("pcm_f32le"), kept=kept)
        assert isinstance(really(models, sound, second), kind)
