"""`/v1/enroll`: one person's voice in, progress out, and at the end a voiceprint in the store."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import msgspec

from engine import events
from engine.enrolment import Enrolment
from engine.enrolment_demands import EnrolmentConfig
from engine.errors import VoxwatchError
from engine.scoring.voiceprints import Voiceprint
from engine.serving.engine import Stream
from streamer.exams.errors import ExamError
from streamer.server.agreement import Agreement
from streamer.server.caller import Caller
from streamer.server.connection import Connection
from streamer.server.context import Context
from streamer.server.intake import Intake, first_text, read_wire
from streamer.server.outbox import Message, Outbox
from streamer.server.sound import pcm_decoder
from streamer.store.errors import BadName, NameTaken, OtherModel, StoreError, UnknownSpeaker
from streamer.store.profile import Consent, Profile, clean_name
from streamer.tasks import beside
from streamer.wire import messages
from streamer.wire.errors import WireError
from streamer.wire.parsing import parse_enrolment
from streamer.wire.requests import (
    Close,
    Configure,
    Finalize,
    Mute,
    Reset,
    StartEnroll,
    StreamControl,
    Turn,
)

log = logging.getLogger("voxwatch.server")

CODES = {
    BadName: "bad-name",
    NameTaken: "name-taken",
    UnknownSpeaker: "unknown-speaker",
    OtherModel: "unusable-voiceprint",
}


async def enroll(context: Context, connection: Connection) -> None:
    """One connection. Raises :class:`WireError`, ``ConnectionClosed``."""
    start = parse_enrolment(await first_text(connection, context.config.limits.start_s))
    start, agreement = await asyncio.to_thread(_agreed, context, connection.caller, start)
    if context.enrolments >= context.config.limits.enrolments:
        message = "as many people as the server takes are being enrolled (limits.enrolments)"
        raise WireError("overloaded", message)
    context.enrolments += 1
    try:
        await _enroll(context, connection, start, agreement)
    finally:
        context.enrolments -= 1


def _agreed(context: Context, caller: Caller, start: StartEnroll) -> tuple[StartEnroll, Agreement]:
    """Whose voice it is, and what they agreed to. Blocks. Raises :class:`WireError`."""
    sitting = None
    if caller.grant.seat is not None:
        sitting = context.seats.of(caller.grant.seat)
        if not sitting.exam.rules.enrol:
            message = "this exam takes those who are enrolled already: ask the examiners"
            raise WireError("unauthorised", message)
        name = sitting.candidate.voiceprint
        start = msgspec.structs.replace(start, name=name, add=False, ttl_days=None, live=True)
    assert start.consent is not None
    try:
        agreement = Agreement.wanted(context, caller, sitting, start.consent)
    except (StoreError, ExamError) as error:
        raise WireError("store-failed", str(error)) from error
    agreement.check(start.consent)
    return start, agreement


async def _enroll(
    context: Context, connection: Connection, start: StartEnroll, agreement: Agreement
) -> None:
    context.check_quota(connection.caller)
    kept = await _check(context, start)
    config = EnrolmentConfig()
    decoder = pcm_decoder(start)
    enrolment = Enrolment(context.scorer, decoder=decoder, config=config, kept=kept)
    stream = context.engine.open(enrolment, live=start.live)
    outbox = connection.outbox = Outbox(first=0, limit=context.config.limits.outbox)
    outbox.put(Message(_ready(context, start, config, agreement)))
    log.info("enrolment %s opened", connection.number)
    intake = Intake(
        context,
        stream,
        start,
        "enrolment",
        connection.caller,
        on_received=lambda told: outbox.put(Message(told)),
    )
    try:
        await beside(
            _tell(context, connection, start, stream, enrolment, agreement),
            intake.receive(connection, partial(read_wire, connection), partial(_obey, intake)),
            connection.flush(),
            outbox.overflow(),
        )
    finally:
        await stream.close()
        log.info("enrolment %s closed", connection.number)


async def _check(context: Context, start: StartEnroll) -> Voiceprint | None:
    """What is refused before anybody has spoken for twenty seconds; what is to be added to."""
    try:
        return await asyncio.to_thread(_joined, context, start)
    except StoreError as error:
        raise _refusal(error) from error


def _joined(context: Context, start: StartEnroll) -> Voiceprint | None:
    """The voiceprint that gets another prototype, None for a new one. Raises `StoreError`."""
    name, now = clean_name(start.name), context.store.now()
    if start.add:
        return context.store.voiceprints(context.model.sha256, now, [name])[name]
    try:
        context.store.profile(name, now)
    except UnknownSpeaker:
        return None
    raise NameTaken("somebody is enrolled under that name: choose another, or add to it")


def _ready(
    context: Context, start: StartEnroll, config: EnrolmentConfig, agreement: Agreement
) -> messages.EnrollReady:
    return messages.EnrollReady(
        t=0.0,
        server=context.server,
        model=context.model,
        name=start.name,
        needed_s=config.needed_s,
        min_s=config.min_s,
        consent_text_version=agreement.version,
        limits=context.limits,
    )


async def _obey(intake: Intake, control: StreamControl) -> None:
    match control:
        case Finalize() | Close():
            await intake.finalize()
        case Configure() | Turn() | Reset() | Mute():
            raise WireError("unknown-control", "an enrolment has nothing to configure")


async def _tell(
    context: Context,
    connection: Connection,
    start: StartEnroll,
    stream: Stream,
    enrolment: Enrolment,
    agreement: Agreement,
) -> None:
    """Progress until the end, and then the voiceprint into the store."""
    outbox, who = connection.outbox, connection.caller.grant.who
    try:
        async for event in stream:
            if isinstance(event, events.Enrolled):
                kept = await _store(context, start, enrolment, event, who, agreement)
                outbox.end(Message(kept))
                return
            if isinstance(event, events.Refused):
                outbox.end(Message(event))
                return
            outbox.put(Message(event))
    except WireError:
        raise
    except VoxwatchError as error:
        raise WireError("engine-failed", str(error)) from error
    raise WireError("engine-failed", "the enrolment ended without a result")


async def _store(
    context: Context,
    start: StartEnroll,
    enrolment: Enrolment,
    enrolled: events.Enrolled,
    who: str,
    agreement: Agreement,
) -> messages.EnrolledAs:
    try:
        profile = await asyncio.to_thread(_add, context, start, enrolment, who, agreement)
    except StoreError as error:
        raise _refusal(error) from error
    except ExamError as error:
        raise WireError("store-failed", str(error)) from error
    like = await context.enrolled.like(profile.name)
    return messages.EnrolledAs(
        t=enrolled.t,
        name=profile.name,
        net_speech_s=profile.net_speech_s,
        prototypes=profile.prototypes,
        agreement=enrolled.agreement,
        # Who else is enrolled is nothing for a candidate.
        like_voices=like if agreement.sitting is None else (),
    )


def _add(
    context: Context, start: StartEnroll, enrolment: Enrolment, who: str, agreement: Agreement
) -> Profile:
    """The person as stored; the voiceprint is on the disk when this returns."""
    now = context.store.now()
    term_s = context.config.ttl_s(start.ttl_days)
    profile = context.store.add(
        start.name,
        enrolment.prototypes,
        consent=Consent(agreement.version, now),
        model_name=context.model.name,
        model_sha256=context.model.sha256,
        ttl_s=term_s,
        now=now,
        extend=start.add,
        who=who,
    )
    agreement.keep(context, profile, term_s)
    return profile


def _refusal(error: StoreError) -> WireError:
    return WireError(CODES.get(type(error), "store-failed"), str(error))
