"""The speakers a benchmark draws from: a folder of them, or a list; decoded, trimmed, measured.

A list is a CSV with the columns ``path`` and ``speaker`` and, optionally, ``source`` (speakers
are told apart within one, where the channel gives nobody away; with recordings of several it must
be there), ``start_s`` and ``end_s`` (an utterance within a longer file). Paths are relative to the
list. A list without ``path`` names ``source/speaker.opus``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.audio.files import read_audio
from engine.errors import AudioError, VoxwatchError
from engine.format import INT16_PEAK, SAMPLE_RATE_HZ
from engine.speech.offline import CLOSE_CUT, speech_mask
from engine.speech.vad import SileroVad
from models.sound.files import recordings, without_folders
from models.sound.pitch import median_f0

SHORTEST_SPEECH_S = 0.4  # of an utterance: under this the detector found nothing to trust
MARGIN = SAMPLE_RATE_HZ // 20  # of sound kept around an utterance's speech
ENOUGH_S = 100.0  # net speech of a speaker: no conversation can use more
BATCH_CLIPS = 32  # clips in a batch of the detector

Float32 = NDArray[np.float32]
Int16 = NDArray[np.int16]


class SpeakersError(VoxwatchError):
    """A folder or list of speakers that cannot be used."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance: a file, or a part of it in seconds."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Speaker:
    """A person, where the recordings come from, and the recordings."""

    name: str
    source: str
    clips: tuple[Clip, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TrimmedUtterance:
    """Sound from just before its first speech to just after its last, 16 kHz.

    ``speech_s`` is the net speech in it; ``lead_s`` the sound before the first.
    """

    samples: Int16
    speech_s: float
    lead_s: float
    tail_s: float

    @property
    def waveform(self) -> Float32:
        """Float32 ``(samples,)``."""
        return self.samples.astype(np.float32) / np.float32(INT16_PEAK)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedSpeaker:
    """A speaker, decoded. ``f0_hz`` is the median pitch, ``None`` where it cannot be told."""

    name: str
    source: str
    utterances: tuple[TrimmedUtterance, ...]
    f0_hz: float | None

    @property
    def speech_s(self) -> float:
        """Net speech of all utterances."""
        return sum(utterance.speech_s for utterance in self.utterances)


def load_speakers(path: Path, only: Path | None = None) -> list[Speaker]:
    """Speakers of a folder ``folder/<speaker>/...`` or of a list, in the order of their names.

    ``only`` is a file of names, one a line. Raises ``SpeakersError``.
    """
    speakers = _of_folder(path) if path.is_dir() else _of_list(path)
    if only is not None:
        wanted = set(_lines(only))
        speakers = [speaker for speaker in speakers if speaker.name in wanted]
    if len(speakers) < 2:
        raise SpeakersError(
            f"{path} holds {len(speakers)} speakers"
            f"{'' if only is None else f' of those in {only}'}: at least two are needed, each in"
            " a folder of their own or named in the list"
        )
    return speakers


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SpeakersError(f"cannot read {path}: it must be a text of names") from error


def _of_folder(folder: Path) -> list[Speaker]:
    found = []
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        files = recordings(place)
        if files:
            found.append(Speaker(place.name, folder.resolve().name, tuple(map(Clip, files))))
    return found


def _of_list(path: Path) -> list[Speaker]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpeakersError(f"cannot read the list of speakers {path}: {error}") from error
    _check_sources(path, rows)
    clips: dict[tuple[str, str], list[Clip]] = {}
    for number, row in enumerate(rows, 2):
        try:
            name, source = row["speaker"], row.get("source") or path.parent.name
            file = row.get("path", f"{source}/{name}.opus")
            end = row.get("end_s")
            clip = Clip(
                path.parent / file, float(row.get("start_s") or 0), float(end) if end else None
            )
        except (KeyError, ValueError, TypeError) as error:
            raise SpeakersError(
                f"{path}, line {number}: a list of speakers is a CSV with the columns path and"
                " speaker, and start_s and end_s in seconds if it has them"
            ) from error
        clips.setdefault((name, source), []).append(clip)
    return [Speaker(name, source, tuple(some)) for (name, source), some in sorted(clips.items())]


def _check_sources(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Refuse a list of several corpora, ``corpus/speaker/file``, that does not say which is whose.

    Strangers would come from another corpus, whose microphones and rooms give them away.
    """
    unnamed = (Path(row.get("path") or "") for row in rows if not row.get("source"))
    names = {row.get("speaker") for row in rows}
    corpora = {str(file.parent.parent) for file in unnamed if file.parent.name in names}
    if len(corpora) > 1:
        some = ", ".join(sorted(Path(corpus).name for corpus in corpora)[:3])
        raise SpeakersError(
            f"{path} has recordings of {len(corpora)} corpora ({some}) without their `source`: add"
            " that column, so that strangers come from the corpus of whom they are taken for"
        )


def decode(
    speakers: Sequence[Speaker], vad: SileroVad, *, threads: int = 1, progress: bool = True
) -> tuple[list[DecodedSpeaker], list[str]]:
    """Voices with at least two usable utterances, and a line for each recording that is none."""
    voices: list[DecodedSpeaker] = []
    refused: list[str] = []
    with ThreadPoolExecutor(threads) as pool:
        read = pool.map(lambda speaker: _voice(speaker, vad), speakers)
        for voice, lines in tqdm(
            read,
            total=len(speakers),
            desc="reading",
            unit="speaker",
            disable=None if progress else True,
        ):
            refused += lines
            voices += [] if voice is None else [voice]
    return voices, refused


def _voice(speaker: Speaker, vad: SileroVad) -> tuple[DecodedSpeaker | None, list[str]]:
    refused: list[str] = []
    utterances: list[TrimmedUtterance] = []
    clips, total_s = _read(speaker, refused), 0.0
    while total_s < ENOUGH_S and (batch := list(islice(clips, BATCH_CLIPS))):
        some = _trimmed(batch, vad)
        utterances += some
        total_s += sum(utterance.speech_s for utterance in some)
    if len(utterances) < 2:
        few = f"{speaker.name}: {len(utterances)} usable utterances, two are needed"
        return None, [*refused, few]
    pitch = median_f0(np.concatenate([one.waveform for one in utterances]))
    return DecodedSpeaker(speaker.name, speaker.source, tuple(utterances), pitch), refused


def _read(speaker: Speaker, refused: list[str]) -> Iterator[Float32]:
    for path, clips in groupby(speaker.clips, key=lambda clip: clip.path):
        try:
            waveform = read_audio(path).waveform
        except AudioError as error:
            # A report is shared: it names the file, not this machine's folders.
            refused.append(str(error).replace(str(path), without_folders(path)))
            continue
        for clip in clips:
            start = round(clip.start_s * SAMPLE_RATE_HZ)
            end = len(waveform) if clip.end_s is None else round(clip.end_s * SAMPLE_RATE_HZ)
            if end > start:
                yield waveform[start:end]


def _trimmed(waveforms: list[Float32], vad: SileroVad) -> list[TrimmedUtterance]:
    found = []
    for waveform, mask in zip(waveforms, speech_mask(waveforms, vad, CLOSE_CUT), strict=True):
        speech_s = int(mask.sum()) / SAMPLE_RATE_HZ
        if speech_s < SHORTEST_SPEECH_S:
            continue
        where = np.flatnonzero(mask)
        first, last = int(where[0]), int(where[-1]) + 1
        start, end = max(0, first - MARGIN), min(len(waveform), last + MARGIN)
        samples = np.round(waveform[start:end].clip(-1, 1) * INT16_PEAK).astype(np.int16)
        lead_s, tail_s = (first - start) / SAMPLE_RATE_HZ, (end - last) / SAMPLE_RATE_HZ
        found.append(TrimmedUtterance(samples, speech_s, lead_s, tail_s))
    return found
