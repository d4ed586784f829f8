"""Preparing speech, reading it again, and copies of it after a codec."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from models.sound import corpus as corpora
from models.sound.corpus import Corpus, is_coded, prepare, prepare_coded
from models.sound.files import CorpusError

Float32 = NDArray[np.float32]
RATE_HZ = 16_000
STEP = 1 / 32767  # of the store


@pytest.fixture
def loudness(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Speech is what is not digital silence; what lies here are the lengths of each batch."""
    batches: list[list[int]] = []

    def mask(waveforms: list[Float32], *_: object) -> list[NDArray[np.bool_]]:
        batches.append([len(w) for w in waveforms])
        return [w != 0 for w in waveforms]

    monkeypatch.setattr(corpora, "speech_mask", mask)
    return batches


def noise(seconds: float, seed: int = 0) -> Float32:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 0.5, round(seconds * RATE_HZ)).astype(np.float32)


def pause(seconds: float) -> Float32:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def record(data: Path, speaker: str, sound: Float32, rate_hz: int = RATE_HZ) -> None:
    """Exact samples, whatever the name says: libsndfile looks at what is in the file."""
    path = data / "train" / "toy" / f"{speaker}.opus"
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, sound, rate_hz, format="WAV", subtype="FLOAT")


def write_manifest(data: Path, *rows: tuple[str, float, float], language: str = "xx") -> None:
    with open(data / "train" / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["speaker", "source", "language", "content", "start_s", "end_s"])
        writer.writerows([name, "toy", language, "read", a, b] for name, a, b in rows)


def store(cache: Path, speakers: dict[str, list[Float32]]) -> Path:
    """A prepared corpus of these utterances."""
    cache.mkdir()
    rows, position = [["speaker", "source", "language", "start", "length"]], 0
    with open(cache / "speech.i16", "wb") as file:
        for name, utterances in speakers.items():
            for sound in utterances:
                np.round(sound * 32767).astype("<i2").tofile(file)
                rows.append([name, "toy", "xx", str(position), str(len(sound))])
                position += len(sound)
    with open(cache / "index.csv", "w", newline="") as index:
        csv.writer(index).writerows(rows)
    return cache


def test_what_is_kept_is_the_speech_of_each_utterance(
    tmp_path: Path, loudness: list[list[int]]
) -> None:
    parts = [noise(1.0, 1), pause(0.5), noise(0.5, 2), noise(0.4, 3), pause(0.6)]
    record(tmp_path, "ann", np.concatenate(parts))
    record(tmp_path, "bob", noise(0.75, 4))
    write_manifest(
        tmp_path, ("ann", 0.0, 2.0), ("bob", 0.0, 0.75), ("ann", 2.0, 3.0), language="fr"
    )
    prepare(tmp_path, tmp_path / "new" / "cache")
    corpus = Corpus(tmp_path / "new" / "cache")
    assert {(u.source, u.language) for u in corpus.utterances} == {("toy", "fr")}
    assert {name: len(own) for name, own in corpus.by_speaker.items()} == {"bob": 1, "ann": 2}
    first, second = map(corpus.waveform, corpus.by_speaker["ann"])
    np.testing.assert_allclose(first, np.concatenate([parts[0], parts[2]]), atol=0.51 * STEP)
    np.testing.assert_allclose(second, parts[3], atol=0.51 * STEP)
    np.testing.assert_array_equal(corpus.speech("ann"), np.concatenate([first, second]))
    np.testing.assert_allclose(corpus.speech("bob"), noise(0.75, 4), atol=0.51 * STEP)
    assert len(corpus.samples) == sum(u.length for u in corpus.utterances)
    assert {path.name for path in (tmp_path / "new" / "cache").iterdir()} == {
        "speech.i16",
        "index.csv",
    }


def test_an_utterance_in_which_hardly_any_speech_was_found_is_kept_whole(
    tmp_path: Path, loudness: list[list[int]]
) -> None:
    record(tmp_path, "ann", np.concatenate([noise(0.3), pause(0.7), noise(0.29), pause(0.71)]))
    write_manifest(tmp_path, ("ann", 0.0, 1.0), ("ann", 1.0, 2.0))
    prepare(tmp_path, tmp_path / "cache")
    lengths = [u.length for u in Corpus(tmp_path / "cache").utterances]
    assert lengths == [round(0.3 * RATE_HZ), RATE_HZ]


def test_what_is_louder_than_full_scale_is_clipped_and_does_not_wrap(
    tmp_path: Path, loudness: list[list[int]]
) -> None:
    record(tmp_path, "ann", np.tile(np.array([1.5, -1.5, 0.5, 1.0], np.float32), RATE_HZ // 4))
    write_manifest(tmp_path, ("ann", 0.0, 1.0))
    prepare(tmp_path, tmp_path / "cache")
    kept = Corpus(tmp_path / "cache").speech("ann")[:4]
    np.testing.assert_allclose(kept, [1, -1, 0.5, 1], atol=0.51 * STEP)


def test_files_of_about_one_length_share_a_batch(
    tmp_path: Path, loudness: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "BATCH_FILES", 2)
    seconds = {"ann": 0.9, "bob": 0.5, "cid": 0.8, "dot": 0.4, "eve": 0.6}
    for i, (name, s) in enumerate(seconds.items()):
        record(tmp_path, name, noise(s, i))
    write_manifest(tmp_path, *((name, 0.0, s) for name, s in seconds.items()))
    prepare(tmp_path, tmp_path / "cache")
    shares = [[round(length / RATE_HZ, 1) for length in batch] for batch in loudness]
    assert shares == [[0.4, 0.5], [0.6, 0.8], [0.9]]
    corpus = Corpus(tmp_path / "cache")
    for i, (name, s) in enumerate(seconds.items()):
        np.testing.assert_allclose(corpus.speech(name), noise(s, i), atol=0.51 * STEP)


def test_the_real_detector_cuts_the_silence_of_a_coded_recording(
    tmp_path: Path, voice: Callable[..., Float32]
) -> None:
    (tmp_path / "train" / "toy").mkdir(parents=True)
    sound = np.concatenate([voice("anna", 1.5), pause(2.0), voice("anna", 1.5, seed=1)])
    path = tmp_path / "train" / "toy" / "anna.opus"
    sf.write(path, sound, RATE_HZ, format="OGG", subtype="OPUS")
    write_manifest(tmp_path, ("anna", 0.0, 5.0))
    prepare(tmp_path, tmp_path / "cache")
    kept_s = len(Corpus(tmp_path / "cache").speech("anna")) / RATE_HZ
    assert 2.0 < kept_s < 3.3  # most of the 3 s of voice, little of the 2 s of silence


def test_recordings_that_cannot_be_used_are_named_and_leave_no_corpus(
    tmp_path: Path, loudness: list[list[int]]
) -> None:
    record(tmp_path, "ann", noise(0.5))
    write_manifest(tmp_path, ("ann", 0.0, 0.5), ("bob", 0.0, 0.5))
    bob, cache = tmp_path / "train" / "toy" / "bob.opus", tmp_path / "cache"
    bob.write_text("not sound")
    with pytest.raises(CorpusError, match=r"bob\.opus cannot be read .*: fetch the data again"):
        prepare(tmp_path, cache)
    for sound, rate_hz in ((noise(0.5), 8000), (noise(0.5).reshape(-1, 2), RATE_HZ)):
        record(tmp_path, "bob", sound, rate_hz)
        with pytest.raises(CorpusError, match=r"bob\.opus is not mono at 16000 Hz: convert it"):
            prepare(tmp_path, cache)
    assert not (cache / "index.csv").exists()
    assert not (cache / "speech.i16").exists()
    record(tmp_path, "bob", noise(0.5))
    prepare(tmp_path, cache)  # and nothing of the failures is in it
    assert len(Corpus(cache).samples) == RATE_HZ


def test_a_manifest_that_does_not_fit_the_recordings_is_refused(
    tmp_path: Path, loudness: list[list[int]]
) -> None:
    record(tmp_path, "ann", noise(0.5))
    cache = tmp_path / "cache"
    write_manifest(tmp_path)
    with pytest.raises(CorpusError, match=r"manifest\.csv lists nothing: fetch"):
        prepare(tmp_path, cache)
    write_manifest(tmp_path, ("ann", 0.0, 0.5), ("bob", 0.0, 0.5))
    with pytest.raises(CorpusError, match=r"bob\.opus is missing: fetch the data again"):
        prepare(tmp_path, cache)
    for start, end in ((0.5, 1.0), (0.2, 0.2), (-0.1, 0.3)):
        write_manifest(tmp_path, ("ann", 0.0, 0.5), ("ann", start, end))
        with pytest.raises(CorpusError, match=rf"0\.50 s long, .* from {start} to {end} s"):
            prepare(tmp_path, cache)
    write_manifest(tmp_path, ("ann", 0.0, 0.5))
    with open(tmp_path / "train" / "manifest.csv", "a") as file:
        file.write("ann,other,xx,read,0.0,0.5\n")
    with pytest.raises(CorpusError, match="'ann' is in toy and in other: rename one"):
        prepare(tmp_path, cache)
    assert not (cache / "index.csv").exists()


def test_speech_is_read_from_any_place(tmp_path: Path) -> None:
    said = {name: [noise(0.1 + 0.1 * k, i + k) for k in range(i)] for i, name in enumerate("abcd")}
    corpus = Corpus(store(tmp_path / "cache", said))
    assert {name: len(own) for name, own in corpus.by_speaker.items()} == {"b": 1, "c": 2, "d": 3}
    stored = corpus.samples
    for start, length in ((0, 1), (1234, 4000), (len(stored) - 3, 3), (50, 0)):
        read = corpus.read(start, length)
        assert read.dtype == np.float32
        np.testing.assert_allclose(read * 32767, stored[start : start + length], atol=0.01)
    for speaker, own in corpus.by_speaker.items():
        assert {u.speaker for u in own} == {speaker}
        start, length = corpus.span(speaker)
        joined = np.concatenate([corpus.waveform(u) for u in own])
        np.testing.assert_allclose(joined, np.concatenate(said[speaker]), atol=0.51 * STEP)
        np.testing.assert_array_equal(corpus.speech(speaker), joined)
        np.testing.assert_array_equal(corpus.read(start, length), joined)
    assert sum(map(len, corpus.by_speaker.values())) == len(corpus.utterances)


def tones(count: int, seconds: float = 0.5) -> dict[str, list[Float32]]:
    """Speakers who hum at pitches of their own, in two utterances; one name has a space in it."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    names = ["of two words", *(f"s{i}" for i in range(1, count))]
    return {
        name: [(0.3 * np.sin(2 * np.pi * 150 * (i + 2) * t)).astype(np.float32)] * 2
        for i, name in enumerate(names)
    }


def coded_speakers(cache: Path) -> set[str]:
    corpus, coded = Corpus(cache), np.memmap(cache / "coded.i16", dtype="<i2", mode="r")
    assert coded.shape == corpus.samples.shape
    spans = {speaker: corpus.span(speaker) for speaker in corpus.by_speaker}
    return {speaker for speaker, (a, n) in spans.items() if coded[a : a + n].any()}


def test_a_share_of_the_speakers_is_coded_and_a_larger_one_holds_it(tmp_path: Path) -> None:
    cache = store(tmp_path / "cache", tones(6))
    assert not is_coded(cache, 0.5)
    before: set[str] = set()
    for share, count in ((0.0, 0), (0.5, 3), (1.0, 6)):
        prepare_coded(cache, share)
        assert [is_coded(cache, s) for s in (0.0, 0.5, 1.0)] == [s == share for s in (0, 0.5, 1)]
        chosen = coded_speakers(cache)
        assert len(chosen) == count
        assert set((cache / "coded.txt").read_text().splitlines()) == chosen
        assert before <= chosen
        before = chosen
    again = store(tmp_path / "again", dict(reversed(tones(6).items())))
    prepare_coded(again, 0.5)
    assert is_coded(cache, 1.0)
    assert coded_speakers(again) < before
    first = (again / "coded.txt").read_text()
    prepare_coded(cache, 0.5)
    assert (cache / "coded.txt").read_text() == first  # whatever the order of the speakers


def test_coded_copies_lie_where_the_speech_lies_and_sound_like_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = []

    def recorded(speech: Float32, level: float) -> Float32:
        levels.append(level)
        return opus(speech, level)

    opus = corpora.opus
    monkeypatch.setattr(corpora, "opus", recorded)
    cache = store(tmp_path / "cache", tones(4))
    prepare_coded(cache, 1.0)
    corpus, coded = Corpus(cache), np.memmap(cache / "coded.i16", dtype="<i2", mode="r")
    assert levels == 2 * list(corpora.CODED_LEVELS)
    for speaker in corpus.by_speaker:
        start, length = corpus.span(speaker)
        copy, original = coded[start : start + length] / 32767, corpus.speech(speaker)
        assert not np.array_equal(copy, original)
        assert np.corrcoef(copy, original)[0, 1] > 0.7
        assert copy.std() == pytest.approx(original.std(), rel=0.3)


def test_only_the_beginning_of_long_speech_is_coded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "MAX_CODED_S", 1)
    cache = store(tmp_path / "cache", tones(2, seconds=0.8))
    prepare_coded(cache, 1.0)
    corpus, coded = Corpus(cache), np.memmap(cache / "coded.i16", dtype="<i2", mode="r")
    for speaker in corpus.by_speaker:
        start, length = corpus.span(speaker)
        assert length > RATE_HZ
        assert coded[start + RATE_HZ - 1000 : start + RATE_HZ].any()
        assert not coded[start + RATE_HZ : start + length].any()


def test_copies_that_are_in_use_stay_as_they_are(tmp_path: Path) -> None:
    cache = store(tmp_path / "cache", tones(4))
    prepare_coded(cache, 0.5)
    in_use = np.memmap(cache / "coded.i16", dtype="<i2", mode="r")
    before = in_use.copy()
    prepare_coded(cache, 1.0)
    np.testing.assert_array_equal(in_use, before)
    assert len(coded_speakers(cache)) == 4


def test_a_kill_while_copies_are_made_leaves_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = store(tmp_path / "cache", tones(4))
    prepare_coded(cache, 0.5)

    def killed(*_: object) -> Float32:
        raise KeyboardInterrupt

    monkeypatch.setattr(corpora, "opus", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_coded(cache, 1.0)
    assert is_coded(cache, 0.5)
    assert len(coded_speakers(cache)) == 2
