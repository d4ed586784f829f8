"""Voices from elsewhere: their recordings become utterances, and what is wrong is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from models.sound.files import CorpusError
from scripts import foreign_voices

RATE = 16_000


def record(path: Path, seconds: float, pitch_hz: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * RATE)) / RATE
    sf.write(path, 0.3 * np.sign(np.sin(2 * np.pi * pitch_hz * time)), RATE)


def test_each_recording_is_an_utterance_of_the_folder_s_voice(tmp_path: Path) -> None:
    voices = tmp_path / "voices"
    for name, pitch_hz in (("low", 100), ("high", 210)):
        record(voices / name / "1.wav", 1.0, pitch_hz)
        record(voices / name / "deeper" / "2.flac", 2.0, pitch_hz)
    corpus = foreign_voices.prepared(voices, tmp_path / "cache")
    assert sorted(corpus.by_speaker) == ["high", "low"]
    for name in ("low", "high"):
        assert [u.length for u in corpus.by_speaker[name]] == [RATE, 2 * RATE]
        strongest = np.abs(np.fft.rfft(corpus.speech(name)[:RATE])).argmax()
        assert strongest == {"low": 100, "high": 210}[name]


def test_a_voice_counts_as_far_as_the_most_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_voices, "MOST_S", 1.8)
    for number in range(4):
        record(tmp_path / "voices" / "one" / f"{number}.wav", 1.0, 120)
    corpus = foreign_voices.prepared(tmp_path / "voices", tmp_path / "cache")
    assert [u.length for u in corpus.by_speaker["one"]] == [RATE, round(0.8 * RATE)]


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    (tmp_path / "voices" / "nobody").mkdir(parents=True)
    with pytest.raises(CorpusError, match="nobody holds no recordings: remove it"):
        foreign_voices.prepared(tmp_path / "voices", tmp_path / "cache")
