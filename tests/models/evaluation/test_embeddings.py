"""What a system under test is given to embed, and where its embeddings are found again."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.scoring.scorer import Scores
from engine.speech.offline import speech_mask
from models.evaluation import embeddings as embedding
from models.evaluation.embeddings import FULL, Cuts, Embeddings, Key, embed_trials, resolve
from models.evaluation.trials import Trial, TrialList
from models.sound.conditions import Condition, Degradation

Float32 = NDArray[np.float32]
RATE_HZ = 16_000


class Listener:
    """Remembers all it embeds; its embedding holds the first and last sample of a segment."""

    name = "listener"

    def __init__(self, min_speech_s: float = 0.25) -> None:
        self.min_speech_s = min_speech_s
        self.heard: list[bytes] = []
        self.batches: list[tuple[int, int]] = []

    def embed(self, waveforms: Float32) -> Float32:
        assert waveforms.dtype == np.float32
        self.heard += [row.tobytes() for row in waveforms]
        rows, samples = waveforms.shape
        self.batches.append((rows, samples))
        return np.asarray(waveforms[:, [0, -1]])

    def score(self, *_: object) -> Scores:
        raise AssertionError("embedding scores nothing")


@pytest.fixture
def recordings(tmp_path: Path, loudness_vad: None) -> Path:
    """``a.wav``, ``b.wav``, ``c.wav``: 1.5, 2.5 and 3.5 s of noise, a second of silence within."""
    for i, (name, half_s) in enumerate({"a": 0.75, "b": 1.25, "c": 1.75}.items()):
        noise = np.random.default_rng(i).uniform(0.01, 0.1, (2, round(half_s * RATE_HZ)))
        noise[:, ::2] *= -1  # a constant offset would be taken away
        sound = np.concatenate([noise[0], np.zeros(RATE_HZ), noise[1]])
        sf.write(tmp_path / f"{name}.wav", sound, RATE_HZ, subtype="FLOAT")
    return tmp_path


def spoken_in(path: Path) -> Float32:
    sound, _ = sf.read(path, dtype="float32")
    return np.asarray(sound[sound != 0])


def list_of(root: Path, *pairs: str, name: str = "one") -> TrialList:
    """Trials like ``"ab"``: enrol ``a.wav``, test ``b.wav``."""
    return TrialList(
        name, root, tuple(Trial(a == b, f"{a}.wav", f"{b}.wav") for a, b in map(tuple, pairs))
    )


def embedded(
    lists: Sequence[TrialList],
    cuts: Cuts,
    *systems: Listener,
    degrade: Degradation | None = None,
) -> list[Embeddings]:
    return embed_trials(lists, systems, cuts, degrade or Degradation(), progress=False)


durations = st.floats(0.001, 40) | st.just(FULL)


@given(durations, st.integers(0, 20 * RATE_HZ))
@example(1.5, 24_000)
def test_a_cut_is_never_longer_than_asked_nor_than_what_is_there(
    duration_s: float, speech: int
) -> None:
    kept, dropped = (Cuts(short=short).samples(duration_s, speech) for short in ("keep", "drop"))
    assert kept is not None
    if math.isinf(duration_s) or duration_s * RATE_HZ >= speech + 0.5:
        assert kept == speech
    else:
        assert abs(kept - duration_s * RATE_HZ) <= 0.5
    enough = math.isinf(duration_s) or round(duration_s * RATE_HZ) <= speech
    assert dropped == (kept if enough else None)


def test_every_segment_is_where_its_key_says(recordings: Path) -> None:
    cuts = Cuts((1.0, 2.0, FULL), ("clean", "telephone"))
    trials = list_of(recordings, "ab", "cb", "ac")
    (embeddings,) = embedded([trials], cuts, Listener())
    keys: set[Key] = set()
    for name, tests in (("a", False), ("b", True), ("c", True)):
        path = resolve(trials, f"{name}.wav")
        speech = spoken_in(path)
        assert embeddings.speech[path] == len(speech)
        lengths = {len(speech)} | ({RATE_HZ, 2 * RATE_HZ} if tests else set())
        for length in lengths:
            row = embeddings.row((path, length, "clean"))
            enrols_whole = name in "ac" and length == len(speech)
            assert (row is not None) == (tests or enrols_whole)
            if row is not None:
                assert embeddings.vectors()[row].tolist() == speech[[0, length - 1]].tolist()
                assert embeddings.samples()[row] == length
            keys.add((path, length, "clean"))
            if tests:
                keys.add((path, length, "telephone"))
    assert len(embeddings.vectors()) == len(embeddings.samples()) == len(keys)
    assert sorted({embeddings.row(key) for key in keys}) == list(range(len(keys)))
    assert embeddings.refused == {}
    assert embeddings.row((recordings / "a.wav", RATE_HZ, "clean")) is None  # it only enrols


def test_nothing_is_embedded_twice(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for a second list, another name of a file, or two durations that give the same."""
    pairs = [a + b for a, b in itertools.product("abc", repeat=2)]
    lists = [list_of(recordings, *pairs), list_of(recordings, *pairs, name="again")]
    system = Listener()
    (embeddings,) = embedded(lists, Cuts((3.0, 60.0, FULL), ("clean",), "keep"), system)
    assert max(Counter(system.heard).values()) == 1
    assert len(system.heard) == 4 == len(embeddings.vectors())  # c has a cut of 3 s besides
    names = (f"{recordings.name}/{name}.wav" for name in "ab")
    monkeypatch.chdir(recordings.parent)
    other = TrialList("other", Path(), (Trial(False, *names),))
    system = Listener()
    embedded([lists[0], other], Cuts((FULL,), ("clean",)), system)
    assert len(system.heard) == 3


def test_speech_is_cut_before_it_is_degraded_and_enrolled_clean(recordings: Path) -> None:
    calls = []

    class Recording(Degradation):
        def __call__(self, condition: Condition, speech: Float32, path: str) -> Float32:
            calls.append((condition, len(speech), path))
            return -speech

    system = Listener()
    trials = list_of(recordings, "ab", "ac")
    (embeddings,) = embedded([trials], Cuts((1.0,), ("opus",)), system, degrade=Recording())
    whole = 3 * RATE_HZ // 2
    assert set(calls) == {
        ("clean", whole, "a.wav"),
        ("opus", RATE_HZ, "b.wav"),
        ("opus", RATE_HZ, "c.wav"),
    }
    row = embeddings.row((resolve(trials, "b.wav"), RATE_HZ, "opus"))
    speech = spoken_in(recordings / "b.wav")
    assert embeddings.vectors()[row].tolist() == (-speech[[0, RATE_HZ - 1]]).tolist()


def test_segments_of_one_length_share_a_batch_and_batches_stay_small(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = list_of(recordings, "ab", "bc", "ca")
    cuts = Cuts((0.5, 1.0), ("clean", "telephone"))  # of each length six, and three whole

    def rows(samples: int) -> list[int]:
        system = Listener()
        embedded([trials], cuts, system)
        assert len(system.heard) == 15
        return [rows for rows, length in system.batches if length == samples]

    assert rows(RATE_HZ) == rows(RATE_HZ // 2) == [6]
    monkeypatch.setattr(embedding, "BATCH_SEGMENTS", 4)
    assert rows(RATE_HZ) == rows(RATE_HZ // 2) == [4, 2]
    monkeypatch.setattr(embedding, "BATCH_SAMPLES", 2 * RATE_HZ)
    assert (rows(RATE_HZ), rows(RATE_HZ // 2)) == ([2, 2, 2], [4, 2])
    # However many lengths there are, what waits is bounded: here nothing may wait.
    monkeypatch.setattr(embedding, "PENDING_SAMPLES", 1)
    assert rows(RATE_HZ) == 6 * [1]


def test_what_was_embedded_no_longer_counts_as_waiting(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "BATCH_SEGMENTS", 2)
    # The three whole files, 7.5 s, wait throughout; pairs of 1 s come and go.
    monkeypatch.setattr(embedding, "PENDING_SAMPLES", 10 * RATE_HZ)
    system = Listener()
    trials = list_of(recordings, "ab", "bc", "ca")
    embedded([trials], Cuts((1.0,), ("clean", "telephone")), system)
    assert [rows for rows, length in system.batches if length == RATE_HZ] == [2, 2, 2]


def test_files_are_the_same_whoever_shares_their_batch(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials, cuts = list_of(recordings, "ca", "bc"), Cuts((1.0, FULL), ("clean",))
    together, alone = Listener(), Listener()
    embedded([trials], cuts, together)
    monkeypatch.setattr(embedding, "VAD_FILES", 1)
    monkeypatch.setattr(embedding, "SORT_FILES", 2)
    (embeddings,) = embedded([trials], cuts, alone)
    assert sorted(alone.heard) == sorted(together.heard)
    assert len(embeddings.speech) == 3


def test_all_systems_get_the_same_segments(recordings: Path) -> None:
    one, other = Listener(), Listener(min_speech_s=2.0)  # the more demanding decides for both
    trials = list_of(recordings, "ab", "bc")
    cuts = Cuts((1.0, 2.0, FULL), ("clean", "noise"))
    first, second = embedded([trials], cuts, one, other)
    assert one.heard == other.heard
    assert min(samples for _, samples in one.batches) == 2 * RATE_HZ
    assert np.array_equal(first.vectors(), second.vectors())
    # What is not embedded was still measured.
    assert first.speech[recordings / "a.wav"] == 1.5 * RATE_HZ
    assert first.row((recordings / "a.wav", 3 * RATE_HZ // 2, "clean")) is None


def test_files_that_cannot_be_used_are_named_without_this_machines_folders(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "speech_mask", speech_mask)
    monkeypatch.setattr(embedding, "VAD_FILES", 1)  # of some batches nothing is left to mask
    (recordings / "a.wav").write_text("not sound")
    sf.write(recordings / "b.wav", np.zeros(RATE_HZ), RATE_HZ)
    (embeddings,) = embedded(
        [list_of(recordings, "ab", "cc")], Cuts((1.0,), ("clean",)), Listener()
    )
    assert embeddings.refused.keys() == {recordings / "a.wav", recordings / "b.wav"}
    assert embeddings.speech.keys() == {recordings / "c.wav"}
    for name in ("a", "b"):
        message = embeddings.refused[recordings / f"{name}.wav"]
        assert message.startswith(f"{recordings.name}/{name}.wav: ")
        assert str(recordings) not in message
    assert "digital silence" in embeddings.refused[recordings / "b.wav"]


def test_a_file_without_speech_is_read_but_gives_no_segment(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "speech_mask", lambda waves, *_: [w > 1 for w in waves])
    trials = list_of(recordings, "ab")
    for short in ("drop", "keep"):
        system = Listener(min_speech_s=0.0)
        (embeddings,) = embedded([trials], Cuts((1.0, FULL), short=short), system)
        assert set(embeddings.speech.values()) == {0}
        assert embeddings.vectors().shape == (0, 1)
        assert system.batches == []


def test_no_lists_need_nothing() -> None:
    (embeddings,) = embedded([], Cuts(), Listener())
    assert (embeddings.speech, embeddings.refused) == ({}, {})
    assert len(embeddings.vectors()) == len(embeddings.samples()) == 0


@given(st.lists(st.integers(0, 5), max_size=6))
def test_rows_of_batches_of_any_size_are_found_whenever_they_are_asked_for(
    sizes: list[int],
) -> None:
    embeddings = Embeddings({}, {})
    added: list[Key] = []
    for size in sizes:
        keys: list[Key] = [
            (Path(f"{len(added) + i}"), len(added) + i, "clean") for i in range(size)
        ]
        embeddings.add(keys, np.array([[k[1], -k[1]] for k in keys], float).reshape(-1, 2))
        added += keys
        assert embeddings.vectors().dtype == np.float32  # asked for between batches as well
        assert embeddings.samples().tolist() == [samples for _, samples, _ in added]
        rows = [embeddings.row(key) for key in added]
        assert embeddings.vectors()[rows, 0].tolist() == [samples for _, samples, _ in added]
    assert embeddings.row((Path("never"), 1, "clean")) is None


def test_a_system_that_loses_segments_is_an_error_and_never_a_score() -> None:
    embeddings = Embeddings({}, {})
    keys: list[Key] = [(Path("a"), 1, "clean"), (Path("b"), 1, "clean")]
    with pytest.raises(ValueError, match="2 segments gave 1 embeddings"):
        embeddings.add(keys, np.zeros((1, 3), np.float32))
    assert embeddings.row(keys[0]) is None
