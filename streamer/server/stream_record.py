"""What a live stream leaves in the record, from its first second, watched or not.

Its incidents follow from the same entries, whether or not they are written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events
from engine.scoring.measured_rates import measured_rates
from streamer.records.entries import (
    Acted,
    AnyEntry,
    Claimed,
    ClipsAnswer,
    Connection,
    Started,
    Suspended,
    VoiceprintFacts,
    Waited,
)
from streamer.records.incidents.tracker import IncidentTracker
from streamer.records.recorder import Recorder
from streamer.records.references import References
from streamer.records.rules import IncidentRules
from streamer.records.writer import Writer
from streamer.server.clips import StreamClips
from streamer.server.outbox import Message
from streamer.wire.incidents import Incident

if TYPE_CHECKING:
    from streamer.server.live_stream import LiveStream


class StreamRecord:
    """Of one stream. ``on_lost`` is called when entries begin to be lost."""

    def __init__(self, stream: LiveStream, writer: Writer | None, on_lost: Callable[[], None]):
        self._stream, self._writer, self._on_lost = stream, writer, on_lost
        self._recorder = Recorder(_references(stream), _claimed(stream))
        self._tracker = IncidentTracker()
        self._losing = self.ended = False
        wakefulness = stream.context.wakefulness
        wakefulness.look(time.time())
        self._suspensions = wakefulness.count  # those of before, or told
        writers = stream.context.clips
        self._clips = None if writers is None else StreamClips(stream, writers)

    def start(self, live: bool | None) -> None:
        """The stream is open."""
        stream, context = self._stream, self._stream.context
        candidate = stream.sitting.candidate if stream.sitting is not None else None
        self._keep(
            Started(
                at=_now(),
                t=0.0,
                stream=stream.id,
                # A candidate's name is on the roster, and goes with it.
                label="" if candidate is not None else stream.label,
                exam=candidate.exam if candidate is not None else None,
                candidate=candidate.id if candidate is not None else None,
                server=context.server,
                model=context.model,
                false_alarms_per_hour=stream.decisions.false_alarms_per_hour,
                measured=measured_rates(context.scorer.calibration),
                rules=_rules(stream),
                live=live is not False,
                clips=_clips(stream),
                **_terms(stream),
            )
        )
        if self._clips is not None:
            self._clips.claim()

    def hear(self) -> None:
        """Sound has come."""
        if self._clips is not None:
            self._clips.hear()

    @property
    def incidents(self) -> list[Incident]:
        """All so far, oldest first."""
        return self._tracker.incidents

    def pass_time(self, now: float) -> None:
        """So late it is, in seconds since 1970: what nobody says anything of is told in time.

        Of sound that has come and waits nobody knows yet whether somebody speaks in it.
        """
        if self.ended:
            return
        self._tell_suspensions()
        waited = Waited(at=round(now - self._stream.intake.waiting_s, 3), t=self._recorder.t)
        if told := self._tracker.pass_time(waited.at):
            self._write(waited)
            self._publish(told)

    def act(self, acted: Acted) -> None:
        """Somebody at a desk did something, which is in the record already."""
        self._publish(self._tracker.receive(acted))

    def claim(self) -> None:
        """Other terms hold. The store may change while a stream that is over waits for a client."""
        if self.ended:
            return
        self._recorder.renew(_references(self._stream), _claimed(self._stream))
        t = self._stream.session.received_s
        self._keep(Claimed(at=_now(), t=t, **_terms(self._stream)))
        if self._clips is not None:
            self._clips.claim()

    def ask_about_clips(self) -> None:
        """Whether sound may be kept is another answer than before."""
        if self._clips is not None:
            self._clips.claim()

    def tell(self, event: events.Event) -> None:
        """An event was told."""
        if (entry := self._recorder.receive(event, _now())) is not None:
            self._keep(entry)

    def dropped(self, why: str) -> None:
        """The client was lost. It may come back; to a stream that is over, for its last words."""
        if self.ended:
            return
        t = self._stream.session.received_s
        self._keep(Connection(at=_now(), t=t, state="dropped", why=why))

    def resumed(self) -> None:
        """The client came back."""
        if self.ended:
            return
        self._keep(Connection(at=_now(), t=self._stream.session.received_s, state="resumed"))

    def end(self, code: int, why: str) -> None:
        """The stream is over, whether or not its client has fetched all that was told."""
        if not self.ended:
            self._keep(self._recorder.end(code, why, _now()))
            if self._clips is not None:
                self._clips.end()
        self.ended = True

    def _publish(self, incidents: Iterable[Incident]) -> None:
        hub = self._stream.context.hub
        for incident in incidents:
            if self._clips is not None:
                self._clips.receive(incident)
            if len(hub):
                hub.publish(self._stream.id, Message(incident))

    def _tell_suspensions(self) -> None:
        """That the clock jumped, before anything is told of the time after."""
        wakefulness = self._stream.context.wakefulness
        for since, until in wakefulness.after(self._suspensions):
            entry = Suspended(at=until, t=self._recorder.t, since=since, until=until)
            self._publish(self._tracker.receive(entry))
            self._write(entry)
        self._suspensions = wakefulness.count

    def _keep(self, entry: AnyEntry) -> None:
        self._stream.context.wakefulness.look(time.time())
        self._tell_suspensions()
        self._publish(self._tracker.receive(entry))
        self._write(entry)

    def _write(self, entry: AnyEntry) -> None:
        if self._writer is None:
            return
        kept, losing = self._writer.put(self._stream.id, entry), self._losing
        self._losing = not kept
        if self._losing and not losing:
            self._on_lost()


def _now() -> float:
    return round(time.time(), 3)


def _clips(stream: LiveStream) -> ClipsAnswer | None:
    """What the candidate has said of clips; None where the server keeps none."""
    if stream.context.clips is None or stream.sitting is None:
        return None
    return stream.sitting.clips


def _rules(stream: LiveStream) -> IncidentRules:
    """Those of the server, and in an exam those of the exam and of the candidate."""
    usual = stream.context.config.incidents
    if stream.sitting is None:
        return usual
    exam, candidate = stream.sitting.exam.rules, stream.sitting.candidate
    return msgspec.structs.replace(
        usual,
        incident_s=exam.incident_s,
        undecided_s=exam.undecided_s,
        silent_s=exam.silent_s,
        speaking=exam.speaking,
        notes_only=usual.notes_only or bool(candidate.accommodations),
    )


def _references(stream: LiveStream) -> References:
    profiles = stream.context.enrolled.profiles
    return References({n: profiles[n].reference for n in stream.claim.compared if n in profiles})


def _claimed(stream: LiveStream) -> str | None:
    """Who is claimed, where the terms name one."""
    profiles = stream.context.enrolled.profiles
    names = [name for name in stream.claim.verified if name in profiles]
    return names[0] if len(names) == 1 else None


def _terms(stream: LiveStream) -> dict[str, Any]:
    profiles = stream.context.enrolled.profiles
    claimed = [profiles[name] for name in stream.claim.verified if name in profiles]
    return {
        "mode": stream.claim.mode,
        "claims": tuple(profile.reference for profile in claimed),
        "voiceprints": tuple(
            VoiceprintFacts(
                speaker=profile.reference,
                enrolled_at=profile.created_at,
                expires_at=profile.expires_at,
                speech_s=profile.net_speech_s,
                consent_version=profile.consent.text_version,
                consent_at=profile.consent.given_at,
            )
            for profile in claimed
        ),
        "compared": len(stream.claim.compared),
        "bounds": stream.bounds,
        "expected_rates": stream.expected_rates,
    }
