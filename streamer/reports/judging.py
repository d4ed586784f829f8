"""By what an exam's sessions were judged, added up over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streamer.reports import rates
from streamer.reports.claims import Bounds
from streamer.reports.parts import Part
from streamer.reports.report import Model, Session

ON_AVERAGE = "as here on average"


class Judging(Part, frozen=True, kw_only=True):
    """A model with bounds, the sessions that it judged, and what its error rates mean for them.

    ``bounds`` None: nothing was asked of it. ``speech_s`` is of all these sessions, which are those
    of so many ``candidates``.
    """

    model: Model
    bounds: Bounds | None
    sessions: int
    candidates: int
    speech_s: float
    meaning: tuple[str, ...]


class _Sum(NamedTuple):
    model: Model
    sessions: int = 0
    candidates: int = 0
    speech_s: float = 0.0


class Judgings:
    """Adds up the sessions of candidates; of each only its sum is kept."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Bounds | None], _Sum] = {}

    def add(self, sessions: Iterable[Session]) -> None:
        """Those of a candidate. Each counts for each of the bounds that held in it."""
        theirs = set()
        for session in sessions:
            if (model := session.model) is None:
                continue
            for bounds in dict.fromkeys(claim.bounds for claim in session.claims) or (None,):
                key = model.sha256, bounds
                before = self._sums.get(key, _Sum(model))
                self._sums[key] = before._replace(
                    sessions=before.sessions + 1,
                    candidates=before.candidates + (key not in theirs),
                    speech_s=before.speech_s + session.speech_s,
                )
                theirs.add(key)

    def told(self) -> tuple[Judging, ...]:
        """In the order in which they came."""
        return tuple(
            Judging(
                model=one.model,
                bounds=bounds,
                sessions=one.sessions,
                candidates=one.candidates,
                speech_s=one.speech_s,
                meaning=rates.meaning(one.model, bounds, one.speech_s / one.candidates, ON_AVERAGE),
            )
            for (_, bounds), one in self._sums.items()
        )
