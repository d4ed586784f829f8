"""Training and evaluation speech: folders to net speech in one memory-mapped file.

Preparation decodes every utterance once, cuts silence with the same detector that
serves live streams, and stores what is left as int16. Training crops then touch
only speech, as the live windows do, and cost no decoding.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.format import INT16_PEAK, SAMPLE_RATE_HZ
from engine.speech.offline import CLOSE_CUT, speech_mask
from engine.speech.vad import SileroVad
from models.sound.degradations import opus
from models.sound.files import CorpusError, read_training_sound

MAX_CODED_S = 30  # a speaker's speech after the codec: enough for any crop
CODED_LEVELS = (1.0, 0.98)  # of libsndfile: 6 and 11 kbit/s of file, measured on one recording
MIN_SPEECH_S = 0.3  # under this the detector found nothing to trust: keep the utterance whole
BATCH_FILES = 128  # files of about one length that share a batch of the detector

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoredUtterance:
    """Where one utterance's net speech lies in the store, in samples."""

    speaker: str
    source: str
    language: str
    start: int
    length: int


def prepare(data: Path, cache: Path) -> None:
    """Write ``cache/speech.i16`` and ``cache/index.csv`` from ``data/train`` and its manifest.

    Raises :class:`CorpusError` for a recording that is missing, cannot be read or ends
    before an utterance that the manifest places in it, and for a name in two sources.
    """
    cache.mkdir(parents=True, exist_ok=True)
    by_file = _listed(data / "train")
    vad = SileroVad()
    position = 0
    partial = cache / "speech.i16.part"
    with open(partial, "wb") as store, open(cache / "index.part", "w", newline="") as index:
        writer = csv.writer(index)
        writer.writerow(["speaker", "source", "language", "start", "length"])
        for path, waveform, mask in tqdm(_masked(by_file, vad), total=len(by_file), unit="file"):
            for row in by_file[path]:
                speech = _speech_of(row, path, waveform, mask)
                np.round(speech.clip(-1, 1) * INT16_PEAK).astype("<i2").tofile(store)
                place = [row["speaker"], row["source"], row["language"], position, len(speech)]
                writer.writerow(place)
                position += len(speech)
    partial.rename(cache / "speech.i16")
    (cache / "index.part").rename(cache / "index.csv")


def _listed(train: Path) -> dict[Path, list[dict[str, str]]]:
    """The rows of the manifest in ``train``, by the recording that they are of."""
    manifest = train / "manifest.csv"
    with open(manifest, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise CorpusError(f"{manifest} lists nothing: fetch the data again")
    by_file: dict[Path, list[dict[str, str]]] = {}
    sources: dict[str, str] = {}
    for row in rows:
        speaker, source = row["speaker"], row["source"]
        if sources.setdefault(speaker, source) != source:
            raise CorpusError(
                f"{speaker!r} is in {sources[speaker]} and in {source}: rename one of them"
            )
        by_file.setdefault(train / source / f"{speaker}.opus", []).append(row)
    for path in by_file:
        if not path.is_file():
            raise CorpusError(f"{path} is missing: fetch the data again")
    return by_file


def _speech_of(
    row: dict[str, str], path: Path, waveform: Float32, mask: NDArray[np.bool_]
) -> Float32:
    """The net speech of one utterance of a recording ``(samples,)``; ``mask``: what is speech."""
    a, b = (round(float(row[k]) * SAMPLE_RATE_HZ) for k in ("start_s", "end_s"))
    if not 0 <= a < min(b, len(waveform)):
        raise CorpusError(
            f"{path} is {len(waveform) / SAMPLE_RATE_HZ:.2f} s long, but the manifest"
            f" has an utterance in it from {row['start_s']} to {row['end_s']} s"
        )
    speech = waveform[a:b][mask[a:b]]
    return speech if len(speech) >= MIN_SPEECH_S * SAMPLE_RATE_HZ else waveform[a:b]


def _masked(
    paths: Iterable[Path], vad: SileroVad
) -> Iterator[tuple[Path, Float32, NDArray[np.bool_]]]:
    # Files of about one length share a batch: the batch runs as long as its longest.
    ordered = sorted(paths, key=lambda p: p.stat().st_size)
    for i in range(0, len(ordered), BATCH_FILES):
        group = ordered[i : i + BATCH_FILES]
        waveforms = [read_training_sound(p, "fetch the data again") for p in group]
        yield from zip(group, waveforms, speech_mask(waveforms, vad, CLOSE_CUT), strict=True)


class Corpus:
    """Prepared speech: the memory-mapped store, its utterances and its speakers."""

    def __init__(self, cache: Path) -> None:
        self.samples: NDArray[np.int16] = np.memmap(cache / "speech.i16", dtype="<i2", mode="r")
        with open(cache / "index.csv", newline="") as file:
            self.utterances = [
                StoredUtterance(
                    r["speaker"], r["source"], r["language"], int(r["start"]), int(r["length"])
                )
                for r in csv.DictReader(file)
            ]
        self.by_speaker: dict[str, list[StoredUtterance]] = {}
        for utterance in self.utterances:
            self.by_speaker.setdefault(utterance.speaker, []).append(utterance)

    def waveform(self, utterance: StoredUtterance) -> Float32:
        """Net speech of one utterance, ``(samples,)`` at 16 kHz."""
        return self.read(utterance.start, utterance.length)

    def span(self, speaker: str) -> tuple[int, int]:
        """Start and length of a speaker's joined utterances, which lie side by side."""
        own = self.by_speaker[speaker]
        return own[0].start, own[-1].start + own[-1].length - own[0].start

    def speech(self, speaker: str) -> Float32:
        """All net speech of a speaker, joined."""
        return self.read(*self.span(speaker))

    def read(self, start: int, length: int) -> Float32:
        """``length`` samples of the store from ``start``."""
        return self.samples[start : start + length].astype(np.float32) / np.float32(INT16_PEAK)


def prepare_coded(cache: Path, share: float) -> None:
    """Write ``coded.i16``: the speech of a share of speakers after a low-rate Opus codec.

    A codec cannot run inside the training loop at its speed, so coded copies lie ready
    beside the store, at the same positions; ``coded.txt`` names the speakers.
    """
    corpus = Corpus(cache)
    chosen = _to_code(corpus, share)
    partial = cache / "coded.i16.part"
    store = np.memmap(partial, dtype="<i2", mode="w+", shape=corpus.samples.shape)
    for i, speaker in enumerate(tqdm(chosen, unit="speaker", desc="opus")):
        start, length = corpus.span(speaker)
        length = min(length, MAX_CODED_S * SAMPLE_RATE_HZ)
        speech = corpus.samples[start : start + length].astype(np.float32) / np.float32(INT16_PEAK)
        decoded = opus(speech, CODED_LEVELS[i % len(CODED_LEVELS)])
        store[start : start + length] = np.round(decoded.clip(-1, 1) * INT16_PEAK)
    store.flush()
    # Whoever is training on the copies before keeps them, and no list stands beside other copies.
    (cache / "coded.txt").unlink(missing_ok=True)
    partial.replace(cache / "coded.i16")
    (cache / "coded.txt").write_text("".join(f"{s}\n" for s in chosen))


def is_coded(cache: Path, share: float) -> bool:
    """Whether :func:`prepare_coded` has been through with this share."""
    done = cache / "coded.txt"
    return done.exists() and done.read_text().splitlines() == _to_code(Corpus(cache), share)


def _to_code(corpus: Corpus, share: float) -> list[str]:
    ranked = sorted(corpus.by_speaker, key=lambda s: hashlib.sha256(s.encode()).digest())
    return ranked[: round(share * len(ranked))]
