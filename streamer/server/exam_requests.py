"""Requests about exams on a control connection, and those of a candidate's own page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeGuard

import msgspec

from streamer.exams.consent_text import ExamConsent, clips_consent
from streamer.exams.errors import BadRoster, ExamError, UnknownCandidate, UnknownExam
from streamer.exams.exam import Candidate, Exam, Rules
from streamer.exams.roster_file import entry_of
from streamer.exams.wordings.languages import best_of
from streamer.records.book import Book
from streamer.server.auth import Grant
from streamer.server.context import Context
from streamer.server.exam_consents import answer_clips, consent_of, who_allows_clips
from streamer.server.record_requests import ask_book
from streamer.server.record_upkeep import forget_the_deleted
from streamer.server.seats import Sitting
from streamer.server.streams import Streams
from streamer.store.errors import UnknownSpeaker
from streamer.wire.errors import WireError
from streamer.wire.exam_requests import (
    AnswerClips,
    CandidateLink,
    ExamCreate,
    ExamEnd,
    ExamList,
    ExamRequest,
    ExamShow,
    Roster,
    RosterLine,
    ShowSeat,
    Withdraw,
)
from streamer.wire.requests import Role

NEEDED: dict[type, frozenset[Role]] = {
    ExamList: frozenset({"monitor", "admin"}),
    ExamShow: frozenset({"monitor", "admin"}),
    ExamCreate: frozenset({"admin"}),
    ExamEnd: frozenset({"admin"}),
    Roster: frozenset({"admin"}),
    CandidateLink: frozenset({"admin"}),
}
CODES = {
    UnknownExam: "unknown-exam",
    UnknownCandidate: "unknown-candidate",
    BadRoster: "bad-roster",
}
PAGE = "/candidate#"  # at `public_url`, or beside the server's own address


def is_about_exams(request: object) -> TypeGuard[ExamRequest]:
    """Whether this module answers the request."""
    return isinstance(request, ExamRequest)


async def answer(context: Context, streams: Streams, request: ExamRequest, grant: Grant) -> Any:
    """The result; ``grant`` is that of whoever asks. Raises :class:`WireError`."""
    try:
        result = await _result(context, streams, request, grant)
    except ExamError as error:
        raise WireError(CODES.get(type(error), "exam-failed"), str(error)) from error
    return result


async def _result(context: Context, streams: Streams, request: ExamRequest, grant: Grant) -> Any:
    exams = context.seats.exams
    match request:
        case ExamList():
            return await asyncio.to_thread(lambda: [described(exam) for exam in exams.exams()])
        case ExamShow():
            return await asyncio.to_thread(_shown, context, request.exam)
        case ExamCreate():
            return described(await asyncio.to_thread(_created, context, request))
        case ExamEnd():
            ended = await asyncio.to_thread(exams.end, request.exam, time.time())
            await _changed(context, streams)
            return described(ended)
        case Roster():
            entries = [entry_of(_cells(line)) for line in request.add]
            added = await asyncio.to_thread(exams.add, request.exam, entries)
            await _changed(context, streams)
            usable = await asyncio.to_thread(_usable, context)
            return [listed(one, usable) for one in added]
        case CandidateLink():
            link = await asyncio.to_thread(_link, context, request)
            await _changed(context, streams)
            return link
        case ShowSeat():
            return await asyncio.to_thread(_seat, context, grant, request.languages)
        case AnswerClips():
            if await asyncio.to_thread(_answer_clips, context, grant, request):
                await _withdraw_clips(context, streams, Withdraw(), grant)
            await _changed(context, streams)
            await context.peers.ask("renew")
            return {}
        case Withdraw(clips=True):
            await _withdraw_clips(context, streams, request, grant)
            return {}
        case Withdraw():
            await _withdraw(context, streams, request, grant)
            return {}


def described(exam: Exam) -> dict[str, Any]:
    """An exam as it is told."""
    fields: dict[str, Any] = msgspec.to_builtins(exam)
    return fields | {"exam": exam.id}


def listed(candidate: Candidate, enrolled: Mapping[str, bool]) -> dict[str, Any]:
    """A line of a roster as it is told; ``enrolled`` says of voiceprints whether they serve."""
    return {
        "candidate": candidate.id,
        "number": candidate.candidate,
        "name": candidate.shown,
        "voiceprint": candidate.voiceprint,
        "accommodations": candidate.accommodations,
        "enrolled": enrolled.get(candidate.voiceprint, False),
        "withdrawn_at": candidate.withdrawn_at,
        "clips_refused_at": candidate.clips_refused_at,
        "opened_at": candidate.opened_at,
        "link_expires_at": candidate.link_expires_at,
        "forgotten": candidate.forgotten,
    }


def _shown(context: Context, exam: str) -> dict[str, Any]:
    exams = context.seats.exams
    found, roster, usable = exams.exam(exam), exams.roster(exam), _usable(context)
    return described(found) | {"roster": [listed(one, usable) for one in roster]}


def _usable(context: Context) -> dict[str, bool]:
    """Of all enrolled, by name, whether their voiceprint is one of this model."""
    sha256, store = context.model.sha256, context.store
    return {one.name: one.model_sha256 == sha256 for one in store.profiles(store.now())}


def _created(context: Context, request: ExamCreate) -> Exam:
    now = time.time()
    try:
        rules = msgspec.convert(request.rules, Rules)
    except msgspec.ValidationError as error:
        raise WireError("bad-parameter", f"rules: {error}") from error
    starts_at = now if request.starts_at is None else request.starts_at
    return context.seats.exams.create(request.name, starts_at, request.ends_at, rules, now)


def _cells(line: RosterLine) -> dict[str, str]:
    fields = msgspec.structs.asdict(line)
    return fields | {"accommodations": " ".join(line.accommodations)}


def _link(context: Context, request: CandidateLink) -> dict[str, Any]:
    exams = context.seats.exams
    candidate = exams.candidate(request.exam, request.candidate)
    if request.renew:
        candidate = exams.renew_link(candidate)
    token, expires_at = exams.link(candidate, expires_at=request.expires_at)
    return {
        "candidate": candidate.id,
        "name": candidate.name,
        "link": f"{(context.config.public_url or '').rstrip('/')}{PAGE}{token}",
        "token": token,
        "expires_at": expires_at,
    }


def _seat(context: Context, grant: Grant, languages: Sequence[str]) -> dict[str, Any]:
    """What a candidate's page needs to know; it holds nothing of what was decided."""
    sitting = _sitting(context, grant)
    context.seats.note_opened(sitting)
    exam, candidate, store = sitting.exam, sitting.candidate, context.store
    consent = consent_of(context, sitting, languages)
    try:
        profile = store.profile(candidate.voiceprint, store.now())
        enrolled = profile.model_sha256 == context.model.sha256
    except UnknownSpeaker:
        enrolled = False
    return {
        "exam": exam.name,
        "name": candidate.shown,
        "starts_at": exam.starts_at,
        "ends_at": exam.ends_at,
        "ended_at": exam.ended_at,
        "expires_at": sitting.expires_at,
        "enrolled": enrolled,
        "may_enrol": exam.rules.enrol,
        "withdrawn": candidate.withdrawn_at is not None,
        "consent": _told(consent),
        "clips": _question(context, sitting, languages),
    }


def _sitting(context: Context, grant: Grant) -> Sitting:
    if grant.seat is None:
        raise WireError("unauthorised", "this is for who came by a candidate link")
    return context.seats.of(grant.seat)


def _told(consent: ExamConsent) -> dict[str, Any]:
    return {
        "text_version": consent.version,
        "text": consent.text,
        "text_sha256": consent.sha256,
        "language": consent.language,
        "languages": consent.languages,
        "kept": [{"what": what, "how_long": how_long} for what, how_long in consent.kept],
    }


def _question(
    context: Context, sitting: Sitting, languages: Sequence[str]
) -> dict[str, Any] | None:
    """Whether sound may be kept, with the answer so far; None where none is kept."""
    if not context.config.clips:
        return None
    agreed = who_allows_clips(context, sitting) is not None
    refused = sitting.candidate.clips_refused_at is not None
    answer = "agreed" if agreed else "refused" if refused else "unanswered"
    return _told(clips_consent(best_of(languages))) | {"answer": answer}


def _answer_clips(context: Context, grant: Grant, request: AnswerClips) -> bool:
    """Whether what was agreed to is taken back."""
    try:
        return answer_clips(context, _sitting(context, grant), request, grant.who)
    except UnknownSpeaker as error:
        raise WireError("unknown-speaker", "there is no voiceprint yet: enrol first") from error


def _who_withdraws(context: Context, request: Withdraw, grant: Grant) -> str:
    """The name of a voiceprint."""
    if grant.seat is not None:
        return context.seats.of(grant.seat).candidate.voiceprint
    if request.name is not None and "admin" in grant.roles:
        return request.name
    raise WireError("unauthorised", "this needs a candidate link, or a token with the role admin")


async def _withdraw_clips(
    context: Context, streams: Streams, request: Withdraw, grant: Grant
) -> None:
    """Their sound is deleted, and no more is kept, when this returns; all else goes on."""
    exams, now = context.seats.exams, round(time.time(), 3)
    name = _who_withdraws(context, request, grant)
    everybody = await asyncio.to_thread(exams.everybody)
    theirs = [one for one in everybody if one.voiceprint == name]
    if grant.seat is not None:
        theirs = [one for one in theirs if one.id == grant.seat.candidate]
    if not theirs:
        raise WireError("unknown-candidate", f"nobody on a roster has the voiceprint {name!r}")
    for one in theirs:
        await asyncio.to_thread(exams.consents.withdraw_clips, one.id, now)
        await asyncio.to_thread(exams.note_clips, one, now)
    await _changed(context, streams)  # no sound is held any more, and what waits is not written
    if context.book is not None:
        await ask_book(context, Book.silence, [one.id for one in theirs], grant.who, now)
    await context.peers.ask("renew")


async def _withdraw(context: Context, streams: Streams, request: Withdraw, grant: Grant) -> None:
    """The voiceprint is deleted, and compared with nobody any more, when this returns."""
    name = _who_withdraws(context, request, grant)
    try:
        await asyncio.to_thread(partial(withdraw, context, name, grant.who))
    finally:
        await _changed(context, streams)
        await streams.renew()
        await context.peers.ask("renew")
    await forget_the_deleted(context)


def withdraw(context: Context, name: str, who: str) -> None:
    """Note it wherever the person is known, and delete the voiceprint. Blocks."""
    exams, store, now = context.seats.exams, context.store, time.time()
    for one in exams.everybody():
        if one.voiceprint == name:
            exams.withdraw(one, now)
    try:
        profile = store.profile(name, store.now())
    except UnknownSpeaker:
        return  # there is none to be deleted
    exams.consents.withdraw(bytes.fromhex(profile.reference), now)
    store.delete(name, who=who)


async def _changed(context: Context, streams: Streams) -> None:
    """The exams are others: streams follow at once, and those of other workers in a second."""
    await context.seats.refreshed()
    await streams.follow_seats(time.time())
