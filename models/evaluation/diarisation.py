"""Changes of speaker and whole segmentations, scored: the same code for every system's RTTM.

A reference change lies between the end of one speaker's turn and the start of the next one's;
a change that a system places in that pause, or within the tolerance of it, is found. Each
reference change is found once, each hypothesised one finds one.

Purity is how much of each hypothesised segment belongs to one speaker, coverage how much of
each reference turn lies in one segment, both weighted by duration over the speech that
reference and hypothesis share (Bredin, "pyannote.metrics", Interspeech 2017). *Segments* are
the stretches between changes; *clusters* take all segments of one name together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from models.evaluation.rttm import Turn, Turns

TOLERANCES_S = (0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Found:
    """Changes of a recording: in the reference, hypothesised, and both."""

    reference: int
    hypothesised: int
    hits: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """Seconds of a recording's speech, and how many of them are pure or covered."""

    speech_s: float
    pure_s: float
    covered_s: float


def joined(turns: Sequence[Turn]) -> Turns:
    """Turns in order of time, neighbours of one speaker as one."""
    result: list[Turn] = []
    for turn in sorted(turns):
        if result and result[-1].speaker == turn.speaker:
            last = result.pop()
            turn = Turn(last.start_s, max(last.end_s, turn.end_s), turn.speaker)
        result.append(turn)
    return tuple(result)


def changes(turns: Sequence[Turn]) -> list[tuple[float, float]]:
    """Where the speaker changes: from the end of a turn to the start of the next one.

    Where turns overlap it is the start of the later one.
    """
    return [
        (min(before.end_s, after.start_s), after.start_s)
        for before, after in pairwise(joined(turns))
    ]


def find_changes(reference: Turns, hypothesis: Turns, tolerance_s: float) -> Found:
    """Match the changes of both, each once, in order of time."""
    wanted = changes(reference)
    told = [after for _, after in changes(hypothesis)]
    left, hits = list(told), 0
    # By the end of what is allowed, the earliest that fits: no other choice finds more.
    for low, high in sorted(wanted, key=lambda change: change[1]):
        fits = [at for at in left if low - tolerance_s <= at <= high + tolerance_s]
        if fits:
            left.remove(min(fits))
            hits += 1
    return Found(len(wanted), len(told), hits)


def overlap(reference: Turns, hypothesis: Turns, *, clusters: bool) -> Overlap:
    """Purity and coverage of segments, or of clusters: a name's segments all together."""
    if clusters:
        ours = [(turn, turn.speaker) for turn in hypothesis]
        theirs = [(turn, turn.speaker) for turn in reference]
    else:
        ours = _numbered(hypothesis)
        theirs = _numbered(reference)
    shared: dict[tuple[str, str], float] = defaultdict(float)
    for turn, of in ours:
        for other, name in theirs:
            seconds = min(turn.end_s, other.end_s) - max(turn.start_s, other.start_s)
            if seconds > 0:
                shared[of, name] += seconds
    by_ours: dict[str, list[float]] = defaultdict(list)
    by_theirs: dict[str, list[float]] = defaultdict(list)
    for (of, name), seconds in shared.items():
        by_ours[of].append(seconds)
        by_theirs[name].append(seconds)
    return Overlap(
        sum(shared.values()), sum(map(max, by_ours.values())), sum(map(max, by_theirs.values()))
    )


def _numbered(turns: Turns) -> list[tuple[Turn, str]]:
    """Each turn with the number of the segment it lies in: from one change to the next."""
    result: list[tuple[Turn, str]] = []
    number = 0
    for before, turn in zip((None, *sorted(turns)), sorted(turns), strict=False):
        number += before is not None and before.speaker != turn.speaker
        result.append((turn, str(number)))
    return result
