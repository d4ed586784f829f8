"""The events that come of what a stream has to tell: its places, lapses and requests, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from engine.decisions.known_speech import KnownSpeech
from engine.decisions.overlap import OverlapSpans
from engine.decisions.tracker import Tracker
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import AnyEvent, Failure, Summary, Utterance
from engine.format import seconds
from engine.hearing import Item
from engine.items import Begun, Eof, Lapse, Reset, Suspected
from engine.scoring.scorer import CalibratedScorer
from engine.spans.interface import LEAST_SAMPLES, SpeechEmbeddings


class StreamEvents:
    """Decides on one stream's ``speech``. ``prior`` is the probability of a match beforehand."""

    def __init__(
        self, scorer: CalibratedScorer, prior: float, speech: SpeechEmbeddings, model: str
    ) -> None:
        self._speech, self._model = speech, model
        self._tracker, self._overlap = Tracker(scorer, prior), OverlapSpans()

    def of(self, item: Item, received_s: float) -> Iterable[AnyEvent]:
        """What an item comes to, when so many seconds of sound have been taken in."""
        match item:
            case KnownSpeech():
                return self._decide(item)
            case Begun():
                return self._tracker.begin(item.t, item.position, item.settings)
            case Lapse():
                return self._tracker.lapse(
                    item.t, seconds(item.position), item.reason, item.settings
                )
            case Reset():
                return self._tracker.reset(item.t, item.position, item.settings)
            case Suspected():
                return self._tracker.suspect(item.t, item.position, item.settings)
            case Eof():
                return [self.summary(received_s)]
            case event:
                return [event]

    def summary(self, received_s: float) -> Summary:
        """What is known by now, as the last event will say it of all."""
        return Summary(
            t=received_s,
            received_s=received_s,
            speech_s=seconds(self._speech.position),
            match_s=round(self._tracker.match_s, 3),
            decisions=dict(self._tracker.decisions),
            model=self._model,
        )

    def overall(self, at: int, settings: TrackerSettings) -> Utterance:
        """The verdict at media sample ``at`` on all the speech so far, as if it were one turn."""
        return self._tracker.overall(self._speech, at, settings)

    def _decide(self, known: KnownSpeech) -> Iterator[AnyEvent]:
        mark, scored = known.mark, known.scored
        start = mark.turn if scored is None else scored.start
        failure = self._speech.failure(start, mark.position)
        if failure is not None and mark.position - start >= LEAST_SAMPLES:
            yield Failure(t=seconds(mark.at), code="window-failed", message=failure)
            known = replace(known, scored=None)
        suspected = known.settings.suspicion is not None
        yield from self._overlap.add(self._speech, mark, suspected=suspected)
        yield from self._tracker.add(self._speech, known)
