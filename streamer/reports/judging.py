"""By what an exam's sessions were judged, added up over all of them."""

from __future__ import annotations

from streamer.reports import rates
from streamer.reports.claims import Bounds
from streamer.reports.parts import Part
from streamer.reports.report import Model, Session

ON_AVERAGE = "as here on average"


class Judging(Part, frozen=True, kw_only=True):
    """A model with bounds, the sessions that it judged, and what its error rates mean for them.

    ``bounds`` None: nothing was asked of it. ``speech_s`` is of all these sessions.
    """

    model: Model
    bounds: Bounds | None
    sessions: int
    speech_s: float
    meaning: tuple[str, ...]


class Judgings:
    """Adds up sessions; of each only its sum is kept."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Bounds | None], tuple[Model, int, float]] = {}

    def add(self, session: Session) -> None:
        """A session counts for each of the bounds that held in it."""
        model = session.model
        if model is None:
            return
        for bounds in dict.fromkeys(claim.bounds for claim in session.claims) or (None,):
            _, count, speech_s = self._sums.get((model.sha256, bounds), (model, 0, 0.0))
            after = model, count + 1, speech_s + session.speech_s
            self._sums[model.sha256, bounds] = after

    def told(self) -> tuple[Judging, ...]:
        """In the order in which they came."""
        return tuple(
            Judging(
                model=model,
                bounds=bounds,
                sessions=count,
                speech_s=speech_s,
                meaning=rates.meaning(model, bounds, speech_s / count, ON_AVERAGE),
            )
            for (_, bounds), (model, count, speech_s) in self._sums.items()
        )
