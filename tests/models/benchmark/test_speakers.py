from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.speech.vad import SileroVad
from models.benchmark.speakers import Clip, SpeakersError, decode, load_speakers

Float32 = NDArray[np.float32]
Voices = Callable[..., Float32]


def write(path: Path, sound: Float32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, sound, SAMPLE_RATE_HZ)


def listed(path: Path, rows: list[dict[str, object]]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_folder_has_a_speaker_a_folder(tmp_path: Path, voice: Voices) -> None:
    write(tmp_path / "b" / "deep" / "1.wav", voice("bert", 1))
    write(tmp_path / "a" / "2.wav", voice("anna", 1))
    write(tmp_path / "a" / "1.wav", voice("anna", 1))
    (tmp_path / "empty").mkdir()
    found = load_speakers(tmp_path)
    assert [speaker.name for speaker in found] == ["a", "b"]
    assert [clip.path.name for clip in found[0].clips] == ["1.wav", "2.wav"]
    assert {speaker.source for speaker in found} == {tmp_path.name}


def test_a_list_names_files_and_parts_of_files(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"path": "x/1.wav", "speaker": "b", "source": "red", "start_s": 1.5, "end_s": 2.5},
        {"path": "x/1.wav", "speaker": "b", "source": "red", "start_s": "", "end_s": ""},
        {"path": "y.wav", "speaker": "a", "source": "blue", "start_s": 0, "end_s": 3},
    ]
    found = load_speakers(listed(tmp_path / "list.csv", rows))
    assert [(one.name, one.source) for one in found] == [("a", "blue"), ("b", "red")]
    assert found[1].clips == (Clip(tmp_path / "x/1.wav", 1.5, 2.5), Clip(tmp_path / "x/1.wav"))


def test_a_list_of_several_corpora_says_which_is_whose(tmp_path: Path) -> None:
    """Else strangers come from the other one, and their sound gives them away."""
    rows: list[dict[str, object]] = [
        {"path": f"{corpus}/{name}/1.wav", "speaker": name, "source": corpus}
        for corpus, name in (("talks", "a"), ("talks", "b"), ("books", "c"))
    ]
    found = load_speakers(listed(tmp_path / "list.csv", rows))
    assert [one.source for one in found] == ["talks", "talks", "books"]
    silent = [{k: v for k, v in row.items() if k != "source"} for row in rows]
    with pytest.raises(SpeakersError, match=r"2 corpora \(books, talks\) without their `source`"):
        load_speakers(listed(tmp_path / "silent.csv", silent))
    empty = [row | {"source": ""} for row in rows]
    with pytest.raises(SpeakersError, match="add that column"):
        load_speakers(listed(tmp_path / "empty.csv", empty))
    one = load_speakers(listed(tmp_path / "one.csv", silent[:2]))
    assert {speaker.source for speaker in one} == {tmp_path.name}


def test_a_list_without_paths_has_a_file_a_speaker(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"speaker": name, "source": "red", "start_s": 0, "end_s": 1} for name in "abc"
    ]
    place = listed(tmp_path / "list.csv", rows)
    (tmp_path / "only.txt").write_text("c\na\n")
    found = load_speakers(place, tmp_path / "only.txt")
    assert [one.clips[0].path for one in found] == [
        tmp_path / "red/a.opus",
        tmp_path / "red/c.opus",
    ]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpeakersError, match="cannot read the list"):
        load_speakers(tmp_path / "none.csv")
    (tmp_path / "list.csv").write_text("path,speaker,start_s\nx.wav,a,soon\n")
    with pytest.raises(SpeakersError, match="line 2: a list of speakers is a CSV"):
        load_speakers(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text("path,speaker\nx.wav,a\n")
    with pytest.raises(SpeakersError, match="holds 1 speakers: at least two"):
        load_speakers(tmp_path / "list.csv")
    with pytest.raises(SpeakersError, match="must be a text of names"):
        load_speakers(tmp_path / "list.csv", tmp_path / "none.txt")


def test_utterances_are_trimmed_to_their_speech(
    tmp_path: Path, voice: Voices, vad: SileroVad
) -> None:
    silence = np.zeros(SAMPLE_RATE_HZ, np.float32)
    for seed in range(2):
        sound = np.concatenate([silence, voice("anna", 3, seed=seed), silence])
        write(tmp_path / "anna" / f"{seed}.wav", sound)
        write(tmp_path / "bert" / f"{seed}.wav", voice("bert", 3, seed=seed))
    voices, refused = decode(load_speakers(tmp_path), vad, progress=False)
    assert not refused
    anna = voices[0]
    for utterance in anna.utterances:
        assert 1.5 < utterance.speech_s < 3.3
        assert len(utterance.waveform) / SAMPLE_RATE_HZ < 3.6  # of the 5 s there were
        assert 0 < utterance.lead_s <= 0.05
    assert anna.f0_hz == pytest.approx(210, rel=0.1)
    assert anna.speech_s == sum(one.speech_s for one in anna.utterances)


def test_a_part_of_a_file_is_only_that_part(tmp_path: Path, voice: Voices, vad: SileroVad) -> None:
    write(tmp_path / "x.wav", np.concatenate([voice("anna", 3), voice("bert", 3)]))
    rows: list[dict[str, object]] = [
        {"path": "x.wav", "speaker": name, "start_s": start, "end_s": start + 1.5}
        for name, starts in (("anna", (0, 1.5)), ("bert", (3, 4.5)))
        for start in starts
    ]
    voices, _ = decode(load_speakers(listed(tmp_path / "l.csv", rows)), vad, progress=False)
    assert [round(one.f0_hz or 0, -1) for one in voices] == [pytest.approx(210, abs=15), 110]


def test_what_cannot_be_used_is_told_without_folders_of_this_machine(
    tmp_path: Path, voice: Voices, vad: SileroVad
) -> None:
    for name in ("anna", "bert"):
        for seed in range(2):
            write(tmp_path / name / f"{seed}.wav", voice(name, 2, seed=seed))
    (tmp_path / "anna" / "9.wav").write_bytes(b"no sound")
    write(tmp_path / "carl" / "0.wav", voice("bert", 2))
    voices, refused = decode(load_speakers(tmp_path), vad, progress=False)
    assert [one.name for one in voices] == ["anna", "bert"]
    assert len(refused) == 2
    assert refused[0].startswith("anna/9.wav")
    assert refused[1] == "carl: 1 usable utterances, two are needed"
