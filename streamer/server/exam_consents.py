"""What candidates agree to on this server: to their exam, and by itself to clips of sound."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

from streamer.exams.consent_text import (
    ExamConsent,
    Sound,
    Terms,
    clips_consent,
    exam_consent,
    own_consent,
)
from streamer.exams.consents import CLIPS_PURPOSE
from streamer.exams.exam import ConsentRow
from streamer.exams.wordings.languages import WORDINGS, best_of
from streamer.server.context import Context
from streamer.server.seats import Sitting
from streamer.store.errors import UnknownSpeaker
from streamer.wire.errors import WireError
from streamer.wire.exam_requests import AnswerClips
from streamer.wire.requests import GivenConsent

DAY_S = 86_400.0


def consent_of(context: Context, sitting: Sitting, languages: Iterable[str]) -> ExamConsent:
    """What somebody who enrols for this exam agrees to, or has agreed to. Blocks.

    ``languages``: those that they read, best first. A text that the server was given in place of
    ours is there in its own language only; how long everything is kept, where we lack that, in
    theirs.
    """
    config = context.config
    terms = Terms(
        config.ttl_days, config.unused_days, config.records_days, _sound(context, sitting)
    )
    if config.consent_text is not None:
        return own_consent(config.consent, config.consent_language, terms, languages)
    return exam_consent(sitting.exam.name, best_of(languages), terms)


def consent_shown(context: Context, sitting: Sitting, given: GivenConsent) -> ExamConsent:
    """The wording that somebody was shown who agrees to it; one of ours, whatever they say. Blocks.

    It is that of the language, but that beside a text of another language than ours the hash says
    in which one the terms stood.
    """
    usual = consent_of(context, sitting, [given.language or ""])
    if context.config.consent_text is None or given.text_sha256 in (None, usual.sha256):
        return usual
    others = (consent_of(context, sitting, [language]) for language in WORDINGS)
    return next((one for one in others if one.sha256 == given.text_sha256), usual)


def who_allows_clips(context: Context, sitting: Sitting) -> str | None:
    """The candidate's reference, if sound around their incidents is kept; else None. Blocks.

    Who took their consent back and enrolled anew is another person than before.
    """
    candidate, store = sitting.candidate, context.store
    with contextlib.suppress(UnknownSpeaker):
        person = store.profile(candidate.voiceprint, store.now()).reference
        if context.exams.consents.allow_clips(bytes.fromhex(person), candidate.id):
            return person
    return None


def answer_clips(context: Context, sitting: Sitting, answer: AnswerClips, signer: str) -> bool:
    """Keep what somebody says who was asked by themselves whether sound may be kept. Blocks.

    Whether they take back what they had agreed to, which is to be done yet. Raises
    :class:`WireError`, :class:`ExamError`, ``StoreError``.
    """
    config, exams, candidate = context.config, context.seats.exams, sitting.candidate
    if not config.clips:
        raise WireError("bad-parameter", "this server keeps no sound: there is nothing to answer")
    asked = clips_consent(best_of([answer.language or ""]))
    if answer.text_sha256 != asked.sha256:
        raise WireError("consent-missing", "the question has changed: read it and answer it")
    if who_allows_clips(context, sitting) is not None:
        return not answer.agreed
    if not answer.agreed:
        exams.note_clips(candidate, time.time())
        return False
    person = context.store.profile(candidate.voiceprint, context.store.now()).reference
    row = ConsentRow(
        person=person,
        candidate=candidate.id,
        text_sha256=asked.sha256,
        text_version=asked.version,
        language=asked.language,
        purpose=f"{CLIPS_PURPOSE}, in the exam {sitting.exam.name!r}",
        term_s=None if config.records_days is None else config.records_days * DAY_S,
        signer=signer,
        given_at=time.time(),
        clips=True,
    )
    exams.consents.give(row, asked.whole)
    exams.note_clips(candidate, None)
    return False


def _sound(context: Context, sitting: Sitting) -> Sound:
    if not context.config.clips:
        return "none"
    return "if-allowed" if who_allows_clips(context, sitting) is None else "kept"
