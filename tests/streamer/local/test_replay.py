"""Replay: the live engine over files, with the real detector."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile as sf

from engine.errors import AudioError, VoxwatchError
from engine.events import AnyEvent, Decision, Score, Summary, Vad
from engine.model.bundle import Bundle
from streamer.local.replay import EnrolmentRecording, Replay, parse_enrolment

Speak = Callable[..., Path]
VOICES = ("anna", "bert")


@pytest.fixture
def speak(speak: Speak) -> Speak:
    """With quiet around the voice, as in any recording: noise is measured there."""
    return functools.partial(speak, quiet_s=0.5)


@pytest.fixture(scope="module")
def replay(spectral_bundle: Bundle) -> Replay:
    return Replay(spectral_bundle.folder)


def call(folder: Path, *parts: Path) -> Path:
    """The parts one after another, with half a second of silence around each."""
    silence = np.zeros(8_000, np.float32)
    joined = [silence]
    for part in parts:
        joined += [sf.read(part, dtype="float32")[0], silence]
    path = folder / "call.wav"
    sf.write(path, np.concatenate(joined), 16_000)
    return path


def decisions(events: list[AnyEvent]) -> list[tuple[str, str | None]]:
    return [(e.state, e.speaker) for e in events if isinstance(e, Decision)]


def test_a_takeover_ends_in_a_mismatch(replay: Replay, speak: Speak, tmp_path: Path) -> None:
    enrolled = replay.enrol([EnrolmentRecording("anna", speak("a.wav", "anna", 8.0, seed=4))])
    sound = call(tmp_path, speak("b.wav", "anna", 6.0, seed=2), speak("c.wav", "bert", 6.0, seed=3))
    events = list(replay.events(sound, enrolled, "anna"))
    states = decisions(events)
    assert states[0] == ("insufficient", "anna")
    assert ("match", "anna") in states
    assert states[-1] == ("mismatch", "anna")
    matched = next(e for e in events if isinstance(e, Decision) and e.state == "match")
    assert matched.t < 4.0
    assert next(e.speech for e in events if isinstance(e, Vad)) is True
    assert isinstance(events[-1], Summary)
    assert events[-1].received_s == pytest.approx(15.5)


def test_without_a_claim_the_speaker_is_named(replay: Replay, speak: Speak, tmp_path: Path) -> None:
    people = {"anna": 4, "bert": 1}
    enrolled = replay.enrol(
        [EnrolmentRecording(n, speak(f"{n}.wav", n, 8.0, seed=s)) for n, s in people.items()]
    )
    for name in people:
        sound = call(tmp_path, speak("x.wav", name, 5.0, seed=7))
        scores = [e for e in replay.events(sound, enrolled) if isinstance(e, Score)]
        assert {score.speaker for score in scores if score.window_s >= 2} == {name}
        assert {score.runner_up for score in scores} <= set(people)


def test_the_same_file_gives_the_same_lines(replay: Replay, speak: Speak, tmp_path: Path) -> None:
    enrolled = replay.enrol([EnrolmentRecording("anna", speak("a.wav", "anna", 8.0, seed=4))])
    sound = call(tmp_path, speak("b.wav", "anna", 4.0, seed=2))
    first, again = ([msgspec.json.encode(e) for e in replay.events(sound, enrolled)] for _ in "12")
    assert first == again


def test_two_recordings_of_a_person_are_two_prototypes(replay: Replay, speak: Speak) -> None:
    files = [speak(f"{i}.wav", "anna", 6.0, seed=i) for i in (2, 4)]
    enrolled = replay.enrol([EnrolmentRecording("anna", file) for file in files])
    assert len(enrolled["anna"].embeddings) == 2


def test_too_little_speech_is_not_enrolled(replay: Replay, speak: Speak) -> None:
    with pytest.raises(AudioError, match=r"a\.wav: 1\.\d s of speech: 3 s are needed"):
        replay.enrol([EnrolmentRecording("anna", speak("a.wav", "anna", 1.5))])


def test_poor_recordings_are_enrolled_where_that_is_asked_for(replay: Replay, speak: Speak) -> None:
    short = [EnrolmentRecording("anna", speak("short.wav", "anna", 1.5))]
    assert len(replay.enrol(short, allow_poor=True)["anna"].embeddings) == 1
    unlike = [
        EnrolmentRecording("anna", speak("a.wav", "anna", 6.0, seed=2)),
        EnrolmentRecording("anna", speak("b.wav", "bert", 6.0, seed=3)),
    ]
    with pytest.raises(AudioError, match=r"b\.wav: this is another voice .* with --allow-poor$"):
        replay.enrol(unlike)
    assert len(replay.enrol(unlike, allow_poor=True)["anna"].embeddings) == 2


def test_of_a_recording_with_two_channels_one_is_enrolled(
    replay: Replay, speak: Speak, tmp_path: Path
) -> None:
    sides = [sf.read(speak(f"{n}.wav", n, 8.0, seed=4), dtype="float32")[0] for n in VOICES]
    both, alone = tmp_path / "both.wav", tmp_path / "alone.wav"
    sf.write(both, np.stack(sides, axis=1), 16_000, subtype="FLOAT")
    sf.write(alone, sides[1], 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="choose one with --channel"):
        replay.enrol([EnrolmentRecording("bert", both)])
    chosen = replay.enrol([EnrolmentRecording("bert", both)], channel=1)["bert"]
    expected = replay.enrol([EnrolmentRecording("bert", alone)])["bert"]
    np.testing.assert_allclose(chosen.embeddings, expected.embeddings, atol=1e-6)


def test_a_claim_nobody_enrolled_is_refused(replay: Replay, speak: Speak) -> None:
    with pytest.raises(VoxwatchError, match=r"'carla' is not enrolled: --enroll names nobody"):
        list(replay.events(speak("a.wav", "anna", 2.0), {}, "carla"))


@pytest.mark.parametrize("text", ["anna", "=a.wav", "anna="])
def test_an_enrolment_without_name_or_file_is_refused(text: str) -> None:
    with pytest.raises(VoxwatchError, match="NAME=FILE"):
        parse_enrolment(text)


def test_names_and_paths_are_split_at_the_first_sign() -> None:
    assert parse_enrolment("anna=a=b.wav") == EnrolmentRecording("anna", Path("a=b.wav"))
