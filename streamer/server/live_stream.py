"""One stream on the server: what outlives its connections.

The engine's stream, the session's claim, the outbox, and a count of the bytes taken. A
connection attends it (:mod:`streamer.server.streams`); when one is lost, the next goes on.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from engine import events
from engine.errors import VoxwatchError
from engine.scoring.expected_rates import ExpectedRate
from engine.scoring.scorer import PreparedEmbeddings
from streamer.server import notices
from streamer.server.caller import Caller
from streamer.server.claim import Claim
from streamer.server.context import Context, bounds_of
from streamer.server.figures import for_candidate, plain
from streamer.server.intake import Intake
from streamer.server.levels import Levels
from streamer.server.limits.attempts import Tries
from streamer.server.outbox import Message, Outbox, slow_consumer
from streamer.server.protocol import failure
from streamer.server.seats import Sitting
from streamer.server.session import new_session
from streamer.server.speaking import Speaking
from streamer.server.stream_record import StreamRecord
from streamer.session_config import session_config
from streamer.wire import messages
from streamer.wire.errors import WireError
from streamer.wire.parsing import claims_of
from streamer.wire.requests import (
    Close,
    Configure,
    Finalize,
    Keepalive,
    Mute,
    Reset,
    StartStream,
    StreamControl,
    Turn,
)

log = logging.getLogger("voxwatch.server")

OF_CANDIDATES = (Finalize, Close, Keepalive)  # controls, which change nothing in an exam
ID_BYTES = 8  # of the public id: of as many streams as a record ever has, no two have the same


class LiveStream:
    """A stream, from its start to its end, over any number of connections."""

    def __init__(
        self,
        context: Context,
        start: StartStream,
        claim: Claim,
        caller: Caller,
        sitting: Sitting | None = None,
    ) -> None:
        config = context.config
        self.sitting, self.warned = sitting, False  # an exam, and whether its end was told before
        self._summed_up = self._warned_of_tries = False
        self.context, self._caller = context, caller
        rate = context.rate_of(caller, start.false_accept)
        start = msgspec.structs.replace(start, false_accept=rate)
        self.id, self.secret = secrets.token_hex(ID_BYTES), context.peers.secret()
        self.label, self.claim = start.label, claim
        settings = session_config(config, start)
        self.windows, self.decisions = settings.windows, settings.decisions
        self.session = new_session(context, start, claim.enrolled, claimed=bool(claim.asked))
        self.stream = context.engine.open(self.session, live=start.live)
        self._levels = Levels(self.id, self.session, context.hub)
        self.intake = self._intake(start)
        limits = config.limits
        self.outbox = Outbox(limit=limits.outbox, kept=limits.resume_events)
        self.opened_at = time.time()
        self.decision: events.Decision | None = None
        self._tries = Tries(context.attempts, caller.client)
        self.speaking = Speaking()
        self.stalled = False
        self.told = asyncio.Event()  # the engine has said all
        self.closing = (1000, "")  # close code and reason once everything has been told
        self._settling = asyncio.Lock()  # one change of claim at a time
        self.record = StreamRecord(self, context.writer, self._tell_not_recorded)
        self.record.start(start.live)

    def _intake(self, start: StartStream) -> Intake:
        return Intake(
            self.context,
            self.stream,
            start,
            "stream",
            self._caller,
            self._hear,
            self._tell_behind,
            self._tell_ending,
            lambda told: self.outbox.put(Message(told)),
        )

    @property
    def bounds(self) -> messages.Bounds:
        """The error rates asked for, and the bounds that follow from them."""
        return bounds_of(self.decisions)

    @property
    def expected_rates(self) -> tuple[ExpectedRate, ...]:
        """The error rates to be expected by the enrolment."""
        return self.claim.rates(self.context.scorer.calibration)

    @property
    def speech_s(self) -> float:
        """Seconds of speech so far, with what is being said just now."""
        return self.speaking.speech_s(self.session.received_s)

    async def obey(self, control: StreamControl) -> None:
        """Do what the client asks for. Raises :class:`WireError`."""
        if self._caller.grant.seat is not None and not isinstance(control, OF_CANDIDATES):
            raise WireError("unauthorised", "a candidate's stream is listened to as it is")
        match control:
            case Finalize() | Close():
                self._tell_torn()
                await self.intake.finalize()
            case Configure():
                await self._configure(control)
            case Turn():
                self.stream.ask(self.session.turn)
            case Reset():
                self.count_attempt()  # what was tried until now; the next voice is another try
                self.context.check_attempts(self._caller, self.claim.verified)
                self.stream.ask(self.session.reset)
            case Mute():
                self.stream.ask(lambda: self.session.mute(control.on))

    def tell(self, event: events.Event) -> None:
        """To the client and to whoever follows the stream, until it is over."""
        if self.outbox.ended:
            return
        self._summed_up |= isinstance(event, events.Summary)
        if isinstance(event, events.Decision):
            self.decision = event
            if event.state == "match" and event.speaker is not None:
                self.context.used.add(event.speaker)
        elif isinstance(event, events.Vad):
            self.speaking.hear(event)
        elif isinstance(event, events.Stalled):
            self.stalled = event.stalled
        self.record.tell(event)
        message = Message(event)
        self.context.counts.messages[str(event.__struct_config__.tag)] += 1
        self._tell_client(message)
        if len(self.context.hub):
            self.context.hub.publish(self.id, message)
        # A takeover in an exam is no try at a claim: it is recorded to its end.
        tries = self.claim.asked and self.sitting is None
        if tries and isinstance(event, events.Decision | events.Utterance):
            self._tried(event)

    def _tried(self, event: events.Decision | events.Utterance) -> None:
        """A try at the claim may have failed: after too many of them the stream ends."""
        self._tries.tell(event, time.monotonic())
        if isinstance(event, events.Utterance):
            self._warn_of_tries()
        if event.state == "mismatch" and not self.intake.finalized:
            try:
                self.context.check_attempts(self._caller, self.claim.verified)
            except WireError as error:
                self.fail(error)

    def _warn_of_tries(self) -> None:
        """Tell once that one try is left, and again if a match has made good for others since."""
        last = self.context.attempts_left(self._caller, self.claim.verified) == 1
        if last and not self._warned_of_tries:
            self._tell_ending(notices.LAST_TRY)
        self._warned_of_tries = last

    def _tell_client(self, message: Message) -> None:
        if self._caller.grant.seat is not None:
            told = for_candidate(message)
        else:
            told = message if self.context.tells_figures(self._caller) else plain(message)
        if told is not None:
            self.outbox.put(told)

    async def pump(self) -> None:
        """Tell what the engine says until it has said all. Never raises."""
        try:
            async for event in self.stream:
                self.tell(event)
        except Exception as error:
            self._break(error)
        why = self.intake.why or (slow_consumer() if self.outbox.slow else None)
        if why is not None:  # where its last words were too many nobody has come to cut it
            self.fail(why)
        self.outbox.end()
        self.told.set()

    def pass_time(self, now: float) -> None:
        """So late it is, in seconds since 1970. What fails ends this stream and no other."""
        try:
            self.record.pass_time(now)
        except Exception as error:
            self._break(error)

    def _break(self, error: Exception) -> None:
        cause: BaseException = error
        while cause.__cause__ is not None:  # the engine says only that it cannot go on
            cause = cause.__cause__
        # Where it happened, but not what was said: that could hold a name.
        where = "".join(traceback.format_tb(cause.__traceback__))
        log.error("stream %s failed: %s\n%s", self.id, type(cause).__name__, where)
        told = str(error) if isinstance(error, VoxwatchError) else "the engine failed"
        self.fail(WireError("engine-failed", told))

    def sum_up(self) -> None:
        """Tell the summary of what is known, unless it was told: nothing more will be judged."""
        if not self._summed_up:
            self.tell(self.session.summary())

    def fail(self, error: WireError) -> None:
        """The stream is over: clients get what was told so far, a summary, then the error."""
        if self.outbox.ended:
            return
        self.sum_up()
        self.context.counts.errors[error.code] += 1
        self.closing = (error.close_code, error.code)
        told = failure(error, self.session.received_s)
        self.record.tell(told)
        self.outbox.end(Message(told))
        self.context.hub.publish(self.id, Message(told))
        self.record.end(*self.closing)

    def _hear(self) -> None:
        self._levels.publish()
        self.record.hear()

    def _tell_ending(self, why: str) -> None:
        self.tell(notices.ends_soon(self.session.received_s, why))

    def _tell_behind(self, behind_s: float) -> None:
        self.tell(notices.behind(self.session.received_s, behind_s))

    def _tell_torn(self) -> None:
        if (count := self.intake.torn) and not self.intake.finalized:
            self.tell(notices.torn(self.session.received_s, count))

    def _tell_not_recorded(self) -> None:
        self.tell(notices.not_recorded(self.session.received_s))

    async def _configure(self, asked: Configure) -> None:
        """Other bounds or another claim. Raises :class:`WireError` and then changes nothing."""
        most = self.context.config.limits.claims
        async with self._settling:
            names = self.claim.asked if asked.claim is None else claims_of(asked.claim, most)
            if asked.false_accept is not None:
                self.context.rate_of(self._caller, asked.false_accept)
            if asked.claim is not None:
                self.context.check_attempts(self._caller, names)
                enrolled = await self.context.enrolled.find(names)
                claim = Claim(tuple(enrolled) if names else (), enrolled)
                if not claim.like(self.claim):
                    self._compare(claim)
            self.decisions = replace(
                self.decisions,
                false_accept=asked.false_accept or self.decisions.false_accept,
                miss=asked.miss or self.decisions.miss,
            )
            self.session.configure(self.decisions)
            self._tell_configured()

    async def renew(self, everybody: Mapping[str, PreparedEmbeddings]) -> None:
        """The store has changed: ``everybody`` are those enrolled now."""
        async with self._settling:
            before, claim = self.claim, self.claim.among(everybody)
            if claim.like(before):
                return
            self._compare(claim, renewed=True)
            if claim.asked and before.compared - claim.compared:
                self.tell(notices.claim_ended(self.session.received_s))
            self._tell_configured()

    def _compare(self, claim: Claim, *, renewed: bool = False) -> None:
        self.count_attempt()
        self.claim = claim
        self.session.claim(claim.enrolled, bool(claim.asked), renewed=renewed)

    def count_attempt(self) -> None:
        """What was tried at the claim until now is over."""
        self._tries.end(self.claim.verified, time.monotonic(), self.session.received_s)

    def _tell_configured(self) -> None:
        self.record.claim()
        self.tell(
            messages.Configured(
                t=self.session.received_s,
                mode=self.claim.mode,
                claims=self.claim.verified,
                bounds=self.bounds,
                expected_rates=self.expected_rates,
            )
        )
