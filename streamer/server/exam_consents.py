"""The text of consent of an exam on this server, with how long it keeps what."""

from __future__ import annotations

from streamer.config import Config
from streamer.exams.consent_text import ExamConsent, exam_consent
from streamer.exams.exam import Exam


def consent_of(config: Config, exam: Exam) -> ExamConsent:
    """What somebody who enrols for this exam agrees to."""
    own = config.consent if config.consent_text is not None else None
    return exam_consent(
        exam.name,
        own,
        config.consent_language,
        ttl_days=config.ttl_days,
        unused_days=config.unused_days,
        records_days=getattr(config, "records_days", None),
        clips=getattr(config, "clips", False),
    )
