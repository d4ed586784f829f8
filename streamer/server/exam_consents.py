"""The text of consent of an exam on this server, with how long it keeps what."""

from __future__ import annotations

import contextlib

from streamer.exams.consent_text import ExamConsent, exam_consent
from streamer.server.context import Context
from streamer.server.seats import Sitting
from streamer.store.errors import UnknownSpeaker


def consent_of(context: Context, sitting: Sitting) -> ExamConsent:
    """What somebody who enrols for this exam agrees to, or has agreed to. Blocks."""
    config = context.config
    own = config.consent if config.consent_text is not None else None
    return exam_consent(
        sitting.exam.name,
        own,
        config.consent_language,
        ttl_days=config.ttl_days,
        unused_days=config.unused_days,
        records_days=config.records_days,
        clips=config.clips and _will_allow(context, sitting),
    )


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


def _will_allow(context: Context, sitting: Sitting) -> bool:
    """Whether the text says that sound is kept.

    Who is enrolled already is not asked to agree once more: it says what they agreed to.
    """
    store = context.store
    try:
        profile = store.profile(sitting.candidate.voiceprint, store.now())
    except UnknownSpeaker:
        return True
    anew = profile.model_sha256 != context.model.sha256
    return anew or who_allows_clips(context, sitting) is not None
