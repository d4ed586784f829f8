"""What is heard becomes turns, with what can be said of each place in them, and lapses after them.

Spans of speech and silence come in the order of media time; what follows from them waits in the
pipeline until its place can be asked for.
"""

from __future__ import annotations

from engine.audio.offset import OffsetRemoval
from engine.audio.repeats import Repeat
from engine.audio.speech_levels import SpeechLevels
from engine.audio.suspicion import Suspicion
from engine.decisions.change_places import LAPSE_S
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.score_events import ScoredSpan
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import AnyEvent, Vad
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.items import Begun, Eof, Lapse, Reset, Suspected
from engine.pipeline import Pipeline
from engine.session_config import SessionConfig
from engine.sound_quality import PERIOD_SAMPLES, SoundQuality
from engine.spans.interface import LEAST_SAMPLES, Mark, SpeechEmbeddings
from engine.speech.segmenter import Span

LAPSE_SAMPLES = round(LAPSE_S * SAMPLE_RATE_HZ)

Item = AnyEvent | KnownSpeech | Begun | Lapse | Reset | Suspected | Eof


class Hearing:
    """The hearing of one session, which puts what it finds into its ``pipeline``.

    ``settings`` hold for the speech that is heard from now on; ``quality`` measures the sound.
    """

    def __init__(
        self,
        pipeline: Pipeline[Item],
        speech: SpeechEmbeddings,
        offset: OffsetRemoval,
        config: SessionConfig,
        settings: TrackerSettings,
    ) -> None:
        self._pipeline, self._speech, self.settings = pipeline, speech, settings
        self._window = round(config.windows.window_s * SAMPLE_RATE_HZ)
        self._first = round(config.windows.first_s * SAMPLE_RATE_HZ)
        self._turn_pause = round(config.turn_pause_s * SAMPLE_RATE_HZ)
        self._spoke: int | None = None  # media sample of the last speech, until that has lapsed
        self._gap_s = 0.0  # of the clock, without any sound since the last speech
        self._turn_gap_s = 0.0  # and before the turn under way
        self._speaks = False  # be it muted
        self._turned: int | None = None  # the media sample at which a client last ended a turn
        self._muted, self._unmuted = False, 0  # and the media sample at which that last changed
        self._repeat: Repeat | None = None
        self.quality = SoundQuality(offset)
        self._levels = SpeechLevels()

    def hear(self, span: Span) -> None:
        """A span of speech or silence, which follows on the one before."""
        if span.started:
            self._speaks = True
            self._pipeline.put(Vad(t=seconds(span.end), speech=True, at=seconds(span.start)))
        self.quality.add(span)
        if span.speech and not self._muted:
            self._speak(span)
        else:
            self._age(span.end)
        if span.ended:
            self._speaks = False
            end = seconds(span.end)
            self._pipeline.put(Vad(t=end, speech=False, at=end))
        if len(span.samples) and span.end % PERIOD_SAMPLES == 0:
            self.tell_quality(span.end)

    def tell_quality(self, at: int) -> None:
        """How the sound is that came before media sample ``at``."""
        self._pipeline.put(self.quality.event(at, self.suspected, self._repeat))

    @property
    def suspected(self) -> Suspicion | None:
        """What is told as a problem of the sound: verdicts wait for less (``settings``)."""
        found = self.settings.suspicion
        return found if found is not None and found.sure else None

    def repeat(self, repeat: Repeat | None, at: int) -> None:
        """The sound is what had come before, or no longer. Our own loudspeaker may say it twice."""
        if repeat is not None and (self._muted or repeat.since_s < seconds(self._unmuted)):
            return
        if repeat != self._repeat:
            self._repeat = repeat
            self.tell_quality(at)

    def end_turn(self, at: int) -> None:
        """The turn under way, if there is one, is over at media sample ``at``."""
        for mark in self._speech.end_turn(at):
            self._known(mark)

    def cut(self, at: int) -> None:
        """A client ends the turn under way at media sample ``at``, whatever it asked for."""
        self._turned = at
        self.end_turn(at)

    def turn(self, at: int) -> None:
        """A client says that a turn begins at media sample ``at``.

        Whether somebody speaks there is told, so that it knows when all before it has been heard.
        Nobody has said anything to be judged by where a client has ended the one before sooner than
        a turn has to last: it begins none. Cut into shorter pieces, the speech of the right
        person came out as a stranger's.
        """
        if self._turned is None or at - self._turned >= LEAST_SAMPLES:
            self.cut(at)
        self._pipeline.put(Vad(t=seconds(at), speech=self._speaks, at=seconds(at)))

    def mute(self, at: int, on: bool) -> None:
        """From media sample ``at`` on nothing is judged, or everything again."""
        self.cut(at)
        self.quality.take_turn()  # a loudspeaker's sound is none of the next turn's
        self._muted, self._unmuted = on, at

    def pass_gap(self, gap_s: float, at: int) -> None:
        """At media sample ``at`` nothing was said for ``gap_s`` seconds of the clock."""
        self._gap_s += gap_s
        self._age(at)

    def lapse(self, t: float, reason: str) -> None:
        """The last decision ceases to hold at media time ``t``."""
        self._pipeline.put(Lapse(t, self._speech.position, reason, self.settings))

    def _speak(self, span: Span) -> None:
        if self._gap_s:
            self._turn_gap_s, self._gap_s = self._gap_s, 0.0
        self._levels.push(span.samples)
        for mark in self._speech.push(span.start, span.samples):
            self._known(mark)
        self._spoke = span.end

    def _known(self, mark: Mark) -> None:
        """A place in the speech that can be asked for: what was said before it is scored."""
        scored: ScoredSpan | None = None
        sound = self.quality.last
        if mark.ends_turn:
            sound = self.quality.take_turn()
        elif mark.position - mark.turn >= self._first:
            start = max(mark.turn, mark.position - self._window)
            scored = ScoredSpan(start, mark.position, mark.at)
        known = KnownSpeech(mark, self.settings, scored, sound, self._turn_gap_s, self._levels)
        self._pipeline.put(known, mark.position)
        if mark.ends_turn:
            self._turn_gap_s = 0.0

    def _age(self, now: int) -> None:
        """End the turn after a pause, and after a long one what was decided.

        A long silence says nothing of who speaks next.
        """
        if self._spoke is None:
            return
        unheard = round(self._gap_s * SAMPLE_RATE_HZ)
        ends, lapses = self._spoke + self._turn_pause, self._spoke + LAPSE_SAMPLES
        if now >= ends - unheard:
            self.end_turn(max(ends - unheard, self._spoke))
        else:
            self._pipeline.wait_for(ends - unheard)
        if now >= lapses - unheard:
            lapsed, self._spoke = max(lapses - unheard, self._spoke), None
            self.lapse(seconds(lapsed), f"no speech for {LAPSE_S:.0f} s")
