"""What a candidate agrees to, in plain words, with how long everything is kept."""

from __future__ import annotations

from typing import NamedTuple

from streamer.exams.consents import text_hash
from streamer.store.consent import ConsentText

VERSION = "exam-2026-11"
LANGUAGE = "en"

TEXT = """\
What happens: during the exam {exam} your microphone is listened to, from the moment you begin on \
this page until you leave it or the exam ends. The server compares the voice with a voiceprint of \
yours, several times a second.
What is stored: the voiceprint, which is a list of numbers worked out from your voice, kept \
encrypted. And a record: when which voice spoke, how sure the server was, and how good the sound \
was. {sound}
Why: so that the people who supervise the exam can see whether it is you who speaks. It is used \
for nothing else. Feelings are not looked for.
Who decides: people. The server only marks what somebody should look at. You can ask them what was \
marked, and answer to it.
Your choice: you can say no, and ask the examiners for another way. You can take your consent \
back at any time, here or by asking them: the voiceprint is then deleted at once, and nothing is \
compared any more."""
NO_SOUND = "The sound itself is not stored."
CLIPS = (
    "Around what is marked 10 seconds of sound are stored, encrypted, and those who supervise the"
    " exam can listen to them."
)
CLIPS_KEPT = ("The sound around what is marked is kept", "as long as the record of the exam")


class ExamConsent(NamedTuple):
    """What is shown before a candidate enrols; ``sha256`` is of all of it, how long included."""

    version: str
    language: str
    text: str
    kept: tuple[tuple[str, str], ...]  # what, and how long

    @property
    def whole(self) -> str:
        """All that is agreed to, as it is kept."""
        return "\n".join([self.text, *(f"{what}: {how_long}." for what, how_long in self.kept)])

    @property
    def sha256(self) -> str:
        """By which this wording is known."""
        return text_hash(self.whole)


def exam_consent(
    exam: str,
    own: ConsentText | None,
    language: str,
    *,
    ttl_days: float | None,
    unused_days: float | None,
    records_days: float | None,
    clips: bool,
) -> ExamConsent:
    """The text for an exam; ``own`` is one that the server was given in place of ours."""
    kept: tuple[tuple[str, str], ...] = (
        ("Your voiceprint is kept", _voiceprint(ttl_days, unused_days)),
        ("The record of the exam is kept", _days(records_days) or "until the examiners delete it"),
    )
    if clips:
        kept += (CLIPS_KEPT,)
    if own is not None:
        return ExamConsent(own.version, language, own.text, kept)
    text = TEXT.format(exam=f"“{exam}”", sound=CLIPS if clips else NO_SOUND)
    return ExamConsent(VERSION, LANGUAGE, text, kept)


def _voiceprint(ttl_days: float | None, unused_days: float | None) -> str:
    if ttl_days is None and unused_days is None:
        return "until you take your consent back, or the examiners delete it"
    unused = f"until it has not been used for {_days(unused_days)}"
    if ttl_days is None:
        return unused
    return f"{_days(ttl_days)}, and no longer than {unused}" if unused_days else _days(ttl_days)


def _days(days: float | None) -> str:
    if days is None:
        return ""
    return f"{days:g} day" if days == 1 else f"{days:g} days"
