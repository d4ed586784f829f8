"""From the files of trials to embeddings: cut, degrade, batch, each segment once.

A file is decoded once, however many trials it is in. Its net speech is cut to each
duration, each cut is degraded, and segments of one length are embedded together. Only
embeddings stay in memory, so a list of any length fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.audio.files import read_audio
from engine.errors import AudioError
from engine.format import SAMPLE_RATE_HZ
from engine.scoring.scorer import Scores
from engine.speech.offline import CLOSE_CUT, speech_mask
from engine.speech.vad import SileroVad
from models.evaluation.trials import TrialList
from models.sound.conditions import CONDITIONS, Condition, Degradation
from models.sound.files import without_folders

FULL = math.inf  # a duration: all the net speech there is
VAD_FILES = 16  # files in a batch of the detector
SORT_FILES = 256  # files of about one length share a VAD batch, which runs as long as its longest
BATCH_SEGMENTS = 32  # segments in a batch of the model
BATCH_SAMPLES = 120 * SAMPLE_RATE_HZ
PENDING_SAMPLES = 1000 * SAMPLE_RATE_HZ  # 64 MB: then even incomplete batches go

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Ints = NDArray[np.intp]
Short = Literal["drop", "keep"]
Key = tuple[Path, int, Condition]  # a file, how many samples of its net speech, what befell them


class SystemUnderTest(Protocol):
    """A system under test: segments to embeddings, pairs of embeddings to scores."""

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    @property
    def min_speech_s(self) -> float:
        """The shortest segment it takes, seconds of net speech."""
        ...

    def embed(self, waveforms: Float32) -> Float32:
        """Embeddings ``(N, D)`` of 16 kHz ``waveforms`` ``(N, samples)``."""
        ...

    def score(
        self, enrol: Float32, enrol_s: Float64, test: Float32, test_s: Float64, pairs: Ints
    ) -> Scores:
        """Scores of ``pairs`` ``(P, 2)``: rows of ``enrol`` ``(E, D)`` and ``test`` ``(T, D)``.

        ``enrol_s`` ``(E,)`` and ``test_s`` ``(T,)`` are net seconds.
        """
        ...


@dataclass(frozen=True, slots=True)
class Cuts:
    """Which segments a test file gives: durations in seconds of net speech, conditions.

    ``short``: what has less than a duration is dropped at that duration, or kept as it is.
    ``degraded``: durations of every condition but clean, all unless given.
    """

    durations: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0, FULL)
    conditions: tuple[Condition, ...] = CONDITIONS
    short: Short = "drop"
    degraded: tuple[float, ...] | None = None

    @property
    def cells(self) -> list[tuple[float, Condition]]:
        """Every duration with every condition that it is heard under."""
        degraded = self.durations if self.degraded is None else self.degraded
        return [
            (duration_s, condition)
            for duration_s in self.durations
            for condition in self.conditions
            if condition == "clean" or duration_s in degraded
        ]

    def samples(self, duration_s: float, speech: int) -> int | None:
        """Samples of a segment from a file with ``speech`` samples; None when it is dropped."""
        if math.isinf(duration_s):
            return speech
        wanted = round(duration_s * SAMPLE_RATE_HZ)
        return None if wanted > speech and self.short == "drop" else min(wanted, speech)


@dataclass(slots=True)
class Embeddings:
    """One system's embeddings of segments, with the net speech of every file in samples.

    ``refused`` has what could not be read, and why.
    """

    speech: dict[Path, int]
    refused: dict[Path, str]
    _rows: dict[Key, int] = field(default_factory=dict)
    _batches: list[Float32] = field(default_factory=list)

    def add(self, keys: Sequence[Key], embeddings: Float32) -> None:
        """Keep the embeddings ``(N, D)`` of N segments."""
        if len(embeddings) != len(keys):
            raise ValueError(f"{len(keys)} segments gave {len(embeddings)} embeddings")
        for key in keys:
            self._rows[key] = len(self._rows)
        self._batches.append(np.asarray(embeddings, np.float32))

    def row(self, key: Key) -> int | None:
        """Where a segment lies in :meth:`vectors`, or None when it is not there."""
        return self._rows.get(key)

    def samples(self) -> Ints:
        """How many samples of net speech are behind each row of :meth:`vectors`, ``(rows,)``."""
        return np.fromiter((samples for _, samples, _ in self._rows), np.intp, len(self._rows))

    def vectors(self) -> Float32:
        """All embeddings, ``(rows, D)``."""
        if len(self._batches) > 1:
            self._batches = [np.concatenate(self._batches)]
        return self._batches[0] if self._batches else np.zeros((0, 1), np.float32)


@dataclass(slots=True)
class _Source:
    """A file of the lists: its path from the root, which seeds its conditions, and its sides."""

    name: str
    enrols: bool = False
    tests: bool = False


def resolve(trials: TrialList, name: str) -> Path:
    """The file behind a path of the list: one file in two lists is one file."""
    return (trials.root / name).absolute()


def _sources(lists: Iterable[TrialList]) -> dict[Path, _Source]:
    sources: dict[Path, _Source] = {}
    for trials in lists:
        for trial in trials.trials:
            for name, enrols in ((trial.enrol, True), (trial.test, False)):
                source = sources.setdefault(resolve(trials, name), _Source(name))
                source.enrols |= enrols
                source.tests |= not enrols
    return sources


def embed_trials(
    lists: Sequence[TrialList],
    embedders: Sequence[SystemUnderTest],
    cuts: Cuts,
    degrade: Degradation,
    *,
    channel: int | None = None,
    progress: bool = True,
) -> list[Embeddings]:
    """Embeddings of every segment that the lists need, for each of the ``embedders``.

    Enrolment sides are all the net speech of a file, clean. All systems see the same
    segments, and none sees one twice. A segment shorter than the most demanding system's
    ``min_speech_s`` is left out for all. Files that cannot be used are noted as ``refused``:
    those of several channels too, unless ``channel`` chooses one (:func:`read_audio`).
    """
    speech: dict[Path, int] = {}
    refused: dict[Path, str] = {}
    results = [Embeddings(speech, refused) for _ in embedders]
    shortest = max(1, round(max(e.min_speech_s for e in embedders) * SAMPLE_RATE_HZ))
    sources = _sources(lists)
    batches = _Batches(embedders, results)
    with tqdm(total=len(sources), unit="file", disable=None if progress else True) as bar:
        for path, waveform in _net_speech(sources, refused, channel):
            speech[path] = len(waveform)
            for samples, condition in _wanted(sources[path], len(waveform), cuts):
                if samples >= shortest:
                    segment = degrade(condition, waveform[:samples], sources[path].name)
                    batches.add((path, samples, condition), segment)
            bar.update()
        batches.flush()
        bar.update(len(refused))
    return results


def _net_speech(
    sources: dict[Path, _Source], refused: dict[Path, str], channel: int | None
) -> Iterator[tuple[Path, Float32]]:
    vad = SileroVad()
    paths = list(sources)
    for i in range(0, len(paths), SORT_FILES):
        near = sorted(paths[i : i + SORT_FILES], key=lambda p: p.stat().st_size)
        for j in range(0, len(near), VAD_FILES):
            waveforms: dict[Path, Float32] = {}
            for path in near[j : j + VAD_FILES]:
                try:
                    waveforms[path] = read_audio(path, channel=channel).waveform
                except AudioError as error:
                    # A report is shared: it names the file, not this machine's folders.
                    refused[path] = str(error).replace(str(path), without_folders(path))
            if waveforms:
                masks = speech_mask(list(waveforms.values()), vad, CLOSE_CUT)
                for (path, waveform), mask in zip(waveforms.items(), masks, strict=True):
                    yield path, waveform[mask]


def _wanted(source: _Source, speech: int, cuts: Cuts) -> list[tuple[int, Condition]]:
    """Segments of a file with ``speech`` samples, each once: two durations may give the same."""
    wanted: dict[tuple[int, Condition], None] = {}
    if source.enrols:
        wanted[speech, "clean"] = None
    if source.tests:
        for duration_s, condition in cuts.cells:
            samples = cuts.samples(duration_s, speech)
            if samples is not None:
                wanted[samples, condition] = None
    return list(wanted)


class _Batches:
    """Segments waiting for company of their own length."""

    def __init__(self, embedders: Sequence[SystemUnderTest], results: Sequence[Embeddings]) -> None:
        self._systems = list(zip(embedders, results, strict=True))
        self._waiting: dict[int, list[tuple[Key, Float32]]] = {}
        self._samples = 0

    def add(self, key: Key, segment: Float32) -> None:
        length = len(segment)
        group = self._waiting.setdefault(length, [])
        group.append((key, segment))
        self._samples += length
        if len(group) >= BATCH_SEGMENTS or len(group) * length >= BATCH_SAMPLES:
            self._embed(length)
        elif self._samples >= PENDING_SAMPLES:
            self.flush()

    def flush(self) -> None:
        for length in list(self._waiting):
            self._embed(length)

    def _embed(self, length: int) -> None:
        group = self._waiting.pop(length)
        self._samples -= length * len(group)
        keys = [key for key, _ in group]
        waveforms = np.stack([segment for _, segment in group])
        for embedder, result in self._systems:
            result.add(keys, embedder.embed(waveforms))
