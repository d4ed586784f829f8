"""Recordings that went wrong once, through a session of the built-in bundle."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from engine.arrival.moments import Arrival
from engine.audio.files import read_audio
from engine.audio.pcm import PcmDecoder
from engine.errors import WrongFormat
from engine.events import AnyEvent, Change, Decision, Quality, Utterance
from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import load_bundle
from engine.scoring.scorer import PreparedEmbeddings
from engine.serving.inference import answer_one, settle
from engine.session import Session
from models.benchmark.engine import EngineUnderTest

CASES = Path(__file__).parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the shared recordings are not here")

Float32 = NDArray[np.float32]
LONG_S = 1.5  # of speech: a shorter turn may leave it open who it was


@pytest.fixture(scope="module")
def engine() -> EngineUnderTest:
    return EngineUnderTest(load_bundle(None))


@pytest.fixture(scope="module")
def owner(engine: EngineUnderTest) -> PreparedEmbeddings:
    enrolled = engine.enrol(sound("owner_enrol.flac"))
    assert not isinstance(enrolled, str)
    return enrolled[0]


def sound(name: str) -> Float32:
    samples, rate = sf.read(CASES / name, dtype="float32")
    assert rate == SAMPLE_RATE_HZ
    return np.asarray(samples, np.float32)


def told(
    engine: EngineUnderTest, people: dict[str, PreparedEmbeddings], heard: Float32
) -> list[AnyEvent]:
    decoder = PcmDecoder("pcm_f32le", SAMPLE_RATE_HZ)
    session = Session(engine.scorer, people, decoder=decoder)
    return engine.answer_cache().run(session, heard)


def verdicts(engine: EngineUnderTest, owner: PreparedEmbeddings, heard: Float32) -> list[Utterance]:
    found = told(engine, {"owner": owner}, heard)
    return [event for event in found if isinstance(event, Utterance)]


def television(below_db: float) -> Float32:
    """The owner, another voice so far below, and the owner again, over a little noise."""
    heard, second = sound("two_people_short_turns.flac"), SAMPLE_RATE_HZ
    owner, other = (
        sound("owner_enrol.flac")[: 5 * second],
        heard[round(3.2 * second) :][: 4 * second],
    )
    again = heard[round(8.2 * second) :][: 4 * second]
    loud = [float(np.sqrt(np.mean(part[np.abs(part) > 0.01] ** 2))) for part in (again, other)]
    other = other * np.float32(loud[0] / loud[1] * 10 ** (-below_db / 20))
    pause = np.zeros(second, np.float32)
    whole = np.concatenate([owner, pause, other, pause, again, pause])
    noise = np.random.default_rng(0).standard_normal(len(whole)).astype(np.float32)
    return whole + np.float32(1e-4) * noise


@pytest.mark.parametrize("claimed", [True, False])
def test_a_television_in_the_background_is_no_takeover(
    engine: EngineUnderTest, owner: PreparedEmbeddings, claimed: bool
) -> None:
    found = told(engine, {"owner": owner} if claimed else {}, television(20.0))
    assert not [event for event in found if isinstance(event, Change)]
    turns = [event for event in found if isinstance(event, Utterance)]
    assert [turn.background for turn in during(turns, 6.0, 10.5)] == [True]
    assert not any(turn.background for turn in turns if turn.end < 6.0 or turn.start > 10.5)
    if claimed:
        assert all(turn.state != "match" for turn in turns if turn.background)
        assert [event.state for event in found if isinstance(event, Decision)][-1] == "match"


@pytest.mark.parametrize("below_db", [0.0, 6.0])
def test_somebody_who_leans_over_is_a_takeover(
    engine: EngineUnderTest, owner: PreparedEmbeddings, below_db: float
) -> None:
    found = told(engine, {"owner": owner}, television(below_db))
    assert next(event.from_speaker for event in found if isinstance(event, Change)) == "owner"
    assert not any(event.background for event in found if isinstance(event, Utterance))
    assert "mismatch" in [event.state for event in found if isinstance(event, Decision)]


def during(turns: list[Utterance], start_s: float, end_s: float) -> list[Utterance]:
    """Turns whose middle lies in this stretch."""
    return [turn for turn in turns if start_s <= (turn.start + turn.end) / 2 < end_s]


def test_short_turns_of_two_people_are_each_judged_by_themselves(
    engine: EngineUnderTest, owner: PreparedEmbeddings
) -> None:
    turns = verdicts(engine, owner, sound("two_people_short_turns.flac"))
    (second,) = during(turns, 8.4, 11.4)
    assert second.state == "match"
    strangers = during(turns, 3.4, 6.4) + during(turns, 13.4, 15.9)
    assert len(strangers) >= 2
    assert all(turn.state != "match" for turn in strangers)


@pytest.mark.parametrize("pause_s", [1.0, 3.0, 10.0, 20.0])
def test_whoever_speaks_after_the_owner_and_a_pause_is_no_match(
    engine: EngineUnderTest, owner: PreparedEmbeddings, pause_s: float
) -> None:
    heard, cut_s = sound("pause20s_then_other_person.flac"), 20.0 - pause_s
    middle = round(15.0 * SAMPLE_RATE_HZ)
    half = round(cut_s / 2 * SAMPLE_RATE_HZ)
    shorter = np.concatenate([heard[: middle - half], heard[middle + half :]])
    turns = verdicts(engine, owner, shorter)
    assert turns[0].state == "match"
    strangers = [turn for turn in turns if turn.start > 5.0 + pause_s - 1.0]
    assert strangers
    assert all(turn.state != "match" for turn in strangers)


def test_the_assistants_own_loudspeaker_is_no_match_and_the_owner_is_one_at_once(
    engine: EngineUnderTest, owner: PreparedEmbeddings
) -> None:
    turns = verdicts(engine, owner, sound("assistant_answers_between.flac"))
    own = [turn for start in (0, 7, 14, 21) for turn in during(turns, start, start + 3)]
    others = [turn for start in (3, 10, 17) for turn in during(turns, start, start + 4)]
    assert all(turn.state != "match" for turn in others)
    long = [turn for turn in own if turn.speech_s >= LONG_S]
    assert len(long) >= 3
    assert all(turn.state == "match" for turn in long)


def test_a_command_of_a_second_has_a_score_and_says_how_sure_it_is(
    engine: EngineUnderTest, owner: PreparedEmbeddings
) -> None:
    (command,) = verdicts(engine, owner, sound("owner_command_0.86s.flac"))
    assert command.llr is not None
    assert command.state in ("match", "uncertain")
    assert command.posterior is not None
    assert command.posterior == pytest.approx(1 / (1 + np.exp(-command.llr)))
    assert command.state == "match" or (command.cause and command.attainable_llr is not None)
    assert command.reason.startswith("evidence ")


@pytest.mark.parametrize(
    ("name", "likely"),
    [("owner_f32_16khz.raw", "pcm_f32le"), ("owner_stereo_s16_16khz.raw", "channels=2")],
)
def test_sound_of_another_form_is_named_and_no_mismatch(
    engine: EngineUnderTest, owner: PreparedEmbeddings, name: str, likely: str
) -> None:
    events = as_pcm(engine, owner, name, None)
    assert {likely} == {e.likely for e in events if isinstance(e, Quality) and e.likely}
    told = [e.state for e in events if isinstance(e, Decision | Utterance)]
    assert set(told) == {"insufficient"}


def test_sound_of_half_the_rate_is_named_before_a_verdict(
    engine: EngineUnderTest, owner: PreparedEmbeddings
) -> None:
    events = as_pcm(engine, owner, "owner_8khz_s16.raw", 0.2)
    named = [e for e in events if isinstance(e, Quality) and "rate-suspect" in e.problems]
    assert named[0].likely == "sample_rate=8000"
    assert 2 * named[0].t < 5.0
    told = [e.state for e in events if isinstance(e, Decision | Utterance)]
    assert "mismatch" not in told
    assert told[-1] == "insufficient"


def test_a_browsers_recording_as_pcm_is_named(
    engine: EngineUnderTest, owner: PreparedEmbeddings
) -> None:
    with pytest.raises(WrongFormat, match="WebM"):
        as_pcm(engine, owner, "browser_mediarecorder.webm", None)


def as_pcm(
    engine: EngineUnderTest, owner: PreparedEmbeddings, name: str, pace_s: float | None
) -> list[AnyEvent]:
    """The bytes of a file as 16-bit mono at 16 kHz: a tenth of a second every ``pace_s``."""
    session = Session(engine.scorer, {"owner": owner})
    answer = partial(answer_one, embedder=engine.encoder, vad=engine.vad)
    data, events = (CASES / name).read_bytes(), list[AnyEvent]()
    for number, start in enumerate(range(0, len(data), 3200)):
        arrived = None if pace_s is None else Arrival(number * pace_s, 0.0)
        session.receive_pcm(data[start : start + 3200], arrived)
        events += settle(session, answer)
    session.receive_eof()
    return [*events, *settle(session, answer)]


HUMS = [(50,), (60,), (100,), (120,), (150,), (180,), (100, 120, 150, 180), (100, 200)]
HUMS += [(300,), (360,), (400,), (400, 800, 1200), (300, 600, 900)]


def hum(pitches_hz: tuple[int, ...], samples: int) -> Float32:
    """Mains hum and harmonics of it, as loud in all as a tone of 5 % of full scale."""
    t = np.arange(samples) / SAMPLE_RATE_HZ
    tones = [np.sin(2 * np.pi * pitch_hz * t + pitch_hz) for pitch_hz in pitches_hz]
    return np.asarray(0.05 * sum(tones) / len(tones) ** 0.5, np.float32)


@pytest.mark.parametrize("kind", ["dc 2 %", "dc 30 %", *HUMS])
def test_an_offset_or_hum_changes_no_enrolment_and_is_no_noise(
    engine: EngineUnderTest, owner: PreparedEmbeddings, kind: str | tuple[int, ...]
) -> None:
    plain = sound("owner_enrol.flac")
    if isinstance(kind, tuple):
        heard = np.float32(0.9) * plain + hum(kind, len(plain))
    else:
        heard = np.float32(0.6) * plain + np.float32(0.02 if kind == "dc 2 %" else 0.3)
    enrolled = engine.enrol(heard)
    assert not isinstance(enrolled, str)
    decoder = PcmDecoder("pcm_f32le", SAMPLE_RATE_HZ)
    session = Session(engine.scorer, {"owner": owner}, decoder=decoder)
    events = engine.answer_cache().run(session, heard)
    problems = {problem for e in events if isinstance(e, Quality) for problem in e.problems}
    assert "noisy" not in problems
    assert ("hum" if isinstance(kind, tuple) else "dc-offset") in problems
    assert all(e.state == "match" for e in events if isinstance(e, Utterance) and e.speech_s > 2)


def test_the_recording_with_an_offset_enrols(engine: EngineUnderTest) -> None:
    assert not isinstance(engine.enrol(sound("owner_enrol_dc_2percent.flac")), str)


def test_of_a_microphone_with_an_inverted_channel_one_is_chosen(
    engine: EngineUnderTest, owner: PreparedEmbeddings
) -> None:
    heard = read_audio(CASES / "mic_antiphase.wav").waveform
    turns = verdicts(engine, owner, heard)
    assert turns
    assert all(turn.state == "match" for turn in turns if turn.speech_s >= LONG_S)
