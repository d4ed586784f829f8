"""The text of consent of an exam on this server, with how long it keeps what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from streamer.exams.consent_text import ExamConsent, Terms, exam_consent, own_consent
from streamer.exams.wordings.languages import best_of
from streamer.server.context import Context
from streamer.server.seats import Sitting
from streamer.store.errors import UnknownSpeaker


def consent_of(context: Context, sitting: Sitting, languages: Iterable[str]) -> ExamConsent:
    """What somebody who enrols for this exam agrees to, or has agreed to. Blocks.

    ``languages``: those that they read, best first. A text that the server was given in place of
    ours is there in its own language only.
    """
    config = context.config
    clips = config.clips and _will_allow(context, sitting)
    terms = Terms(config.ttl_days, config.unused_days, config.records_days, clips)
    if config.consent_text is not None:
        return own_consent(config.consent, config.consent_language, terms)
    return exam_consent(sitting.exam.name, best_of(languages), terms)


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
