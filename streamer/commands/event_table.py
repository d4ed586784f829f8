"""The events of a stream for whoever reads them: a table on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import sys
from typing import Any, Protocol

import typer

from streamer.commands.event_lines import as_line, kind_of

WIDTHS = (8, 9, 13, 18, 7, 8)  # of all columns but the last
HEAD = ("time", "event", "state", "who", "LLR", "speech", "")


class Printer(Protocol):
    """Prints the events of one stream, one after the other."""

    def update(self, event: Any) -> None:
        """Print one event, or nothing."""


def printer(as_json: bool) -> Printer:
    """The table where somebody looks at it, unless JSON was asked for."""
    return EventTable() if sys.stdout.isatty() and not as_json else EventLines()


class EventLines:
    """Every event as a line of JSON; those without a number of a server get their own."""

    def __init__(self) -> None:
        self._number = 0

    def update(self, event: Any) -> None:
        """Print one event."""
        numbered = isinstance(event.seq, int)
        typer.echo(as_line(event, None if numbered else self._number))
        self._number += 1


class EventTable:
    """A line for each decision, turn and change, for news of the sound, and for the end.

    Scores are left out: the decisions and turns say what they came to.
    """

    def __init__(self) -> None:
        self._problems: tuple[str, ...] = ()
        self._headed = False

    def update(self, event: Any) -> None:
        """Print one event, if it is news."""
        if not self._headed:
            self._headed = True
            typer.echo(typer.style(_line(*HEAD), bold=True))
        for cells in self._rows(event):
            typer.echo(_line(*cells))

    def _rows(self, event: Any) -> list[tuple[str, ...]]:
        match kind_of(event):
            case "decision":
                cells = (event.state, _who(event), _llr(event.evidence), _s(event.net_speech_s))
                return [(_at(event.since), "state", *cells, event.advice or event.reason)]
            case "utterance":
                cells = (event.state, _who(event), _llr(event.evidence), _s(event.speech_s))
                problems = f" ({', '.join(event.problems)})" if event.problems else ""
                span = f"{_at(event.start)} to {_at(event.end)}{problems}"
                return [(_at(event.end), "turn", *cells, span)]
            case "change":
                who = event.to_speaker or "another voice"
                later = f"noticed {max(0.0, event.detected_at - event.at):.1f} s later"
                return [(_at(event.at), "change", "", who, _llr(event.llr), "", later)]
            case "overlap":
                return self._overlap(event)
            case "quality":
                return self._quality(event)
            case "lag":
                words = f"{event.reason}: {event.behind_s:.1f} s behind, {event.dropped} dropped"
                return [_news(event.t, "lag", words)]
            case "stalled":
                words = (
                    "no sound comes" if event.stalled else f"sound again after {event.gap_s:.0f} s"
                )
                return [_news(event.t, "stalled", words)]
            case "error":
                return [_news(event.t, "error", event.message)]
            case "summary":
                words = (
                    f"{event.received_s:.1f} s of sound, {event.speech_s:.1f} s of speech,"
                    f" {event.match_s:.1f} s of it a match"
                )
                return [_news(event.t, "end", words)]
        return []

    def _overlap(self, event: Any) -> list[tuple[str, ...]]:
        if event.end is None:
            return []
        words = f"two voices at once, for {event.end - event.start:.1f} s"
        return [_news(event.start, "overlap", words)]

    def _quality(self, event: Any) -> list[tuple[str, ...]]:
        """Only where the problems of the sound have become others."""
        if event.problems == self._problems:
            return []
        self._problems = event.problems
        return [_news(event.t, "sound", ", ".join(event.problems) or "good")]


def _news(t: float, what: str, words: str) -> tuple[str, ...]:
    return (_at(t), what, "", "", "", "", words)


def _line(*cells: str) -> str:
    """Cells in their columns; figures stand to the right, a long name pushes what follows."""
    padded = [
        cell.rjust(width) if name in ("time", "LLR", "speech") else cell.ljust(width)
        for cell, width, name in zip(cells, WIDTHS, HEAD, strict=False)
    ]
    return "  ".join([*padded, *cells[len(WIDTHS) :]]).rstrip()


def _who(event: Any) -> str:
    """A name is the answer of a match only; elsewhere it is a question, or a voice's label."""
    if event.state == "match":
        return event.speaker or "-"
    return f"not {event.speaker}" if event.state == "mismatch" and event.speaker else "-"


def _at(t: float) -> str:
    """``1:02.5``: minutes, seconds and tenths."""
    tenths = round(10 * t)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _llr(value: float | None) -> str:
    return "" if value is None else f"{value:+.1f}"


def _s(seconds: float) -> str:
    return f"{seconds:.1f} s"
