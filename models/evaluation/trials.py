"""Trials: lists in VoxCeleb's form, or pairs drawn from a folder of speakers.

A list has one trial a line, ``1 enrol test`` for one speaker and ``0 enrol test`` for two,
with paths relative to a root. Who speaks in a file is read from its path, only to resample
speakers in the bootstrap (:func:`speakers_of`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from engine.errors import VoxwatchError
from models.sound.files import SUFFIXES, recordings

MAX_TARGETS = 20_000  # target trials of a folder: more are drawn from
VOXCELEB_ID = re.compile(r"id\d{5}")


class TrialError(VoxwatchError):
    """A trial list or a folder of speakers that cannot be used."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Two recordings, by path relative to the root, and whether one person speaks in both."""

    target: bool
    enrol: str
    test: str


@dataclass(frozen=True, slots=True)
class TrialList:
    """Named trials and the folder that their paths start from.

    ``reliable`` says whether the labels are right often enough to tell systems apart: the other
    lists are reported and count in no mean.
    """

    name: str
    root: Path
    trials: tuple[Trial, ...]
    reliable: bool = True

    @property
    def files(self) -> list[str]:
        """Every file once, in order of appearance."""
        return list(dict.fromkeys(path for t in self.trials for path in (t.enrol, t.test)))


def load_trials(path: Path, root: Path | None = None, *, seed: int = 0) -> TrialList:
    """A list file or a folder of speakers, whichever ``path`` is.

    ``root`` is where a list's paths start: the list's own folder unless given. The name is
    the file's stem without a leading ``trials_``, or the folder's name.
    """
    if path.is_dir():
        return trials_of_folder(path, seed=seed)
    return read_trials(path, root)


def read_trials(path: Path, root: Path | None = None) -> TrialList:
    """Read a list in VoxCeleb's form. Raises ``TrialError`` that names the line at fault."""
    root = path.parent if root is None else root
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise TrialError(f"cannot read the trial list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TrialError(
            f"{path} is not a text file: expected lines like `1 enrol test`"
        ) from error
    trials: list[Trial] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        trial = _parse(line, f"{path}, line {number}")
        for name in {trial.enrol, trial.test} - seen:
            if not (root / name).is_file():
                cure = _cure_of_missing(lines, root)
                raise TrialError(f"{path}, line {number}: there is no file {root / name}: {cure}")
            seen.add(name)
        trials.append(trial)
    _check_kinds(trials, path)
    return TrialList(path.stem.removeprefix("trials_"), root, tuple(trials))


def _cure_of_missing(lines: list[str], root: Path) -> str:
    names = {name for line in lines for name in line.split()[1:3]}
    if any((root / name).is_file() for name in names):
        return "add it, or take the line out (other files of the list are there)"
    return "name the folder that the list's paths start from with --audio-root"


def _parse(line: str, place: str) -> Trial:
    parts = line.split()
    if len(parts) != 3:
        raise TrialError(
            f"{place}: expected `1 enrol test` or `0 enrol test`, got {len(parts)} words"
        )
    label, enrol, test = parts
    if label not in ("0", "1"):
        raise TrialError(
            f"{place}: the label must be 1 (one speaker) or 0 (two), got {label[:40]!r}"
        )
    return Trial(label == "1", enrol, test)


def _check_kinds(trials: list[Trial], path: Path) -> None:
    if not trials:
        raise TrialError(f"{path} has no trials: expected lines like `1 enrol.wav test.wav`")
    kinds = {trial.target for trial in trials}
    if len(kinds) < 2:
        missing = "0 (two speakers)" if True in kinds else "1 (one speaker)"
        raise TrialError(f"{path} has no trial labelled {missing}: error rates need both kinds")


def trials_of_folder(
    folder: Path, *, seed: int = 0, nontargets_per_target: int = 1, max_targets: int = MAX_TARGETS
) -> TrialList:
    """Trials among the recordings of ``folder/<speaker>/``, at any depth below the speaker.

    Targets are all pairs of one speaker (a random ``max_targets`` of them where there are
    more). For each there are ``nontargets_per_target`` pairs of two speakers, spread evenly
    over the pairs of speakers, none twice. The same files and seed give the same trials.
    Raises ``TrialError`` when there are not two speakers, or none with two recordings.
    """
    voices = _voices(folder)
    if len(voices) < 2:
        raise TrialError(
            f"{folder} holds {len(voices)} speakers with recordings ({', '.join(SUFFIXES)}):"
            " at least two are needed, each in a folder of their own"
        )
    targets = [pair for files in voices.values() for pair in combinations(files, 2)]
    if not targets:
        raise TrialError(f"no speaker in {folder} has two recordings: nothing to recognise")
    rng = np.random.default_rng(seed)
    if len(targets) > max_targets:
        kept = np.sort(rng.choice(len(targets), max_targets, replace=False))
        targets = [targets[i] for i in kept]
    others = _nontargets(voices, len(targets) * nontargets_per_target, rng)
    trials = [Trial(True, *pair) for pair in targets] + [Trial(False, *pair) for pair in others]
    return TrialList(folder.resolve().name, folder, tuple(trials))


def _voices(folder: Path) -> dict[str, list[str]]:
    voices: dict[str, list[str]] = {}
    for speaker in sorted(p for p in folder.iterdir() if p.is_dir()):
        files = [path.relative_to(folder).as_posix() for path in recordings(speaker)]
        if files:
            voices[speaker.name] = files
    return voices


def _nontargets(
    voices: dict[str, list[str]], count: int, rng: np.random.Generator
) -> list[tuple[str, str]]:
    pairs = list(combinations(voices.values(), 2))
    left = [len(a) * len(b) for a, b in pairs]
    count = min(count, sum(left))
    chosen: dict[tuple[str, str], None] = {}
    while len(chosen) < count:
        for i in rng.permutation(len(pairs)):
            if len(chosen) == count:
                break
            if not left[i]:
                continue
            pair = _unused(pairs[i], chosen, rng)
            chosen[pair] = None
            left[i] -= 1
    return list(chosen)


def _unused(
    files: tuple[list[str], list[str]],
    chosen: dict[tuple[str, str], None],
    rng: np.random.Generator,
) -> tuple[str, str]:
    # Both sides enrol about as often as they test.
    while True:
        first, second = (side[rng.integers(len(side))] for side in files)
        if (first, second) in chosen or (second, first) in chosen:
            continue
        return (first, second) if rng.integers(2) else (second, first)


def speaker_of(path: str) -> str:
    """Who speaks in a file, by its relative path.

    VoxCeleb keeps ``id10270/video/00001.wav``: the part that is such an id. Elsewhere the
    parent folder; for a file without one, the file itself.
    """
    parts = PurePosixPath(path.replace("\\", "/")).parts
    for part in parts[:-1]:
        if VOXCELEB_ID.fullmatch(part):
            return part
    return parts[-2] if len(parts) > 1 else path


def speakers_of(trials: TrialList) -> NDArray[np.intp]:
    """Number of the speaker of either side of each trial, ``(N, 2)``.

    Paths say who speaks (:func:`speaker_of`) as long as the labels agree. Where a folder
    holds both sides of a non-target trial, folders are not speakers in this list, and every
    file counts for itself. Either way the two sides of a target trial are one speaker.
    """
    by_path = {path: speaker_of(path) for path in trials.files}
    if any(not t.target and by_path[t.enrol] == by_path[t.test] for t in trials.trials):
        by_path = {path: path for path in trials.files}
    group = {speaker: speaker for speaker in by_path.values()}
    for trial in trials.trials:
        if trial.target:
            group[_root(group, by_path[trial.enrol])] = _root(group, by_path[trial.test])
    names = {path: _root(group, speaker) for path, speaker in by_path.items()}
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names.values()))}
    sides = [(numbers[names[t.enrol]], numbers[names[t.test]]) for t in trials.trials]
    return np.array(sides, np.intp).reshape(-1, 2)


def _root(group: dict[str, str], speaker: str) -> str:
    while group[speaker] != speaker:
        group[speaker] = group[group[speaker]]  # halve the path: near constant time
        speaker = group[speaker]
    return speaker
