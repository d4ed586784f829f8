"""One stream on the server: what outlives its connections.

The engine's stream, the session's claim, the outbox, and a count of the bytes taken. A
connection attends it (:mod:`streamer.server.streams`); when one is lost, the next goes on.
"""

# Over 300 lines: one object owns one stream, and what it tells of itself is a third of it.

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace

from engine import events
from engine.audio.pcm import PcmDecoder
from engine.audio.quality import Meter
from engine.decisions.config import DecisionConfig
from engine.errors import VoxwatchError
from engine.scoring.scorer import Sides
from engine.session import Session, SessionConfig
from engine.speech.windows import WindowConfig
from streamer.server.context import Context, bounds_of
from streamer.server.intake import Intake
from streamer.server.outbox import Message, Outbox
from streamer.server.speakers import alike
from streamer.wire import messages
from streamer.wire.messages import WireError
from streamer.wire.requests import Close, Configure, Finalize, StartStream, StreamControl, claims_of

log = logging.getLogger("voxwatch.server")

PEAK_STEP_S = 0.02
LEAST_PEAKS = 5  # a tenth of a second to a level message


class LiveStream:
    """A stream, from its start to its end, over any number of connections.

    ``asked`` are the names claimed: an empty claim asks who of all enrolled it is. Where a
    claimed voiceprint is deleted the claim ends, and the stream never goes on to compare the
    voice with people that nobody asked for: it tells changes of voice only.
    """

    def __init__(
        self,
        context: Context,
        start: StartStream,
        asked: tuple[str, ...],
        sides: Mapping[str, Sides],
    ) -> None:
        config = context.config
        self.context = context
        self.id, self.secret = secrets.token_hex(4), secrets.token_urlsafe(24)
        self.label, self.asked, self._sides = start.label, asked, dict(sides)
        self.decisions = DecisionConfig(
            false_accept=start.false_accept or config.false_accept,
            miss=start.miss or config.miss,
            false_alarms_per_hour=config.false_alarms_per_hour,
        )
        window_s, hop_s = start.window_s or config.window_s, start.hop_s or config.hop_s
        self.windows = WindowConfig(window_s=window_s, hop_s=min(hop_s, window_s))
        self.session = self._session(start, sides)
        self.stream = context.engine.open(self.session)
        self.intake = Intake(context, self.stream, start, "stream", self._tell_levels)
        limits = config.limits
        self.outbox = Outbox(limit=limits.outbox, kept=limits.resume_events)
        self.opened_at = time.time()
        self.decision: events.Decision | None = None
        self._speech_s = 0.0  # of the spans that have ended
        self._speaking_since: float | None = None
        self.closing = (1000, "")  # close code and reason once everything has been told
        self._settling = asyncio.Lock()  # one change of claim at a time
        self._levels_at = 0.0

    def _session(self, start: StartStream, sides: Mapping[str, Sides]) -> Session:
        decoder = PcmDecoder(
            start.encoding, start.sample_rate, channels=start.channels, channel=start.channel
        )
        settings = SessionConfig(
            windows=self.windows,
            decisions=self.decisions,
            prior=self.context.config.prior,
            glance=self.context.config.glance,
        )
        return Session(
            self.context.scorer,
            sides,
            decoder=decoder,
            config=settings,
            claimed=bool(self.asked),
            model=f"{self.context.model.name} {self.context.model.version}",
        )

    @property
    def names(self) -> frozenset[str]:
        """Those whose voiceprints the voice is compared with."""
        return frozenset(self._sides)

    @property
    def mode(self) -> messages.Mode:
        """What is said of the voice."""
        if not self.names:
            return "changes"
        return "verify" if self.asked else "identify"

    @property
    def claims(self) -> tuple[str, ...]:
        """The names that are verified."""
        return tuple(name for name in self.asked if name in self.names)

    def ready(self, *, resume_from: int | None) -> messages.Ready:
        """The first message on a connection; ``resume_from``: where the client goes on."""
        return messages.Ready(
            seq=0 if resume_from is None else resume_from - 1,
            t=self.session.received_s,
            session=self.secret,
            stream=self.id,
            server=self.context.server,
            model=self.context.model,
            mode=self.mode,
            claims=self.claims,
            window_s=self.windows.window_s,
            hop_s=self.windows.hop_s,
            first_s=self.windows.first_s,
            decide_s=self.decisions.decide_s,
            bounds=bounds_of(self.decisions),
            operating_points=self.context.operating_points,
            limits=self.context.limits,
            received_bytes=self.intake.received_bytes,
            resumed=resume_from is not None,
        )

    def opened(self) -> messages.Opened:
        """What monitors are told of it."""
        return messages.Opened(
            t=self.session.received_s,
            label=self.label,
            mode=self.mode,
            claims=self.claims,
            bounds=bounds_of(self.decisions),
            model=self.context.model,
            window_s=self.windows.window_s,
            hop_s=self.windows.hop_s,
            decide_s=self.decisions.decide_s,
        )

    def state(self) -> messages.StreamState:
        """How it stands, for monitors that come later."""
        decision, received_s, since = self.decision, self.session.received_s, self._speaking_since
        under_way_s = 0.0 if since is None else max(0.0, received_s - since)
        return messages.StreamState(
            stream=self.id,
            label=self.label,
            mode=self.mode,
            claims=self.claims,
            bounds=bounds_of(self.decisions),
            model=self.context.model,
            state=decision.state if decision else None,
            speaker=decision.speaker if decision else None,
            since=decision.since if decision else None,
            speaking=since is not None,
            speech_s=self._speech_s + under_way_s,
            window_s=self.windows.window_s,
            hop_s=self.windows.hop_s,
            decide_s=self.decisions.decide_s,
            received_s=received_s,
            opened_at=self.opened_at,
        )

    async def obey(self, control: StreamControl) -> None:
        """Do what the client asks for. Raises :class:`WireError`."""
        match control:
            case Finalize() | Close():
                await self.intake.finalize()
            case Configure():
                await self._configure(control)

    def _tell_levels(self) -> None:
        hub, meter = self.context.hub, self.session.meter
        if not len(hub) or not hub.wants_levels(self.id):
            self.session.meter = None
        elif meter is None:
            self.session.meter = Meter()
        elif (now := time.monotonic()) - self._levels_at >= LEAST_PEAKS * PEAK_STEP_S * 0.9:
            self._levels_at = now
            if peaks := meter.take():
                level = messages.Level(t=self.session.received_s, step_s=PEAK_STEP_S, peaks=peaks)
                hub.publish(self.id, Message(level))

    def tell(self, event: events.Event) -> None:
        """To the client and to whoever follows the stream."""
        if isinstance(event, events.Decision):
            self.decision = event
        elif isinstance(event, events.Vad):
            self._heard(event)
        message = Message(event)
        self.context.counts.messages[str(event.__struct_config__.tag)] += 1
        self.outbox.put(message)
        if len(self.context.hub):
            self.context.hub.publish(self.id, message)

    def _heard(self, vad: events.Vad) -> None:
        if self._speaking_since is not None:
            self._speech_s += max(0.0, vad.at - self._speaking_since)
        self._speaking_since = vad.at if vad.speech else None

    async def pump(self) -> None:
        """Tell what the engine says until it has said all. Never raises."""
        try:
            async for event in self.stream:
                self.tell(event)
        except Exception as error:
            log.error("stream %s failed: %s", self.id, type(error).__name__)
            told = str(error) if isinstance(error, VoxwatchError) else "the engine failed"
            self.fail(WireError("engine-failed", told))
        if self.intake.retiring:
            self.fail(WireError("shutting-down", "the server stops: connect again later"))
        self.outbox.end()

    def fail(self, error: WireError) -> None:
        """The stream is over: everything told so far, then the error, is what clients get."""
        if self.outbox.ended:
            return
        self.context.counts.errors[error.code] += 1
        self.closing = (error.close_code, error.code)
        failure = events.Failure(t=self.session.received_s, code=error.code, message=str(error))
        self.outbox.end(Message(failure))
        self.context.hub.publish(self.id, Message(failure))

    async def _configure(self, asked: Configure) -> None:
        """Other bounds or another claim. Raises :class:`WireError` and then changes nothing."""
        most = self.context.config.limits.claims
        async with self._settling:
            names = self.asked if asked.claim is None else claims_of(asked.claim, most)
            if asked.claim is not None:
                sides = await sides_of(self.context, names)
                self._claim(tuple(sides) if names else (), sides)
            self.decisions = replace(
                self.decisions,
                false_accept=asked.false_accept or self.decisions.false_accept,
                miss=asked.miss or self.decisions.miss,
            )
            self.session.configure(self.decisions)
            self._tell_configured()

    async def renew(self, everybody: Mapping[str, Sides]) -> None:
        """The store has changed: ``everybody`` are those enrolled now."""
        async with self._settling:
            wanted = [n for n in self.asked if n in self.names] if self.asked else everybody
            sides = {name: everybody[name] for name in wanted if name in everybody}
            gone = self.names - sides.keys()
            if alike(self._sides, sides):
                return
            self._claim(self.asked, sides)
            if self.asked and gone:
                self.tell(self._claim_ended())
            self._tell_configured()

    def _claim(self, asked: tuple[str, ...], sides: Mapping[str, Sides]) -> None:
        self.asked, self._sides = asked, dict(sides)
        self.session.claim(sides, bool(asked))

    def _claim_ended(self) -> events.Failure:
        return events.Failure(
            t=self.session.received_s,
            code="claim-ended",
            message="a voiceprint of the claim was deleted: the voice is not compared with it"
            " any more",
        )

    def _tell_configured(self) -> None:
        self.tell(
            messages.Configured(
                t=self.session.received_s,
                mode=self.mode,
                claims=self.claims,
                bounds=bounds_of(self.decisions),
            )
        )


async def sides_of(context: Context, names: tuple[str, ...]) -> dict[str, Sides]:
    """Voiceprints of those named, or of everybody. Raises :class:`WireError`."""
    if not names:
        return await asyncio.to_thread(context.speakers.everybody)
    return await asyncio.to_thread(context.speakers.named, names)
