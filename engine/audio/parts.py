"""Recordings in a file, as their layout tells them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

MOST_PARTS = 1000  # recordings in a file: it may be made so that its parts take all the memory


@dataclass(frozen=True, slots=True)
class Part:
    """A recording in a file, ``[start, end)``; ``patches`` are bytes to be read for its own."""

    start: int
    end: int
    patches: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The recordings in a file, and in words what is wrong with it but can be read all the same."""

    parts: tuple[Part, ...]
    warnings: tuple[str, ...] = ()


class NotWholeError(ValueError):
    """Sound is lacking, or cannot be told apart; in words, how.

    ``after``: from that byte on another recording may follow, to which the words do not apply.
    """

    def __init__(self, words: str, after: int | None = None) -> None:
        super().__init__(words)
        self.after = after


class UnlikeError(ValueError):
    """A recording of ``form`` begins at byte ``at``, and is not read as one with that before it."""

    def __init__(self, form: str, at: int) -> None:
        super().__init__(
            f"holds several recordings that are not read as one ({form} begins at byte {at})"
        )
        self.form, self.at = form, at


def joined(every: Iterator[tuple[Part, str]]) -> Layout:
    """The layout of recordings one after the other, each with what is wrong with it."""
    found = list(islice(every, MOST_PARTS + 1))
    if len(found) > MOST_PARTS:
        raise NotWholeError(f"it seems to hold more than {MOST_PARTS} recordings")
    parts, warnings = tuple(part for part, _ in found), [words for _, words in found if words]
    if len(parts) > 1:
        warnings.insert(0, f"holds {len(parts)} recordings, one after the other: all are read")
    return Layout(parts, tuple(warnings))
