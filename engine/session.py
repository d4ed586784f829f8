"""The logic of one stream, which does no I/O: its caller moves the sound, jobs and events.

session.receive_pcm(data)            bytes of any size
session.jobs_to_run()                what to compute next; each job is answered by
session.receive_result(result)       its result, in any order
session.receive_eof()
session.events()                     what can be said by now
"""

# Long: all that a stream can be asked and told is here, so that its callers know one module.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from engine.arrival.gaps import Gap, Gaps, Heard, Quiet, Sound, Stall
from engine.arrival.moments import Arrival
from engine.audio.pcm import PcmDecoder
from engine.audio.quality import PeakMeter
from engine.audio.recent import RecentSound
from engine.audio.suspicion import Suspicion
from engine.decisions.config import DecisionConfig
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.overlap import OverlapSpans
from engine.decisions.tracker import Tracker
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import AnyEvent, Failure, Lag, Stalled, Summary, Utterance
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.hearing import Hearing, Item
from engine.items import Begun, Eof, Lapse, Reset, Suspected
from engine.jobs import Job, Result
from engine.pipeline import Pipeline
from engine.requests import Requests
from engine.scoring.identify import EnrolledVoiceprints
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from engine.session_config import SessionConfig
from engine.sound_quality import PERIOD_SAMPLES
from engine.spans.interface import LEAST_SAMPLES
from engine.spans.of_bundle import spans_of
from engine.speech.segmenter import Span
from engine.suspicions import Suspicions

# Who has heard nobody speak by then is told that nothing can be said yet.
BEGUN_SAMPLES = 3 * SAMPLE_RATE_HZ // 2  # 1.5 s, of which detection makes some 2 s


class Session:
    """The logic of one stream. ``enrolled`` maps the names of people to their voiceprints.

    With ``claimed`` true every speaker is scored and the best of them answers the claim;
    otherwise the best of all enrolled is the answer to "who is it?". Without any
    voiceprint the stream tells only of speech, its quality and changes of voice.
    """

    def __init__(
        self,
        scorer: CalibratedScorer,
        enrolled: Mapping[str, PreparedEmbeddings],
        *,
        decoder: PcmDecoder | None = None,
        config: SessionConfig | None = None,
        claimed: bool = True,
        model: str = "",
    ) -> None:
        config, decoder = config or SessionConfig(), decoder or PcmDecoder()
        self._gaps = Gaps(decoder.bytes_per_s, config.stall_s, config.kept_s)
        self._suspicions = Suspicions(decoder)
        self._speech = spans_of(scorer.bundle, config.windows)
        self._pipeline: Pipeline[Item] = Pipeline(
            decoder, config.gate, self._speech, period=PERIOD_SAMPLES
        )
        self._scorer, self._model = scorer, model
        settings = TrackerSettings(EnrolledVoiceprints(enrolled), claimed, config.decisions)
        self._hearing = Hearing(self._pipeline, self._speech, decoder.offset, config, settings)
        self._tracker, self._overlap = Tracker(scorer, config.prior), OverlapSpans()
        self._hop_s = config.windows.hop_s
        self._narrowest_s, self._widest_s = config.windows.hop_s, config.windows.window_s
        self._requests = Requests()
        self._requests.add(BEGUN_SAMPLES, self._begin)
        self._eof = False

    def begin(self, now: Arrival) -> None:
        """The stream begins: it stalls where no sound comes from now on."""
        self._gaps.begin(now)

    def receive_pcm(self, data: bytes, arrived: Arrival | None = None) -> None:
        """Sound of the stream's format. Raises :class:`AudioError` for what is not sound.

        Where it is said when the sound ``arrived``, gaps between arrivals count as pauses.
        """
        self._suspicions.arrived(data, arrived)
        if arrived is None:
            self._take(data, None)
        else:
            self._heed(self._gaps.receive(data, arrived))

    def pass_time(self, now: Arrival) -> None:
        """No more sound has come until now."""
        self._heed(self._gaps.pass_time(now))

    @property
    def next_s(self) -> float | None:
        """When to call :meth:`pass_time` next, by the clock of the arrivals."""
        return self._gaps.next_s

    def receive_eof(self) -> None:
        """No more sound follows. The last event comes once every job has been answered."""
        self._heed(self._gaps.end())
        self._hear(self._pipeline.receive_eof())

    def receive_result(self, result: Result) -> None:
        """The answer to a job. Raises what :meth:`Pipeline.receive_result` raises."""
        self._hear(self._pipeline.receive_result(result))

    def jobs_to_run(self) -> list[Job]:
        """Jobs not given out before. Each must be answered, by a result or a failure."""
        return self._pipeline.jobs_to_run()

    def events(self) -> Iterator[AnyEvent]:
        """Events ready to be told, each once, in order."""
        for item in self._pipeline.ready():
            yield from self._pipeline.in_order(self._tell(item))

    @property
    def decisions(self) -> DecisionConfig:
        """The error rates that are decided by."""
        return self._hearing.settings.decisions

    def verdict(self) -> Utterance:
        """The verdict on all of the speech as if it were one turn, once the summary was told.

        It holds for recordings of up to :data:`engine.spans.interface.KEPT_S` of speech.
        """
        told = self._tracker.overall(self._speech, self._pipeline.received, self._hearing.settings)
        return self._pipeline.timed(told)

    def summary(self) -> Summary:
        """What is known by now, as the last event will say it of all."""
        return self._pipeline.timed(self._summary())

    @property
    def waiting(self) -> bool:
        """Whether there is a job to run, or an unanswered one that the end has to wait for."""
        return self._pipeline.waiting

    @property
    def received_s(self) -> float:
        """Seconds of sound taken in so far."""
        return self._pipeline.received_s

    @property
    def backlog_s(self) -> float:
        """Seconds of sound taken in and not yet dealt with."""
        return self._pipeline.backlog_s

    @property
    def meter(self) -> PeakMeter | None:
        """A meter takes the peaks of the sound, where it is set. It never affects the events."""
        return self._pipeline.meter

    @meter.setter
    def meter(self, meter: PeakMeter | None) -> None:
        self._pipeline.meter = meter

    @property
    def recent(self) -> RecentSound | None:
        """The last seconds of the sound, where they are kept."""
        return self._pipeline.recent

    def keep_recent(self, samples: int) -> None:
        """Keep so many of the last samples from here on; 0: none, and let go what was kept."""
        start = self._pipeline.received
        self._pipeline.recent = RecentSound(samples, start) if samples else None

    # What is asked for from here on holds for the sound that is taken in afterwards.

    def configure(self, decisions: DecisionConfig) -> None:
        """Decide by other error rates."""
        self._from_now(lambda at: self._configure(decisions))

    def claim(
        self, enrolled: Mapping[str, PreparedEmbeddings], claimed: bool, *, renewed: bool = False
    ) -> None:
        """Compare with other voiceprints. The last decision lapses, and the turn ends here.

        ``renewed``: nobody has asked for others, the store has changed. The turn goes on.
        """
        people = EnrolledVoiceprints(enrolled)
        self._from_now(lambda at: self._claim(at, people, claimed, renewed))

    def turn(self) -> None:
        """A new turn begins: somebody pushed a button to talk, or said a wake word.

        The verdict on the turn before is waited for.
        """
        self._from_now(self._hearing.turn)
        self._hear(self._pipeline.settle())

    def reset(self) -> None:
        """Whoever speaks from here on may be anybody. The last decision lapses."""
        self._from_now(self._reset)

    def mute(self, on: bool) -> None:
        """What comes is our own loudspeaker: it is heard, and never judged."""
        self._from_now(lambda at: self._hearing.mute(at, on))

    def set_overload(self, hop_s: float, late_s: float) -> None:
        """The server is ``late_s`` late and asks for fewer windows, or for the usual again.

        The hop stays between the configured one and a whole window, so that no speech goes
        unheard.
        """
        hop_s = min(max(hop_s, self._narrowest_s), self._widest_s)
        if hop_s == self._hop_s:
            return
        self._hop_s = hop_s
        self._speech.set_hop(hop_s)
        late = late_s if hop_s > self._narrowest_s else 0.0
        t = self._pipeline.ruled_s
        self._pipeline.put(Lag(t=t, reason="overload", behind_s=late, hop_s=hop_s, dropped=0))

    def _from_now(self, obey: Callable[[int], None]) -> None:
        self._heed(self._gaps.settle())
        self._requests.add(self._pipeline.received, obey)
        self._requests.obey(self._pipeline.ruled)

    def _heed(self, heard: Iterable[Heard]) -> None:
        """Take in sound, and what is known of the time in which none came."""
        for one in heard:
            match one:
                case Sound():
                    self._take(one.data, one.arrived)
                case Gap():
                    self._pause(partial(self._hearing.pass_gap, one.gap_s))
                case Quiet():
                    self._pause(self._hearing.end_turn)
                case Stall():
                    self._pipeline.pass_time(one.now)
                    self._pause(partial(self._stall, one))

    def _take(self, data: bytes, arrived: Arrival | None) -> None:
        before = self._pipeline.received
        self._pipeline.receive_pcm(data, arrived)
        for place, suspicion in self._suspicions.take(before, self._pipeline.received):
            self._requests.add(place, partial(self._suspect, suspicion))
        for place, repeat in self._suspicions.take_repeats():
            self._requests.add(place, partial(self._hearing.repeat, repeat))

    def _begin(self, at: int) -> None:
        self._pipeline.put(Begun(seconds(at), self._speech.position, self._hearing.settings))

    def _suspect(self, suspicion: Suspicion | None, at: int) -> None:
        told = self._hearing.suspected
        self._hearing.settings = replace(self._hearing.settings, suspicion=suspicion)
        self._pipeline.put(Suspected(seconds(at), self._speech.position, self._hearing.settings))
        if self._hearing.suspected != told:
            self._hearing.tell_quality(at)

    def _pause(self, then: Callable[[int], None]) -> None:
        """What is being said ends with the sound that is there, before ``then``."""
        self._requests.add(self._pipeline.paused, then)
        self._hear(self._pipeline.pause())

    def _stall(self, stall: Stall, at: int) -> None:
        t = self._pipeline.received_s
        gap_s, late_s = round(stall.gap_s, 3), round(stall.late_s, 3)
        self._pipeline.put(Stalled(t=t, stalled=not stall.back, gap_s=gap_s, late_s=late_s))
        if not stall.back:
            self._hearing.lapse(t, f"no sound for {stall.gap_s:.1f} s")

    def _configure(self, decisions: DecisionConfig) -> None:
        self._hearing.settings = replace(self._hearing.settings, decisions=decisions)

    def _claim(self, at: int, people: EnrolledVoiceprints, claimed: bool, renewed: bool) -> None:
        if not renewed:  # What was said before has its verdict by the claim of that time.
            self._hearing.cut(at)
        self._hearing.settings = replace(self._hearing.settings, enrolled=people, claimed=claimed)
        self._hearing.lapse(seconds(at), "the claim was changed")

    def _reset(self, at: int) -> None:
        self._hearing.cut(at)
        self._pipeline.put(Reset(seconds(at), self._speech.position, self._hearing.settings))

    def _hear(self, spans: Iterable[Span]) -> None:
        for span in self._requests.between(spans):
            self._hearing.hear(span)
        self._requests.obey(self._pipeline.ruled)
        if self._pipeline.heard_all and not self._eof:
            self._requests.obey(self._pipeline.received)
            self._eof = True
            self._hearing.end_turn(self._pipeline.ruled)
            self._pipeline.put(Eof())

    def _tell(self, item: Item) -> Iterable[AnyEvent]:
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
                self._pipeline.end()
                return [self._summary()]
            case event:
                return [event]

    def _decide(self, known: KnownSpeech) -> Iterable[AnyEvent]:
        mark, scored = known.mark, known.scored
        start = mark.turn if scored is None else scored.start
        failure = self._speech.failure(start, mark.position)
        if failure is not None and mark.position - start >= LEAST_SAMPLES:
            yield Failure(t=seconds(mark.at), code="window-failed", message=failure)
            known = replace(known, scored=None)
        yield from self._overlap.add(
            self._speech, mark, suspected=known.settings.suspicion is not None
        )
        yield from self._tracker.add(self._speech, known)

    def _summary(self) -> Summary:
        return Summary(
            t=self.received_s,
            received_s=self.received_s,
            speech_s=seconds(self._speech.position),
            match_s=round(self._tracker.match_s, 3),
            decisions=dict(self._tracker.decisions),
            model=self._model,
        )
