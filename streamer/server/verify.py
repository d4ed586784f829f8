"""`/v1/verify`: a whole recording in, one verdict out, by the same engine as streams."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import structs

from engine import events
from engine.errors import AudioError, VoxwatchError
from engine.scoring.scorer import PreparedEmbeddings
from engine.serving.engine import Stream
from engine.session import Session
from streamer.server.caller import Caller
from streamer.server.context import Context, bounds_of
from streamer.server.figures import without_figures
from streamer.server.intake import Intake
from streamer.server.recording import PostedRecording
from streamer.server.session import new_session
from streamer.tasks import beside
from streamer.wire import messages
from streamer.wire.errors import WireError
from streamer.wire.parsing import claims_of, verification_from_query
from streamer.wire.requests import VerifyRecording

PATIENCE_S = 60.0  # that a verdict may take: recordings wait for live streams
AGAINST = ("mismatch", "unknown")
POOR_SOUND = ("noisy", "clipped", "quiet")  # causes of doubt


class Question(NamedTuple):
    """What is asked of a recording, and the voiceprints that it is compared with."""

    asked: VerifyRecording
    claims: tuple[str, ...]
    enrolled: dict[str, PreparedEmbeddings]


async def asked(context: Context, query: dict[str, str], caller: Caller) -> Question:
    """The question in a request's address. Raises :class:`WireError`."""
    parameters = verification_from_query(query)
    rate = context.rate_of(caller, parameters.false_accept)
    parameters = structs.replace(parameters, false_accept=rate)
    names = claims_of(parameters.claim, context.config.limits.claims)
    context.check_quota(caller)
    context.check_attempts(caller, names)
    enrolled = await context.enrolled.find(names)
    return Question(parameters, tuple(enrolled) if names else (), enrolled)


async def verify(
    context: Context, question: Question, body: bytes, caller: Caller
) -> messages.Verdict:
    """The verdict on a recording. Raises :class:`WireError`."""
    over = threading.Event()
    try:
        async with asyncio.timeout(PATIENCE_S):
            decoded = asyncio.to_thread(PostedRecording, body, question.asked, over.is_set)
            recording = await decoded
            session, turns, suspected = await _hear(context, question, recording, caller)
    except TimeoutError as error:
        raise WireError("overloaded", "the server is busy with live streams: try later") from error
    finally:
        over.set()
    if not turns:
        if suspected:
            raise WireError("wrong-format", suspected)
        raise WireError("no-speech", "nobody speaks in the recording: check the microphone")
    verdict = _verdict(context, question, session, turns, recording.warnings)
    if verdict.state == "mismatch":
        context.attempts.failed(caller.client, question.claims, time.monotonic())
    if context.tells_figures(caller):
        return verdict
    return without_figures(verdict) or verdict


async def _hear(
    context: Context, question: Question, recording: PostedRecording, caller: Caller
) -> tuple[Session, list[events.Utterance], str]:
    """The session of a recording, its turns, and what was suspected of its sound."""
    start = structs.replace(
        recording.start, false_accept=question.asked.false_accept, miss=question.asked.miss
    )
    session = new_session(context, start, question.enrolled, claimed=bool(question.claims))
    stream = context.engine.open(session, live=False)
    intake = Intake(context, stream, start, "recording", caller)
    try:
        turns, suspected = await beside(_turns(stream), _send(intake, recording))
    finally:
        await stream.close()
    return session, turns, suspected


async def _send(intake: Intake, recording: PostedRecording) -> None:
    pieces = recording.pieces()
    try:
        while piece := await asyncio.to_thread(next, pieces, b""):
            await intake.take(piece)
    except AudioError as error:
        raise WireError("bad-sound", str(error)) from error
    await intake.finalize()


async def _turns(stream: Stream) -> tuple[list[events.Utterance], str]:
    """The turns, and what to do where the sound was suspected to be other than declared."""
    turns, advice = [], ""
    try:
        async for event in stream:
            if isinstance(event, events.Utterance):
                turns.append(event)
            elif isinstance(event, events.Quality) and "format-suspect" in event.problems:
                advice = event.advice
        return turns, advice
    except VoxwatchError as error:
        raise WireError("engine-failed", str(error)) from error


def _verdict(
    context: Context,
    question: Question,
    session: Session,
    turns: Sequence[events.Utterance],
    warnings: tuple[str, ...],
) -> messages.Verdict:
    found = one_of(turns, session.verdict(), session.decisions.decide_s)
    return messages.Verdict(
        **structs.asdict(found),
        mode="verify" if question.claims else "identify" if question.enrolled else "changes",
        claims=question.claims,
        bounds=bounds_of(session.decisions),
        received_s=session.received_s,
        turns=tuple(turns),
        warnings=warnings,
        model=context.model,
    )


def one_of(
    turns: Sequence[events.Utterance], overall: events.Utterance, decide_s: float
) -> events.Utterance:
    """One verdict on a recording of several ``turns``, which all together are ``overall``.

    The speech of all turns tells more than each. But where one of them by itself is somebody
    else's, the recording is no match: whoever speaks last would else be let in by who spoke first.
    It is theirs if that is as much speech as decisions take, ``decide_s``. Of many words one is
    soon unlike its speaker, so that with less it is open.
    """
    if len(turns) == 1:
        return turns[0]
    problems = tuple(sorted({problem for turn in turns for problem in turn.problems}))
    overall = structs.replace(overall, problems=problems)
    if overall.state not in ("match", "uncertain"):
        return overall
    against = [turn for turn in turns if turn.state in AGAINST]
    matched = {str(turn.speaker) for turn in turns if turn.state == "match"}
    if against:
        worst = min(against, key=lambda turn: turn.evidence or 0.0)
        where = f"another voice from {worst.start:.1f} to {worst.end:.1f} s"
        enough = sum(turn.speech_s for turn in against) >= decide_s
        if overall.state == "match" and enough:
            return structs.replace(worst, reason=f"{where}: {worst.reason}")
        return _mixed(overall, where)
    if overall.state == "match" and (others := matched - {overall.speaker}):
        return _mixed(overall, f"several voices: a part of it is like {min(others)}")
    if overall.state == "uncertain" and len(matched) > 1:
        both = " and ".join(sorted(matched))
        return _mixed(overall, f"several voices: parts of it are like {both}")
    return _with_doubt_of_sound(turns, overall)


def _mixed(overall: events.Utterance, what: str) -> events.Utterance:
    """The doubt where several speak: what more of all their speech would tell is nobody's."""
    return structs.replace(
        overall,
        state="uncertain",
        speaker=overall.speaker if overall.state == "uncertain" else None,
        reason=f"{what}; {overall.reason}",
        cause="another-voice",
        advice=f"{what}: send what each says by itself",
        attainable_llr=None,
    )


def _with_doubt_of_sound(
    turns: Sequence[events.Utterance], overall: events.Utterance
) -> events.Utterance:
    """Sound is measured turn by turn: where one is in doubt by its sound, so is the whole.

    That more speech in a turn's noise cannot decide is foreseen of the voice in that turn alone.
    """
    by_sound = (turn for turn in turns if turn.cause in POOR_SOUND and turn.cause in turn.problems)
    poor = next(by_sound, None)
    if overall.state != "uncertain" or poor is None:
        return overall
    return structs.replace(overall, cause=poor.cause, advice=poor.advice)
