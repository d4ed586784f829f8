"""Who spoke when, as RTTM: the form that speaker diarisation is exchanged in.

One segment a line: ``SPEAKER file 1 start duration <NA> <NA> speaker <NA> <NA>``, times in
seconds (NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan").
Other types of line, and comments, are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import VoxwatchError


class RttmError(VoxwatchError):
    """A file that is no RTTM, or that says nothing of what is asked."""


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """A stretch of one speaker's speech, in seconds of the recording."""

    start_s: float
    end_s: float
    speaker: str


Turns = tuple[Turn, ...]


def read_rttm(path: Path) -> dict[str, Turns]:
    """Turns of each file that is named, in order of time. Raises ``RttmError`` with the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise RttmError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RttmError(f"{path} is not a text file: expected RTTM") from error
    found: dict[str, list[Turn]] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words and words[0] == "SPEAKER":
            file, turn = _parse(words, f"{path}, line {number}")
            found.setdefault(file, []).append(turn)
    if not found:
        raise RttmError(f"{path} has no line that begins with SPEAKER: is it RTTM?")
    return {file: tuple(sorted(turns)) for file, turns in found.items()}


def _parse(words: list[str], place: str) -> tuple[str, Turn]:
    if len(words) < 8:
        raise RttmError(f"{place}: expected at least 8 fields, got {len(words)}")
    try:
        start, duration = float(words[3]), float(words[4])
    except ValueError as error:
        raise RttmError(f"{place}: start and duration must be seconds") from error
    if not (0 <= start < float("inf") and 0 <= duration < float("inf")):
        raise RttmError(f"{place}: start and duration must not be negative")
    return words[1], Turn(start, start + duration, words[7])


def write_rttm(path: Path, turns: Mapping[str, Sequence[Turn]]) -> None:
    """Write the turns of all files. Blanks in names become underscores, as RTTM has none."""
    lines = [
        f"SPEAKER {_word(file)} 1 {turn.start_s:.3f} {turn.end_s - turn.start_s:.3f}"
        f" <NA> <NA> {_word(turn.speaker)} <NA> <NA>\n"
        for file, some in turns.items()
        for turn in some
    ]
    path.write_text("".join(lines), encoding="utf-8")


def _word(name: str) -> str:
    return "_".join(name.split())
