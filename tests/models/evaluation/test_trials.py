from itertools import combinations

import numpy as np
import pytest
import soundfile as sf

from engine.audio.files import read_audio
from models.evaluation.trials import (
    Trial,
    TrialError,
    TrialList,
    load_trials,
    read_trials,
    speaker_of,
    speakers_of,
    trials_of_folder,
)


def make_files(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_list_is_read_as_written(tmp_path):
    make_files(tmp_path, "a/1.wav", "a/2.wav", "b/1.wav")
    file = tmp_path / "trials_small.txt"
    file.write_text("\ufeff1 a/1.wav a/2.wav\n\n0\ta/1.wav   b/1.wav\r\n", encoding="utf-8")
    trials = read_trials(file)
    assert trials.name == "small"
    assert trials.root == tmp_path
    assert trials.trials == (Trial(True, "a/1.wav", "a/2.wav"), Trial(False, "a/1.wav", "b/1.wav"))
    assert trials.files == ["a/1.wav", "a/2.wav", "b/1.wav"]


def test_root_may_lie_elsewhere(tmp_path):
    make_files(tmp_path / "wav", "a/1.wav", "b/1.wav")
    file = tmp_path / "list.txt"
    file.write_text("1 a/1.wav a/1.wav\n0 a/1.wav b/1.wav\n")
    assert load_trials(file, tmp_path / "wav").root == tmp_path / "wav"
    missing = r"line 1: there is no file .*1\.wav: name the folder .* with --audio-root"
    with pytest.raises(TrialError, match=missing):
        load_trials(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 a/1.wav a/2.wav\n1 a/1.wav\n", "line 2: expected .* got 2 words"),
        ("1 a/1.wav a/2.wav\n\n2 a/1.wav b/1.wav\n", "line 3: the label must be 1 .* got '2'"),
        ("1 a/1.wav a/2.wav\n0 a/1.wav c/1.wav\n", "line 2: there is no file .*c/1.wav: add it"),
        ("0 a/1.wav c/1.wav\n1 a/1.wav a/2.wav\n", "line 1: .*c/1.wav: add it, or take the line"),
        ("", "has no trials"),
        ("1 a/1.wav a/2.wav\n", r"no trial labelled 0 \(two speakers\)"),
        ("0 a/1.wav b/1.wav\n", r"no trial labelled 1 \(one speaker\)"),
    ],
)
def test_faulty_lists_are_refused_by_line(tmp_path, text, message):
    make_files(tmp_path, "a/1.wav", "a/2.wav", "b/1.wav")
    file = tmp_path / "list.txt"
    file.write_text(text)
    with pytest.raises(TrialError, match=message) as error:
        read_trials(file)
    assert "\n" not in str(error.value)


def test_missing_and_binary_lists_are_refused(tmp_path):
    with pytest.raises(TrialError, match=r"cannot read the trial list .*No such file"):
        load_trials(tmp_path / "none.txt")
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff\xfe\x80\x81")
    with pytest.raises(TrialError, match="not a text file"):
        load_trials(tmp_path / "sound.wav")


def test_folder_gives_all_targets_and_as_many_nontargets_over_all_pairs(tmp_path):
    files = [f"session/{i}.{end}" for i, end in enumerate(("wav", "flac", "OGG"))]
    names = [f"{voice}/{file}" for voice in "abcd" for file in files]
    make_files(tmp_path, *names, "a/notes.txt", "stray.wav", "empty/readme.md")
    trials = load_trials(tmp_path, seed=3)
    assert trials == trials_of_folder(tmp_path, seed=3)
    assert trials != trials_of_folder(tmp_path, seed=4)
    targets = {(t.enrol, t.test) for t in trials.trials if t.target}
    nontargets = [(t.enrol, t.test) for t in trials.trials if not t.target]
    assert targets == {(a, b) for a, b in combinations(sorted(names), 2) if a[0] == b[0]}
    assert len(nontargets) == len(targets) == 12
    assert len({frozenset(pair) for pair in nontargets}) == 12
    used = [frozenset((enrol[0], test[0])) for enrol, test in nontargets]
    assert all(used.count(frozenset(pair)) == 2 for pair in combinations("abcd", 2))


def test_folder_takes_whatever_can_be_read(tmp_path):
    sound = np.sin(np.arange(1600) / 10)
    named = {"caf": "CAF", "aiff": "AIFF", "au": "AU", "w64": "W64", "mp3": "MP3", "oga": "OGG"}
    names = [f"{speaker}/{end.upper()}.{end}" for speaker in "ab" for end in named]
    make_files(tmp_path, *names, "a/a.raw", "a/a.mat", "a/a.m4a")
    for name in names:
        sf.write(tmp_path / name, sound, 16000, format=named[name.rsplit(".", 1)[1]])
        assert len(read_audio(tmp_path / name).waveform)
    assert sorted(trials_of_folder(tmp_path).files) == sorted(names)


def test_folder_stops_at_what_there_is_and_at_the_most_allowed(tmp_path):
    make_files(tmp_path, "a/1.wav", "a/2.wav", "a/3.wav", "b/1.wav")
    few = trials_of_folder(tmp_path, nontargets_per_target=5)
    assert sum(not t.target for t in few.trials) == 3
    capped = trials_of_folder(tmp_path, max_targets=2)
    assert sum(t.target for t in capped.trials) == 2


def test_folder_without_two_speakers_or_two_recordings_is_refused(tmp_path):
    make_files(tmp_path, "a/1.wav", "a/2.wav")
    with pytest.raises(TrialError, match="holds 1 speakers"):
        trials_of_folder(tmp_path)
    make_files(tmp_path / "single", "a/1.wav", "b/1.wav")
    with pytest.raises(TrialError, match=r"no speaker in .* has two recordings"):
        trials_of_folder(tmp_path / "single")


def test_speaker_follows_from_the_path():
    assert speaker_of("id10270/x6uYqmx31kE/00001.wav") == "id10270"
    assert speaker_of("wav/id10270/x6uYqmx31kE/00001.wav") == "id10270"
    assert speaker_of("common_voice_fa/common_voice_fa-e029/0002.opus") == "common_voice_fa-e029"
    assert speaker_of("alone.wav") == "alone.wav"


def of(tmp_path, *trials):
    return TrialList("t", tmp_path, tuple(Trial(*trial) for trial in trials))


def test_speakers_are_numbered_alike_on_both_sides(tmp_path):
    trials = of(tmp_path, (True, "a/1", "a/2"), (False, "a/1", "b/1"), (False, "b/2", "c/1"))
    assert speakers_of(trials).tolist() == [[0, 0], [0, 1], [1, 2]]
    # Two ids that a label joins are one person, along a chain too.
    joined = of(tmp_path, (True, "a/1", "b/1"), (True, "c/1", "b/2"), (False, "a/1", "d/1"))
    sides = speakers_of(joined)
    assert np.unique(sides[:2]).size == 1
    assert sides[2, 0] == sides[0, 0] != sides[2, 1]


def test_folders_that_are_not_speakers_are_not_taken_for_them(tmp_path):
    flat = of(
        tmp_path, (True, "wav/1", "wav/2"), (False, "wav/1", "wav/3"), (False, "wav/3", "wav/4")
    )
    assert speakers_of(flat).tolist() == [[0, 0], [0, 1], [1, 2]]
