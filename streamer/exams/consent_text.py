"""What a candidate agrees to, in plain words, with how long everything is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from streamer.exams.consents import text_hash
from streamer.exams.wordings.languages import WORDINGS, best_of
from streamer.exams.wordings.wording import Wording
from streamer.store.consent import ConsentText

VERSION = "exam-2026-11-2"
CLIPS_VERSION = "clips-2026-11-2"  # of what is agreed to by itself, that sound is kept

# Whether sound around what is marked is kept: of nobody here, of who allows it, or of this person.
Sound = Literal["none", "if-allowed", "kept"]


class ExamConsent(NamedTuple):
    """What is shown to a candidate before they agree; ``sha256`` is of all of it.

    ``clips``: it says that sound around what is marked is kept. ``languages``: in which it can be
    shown.
    """

    version: str
    language: str
    text: str
    kept: tuple[tuple[str, str], ...]  # what, and how long
    clips: bool
    languages: tuple[str, ...]

    @property
    def whole(self) -> str:
        """All that is agreed to, as it is kept."""
        return "\n".join([self.text, *(f"{what}: {how_long}." for what, how_long in self.kept)])

    @property
    def sha256(self) -> str:
        """By which this wording is known."""
        return text_hash(self.whole)


class Terms(NamedTuple):
    """What is kept, and for how many days; None: until somebody deletes it."""

    ttl_days: float | None
    unused_days: float | None
    records_days: float | None
    sound: Sound


def exam_consent(exam: str, language: str, terms: Terms) -> ExamConsent:
    """The text that ships, for an exam; ``language`` is one of :data:`WORDINGS`."""
    wording = WORDINGS[language]
    said = {"none": wording.no_sound, "if-allowed": wording.if_allowed, "kept": wording.clips}
    text = wording.text.format(exam=wording.quoted.format(exam), sound=said[terms.sound])
    kept, clips = _kept(wording, terms), terms.sound == "kept"
    return ExamConsent(VERSION, language, text, kept, clips, tuple(WORDINGS))


def clips_consent(language: str) -> ExamConsent:
    """What is asked by itself of who may allow sound; ``language`` is one of :data:`WORDINGS`."""
    wording = WORDINGS[language]
    kept = ((wording.sound, wording.with_record),)
    return ExamConsent(CLIPS_VERSION, language, wording.clips, kept, True, tuple(WORDINGS))


def own_consent(
    own: ConsentText, language: str, terms: Terms, read: Iterable[str] = ()
) -> ExamConsent:
    """A text that the server was given in place of ours, which is there in one language.

    How long everything is kept is said in that language, or where we lack it in the best of those
    that are ``read``.
    """
    wording = WORDINGS[best_of([language, *read])]
    kept, clips = _kept(wording, terms), terms.sound == "kept"
    return ExamConsent(own.version, language, own.text, kept, clips, (language,))


def _kept(wording: Wording, terms: Terms) -> tuple[tuple[str, str], ...]:
    record = _days(wording, terms.records_days) or wording.until_deleted
    kept = [(wording.voiceprint, _voiceprint(wording, terms)), (wording.record, record)]
    if terms.sound == "kept":
        kept.append((wording.sound, wording.with_record))
    return tuple(kept)


def _voiceprint(wording: Wording, terms: Terms) -> str:
    term = _days(wording, terms.ttl_days)
    unused = wording.unused.format(days=_days(wording, terms.unused_days))
    if terms.unused_days is None:
        return term or wording.until_withdrawn
    return wording.both.format(term=term, unused=unused) if term else unused


def _days(wording: Wording, days: float | None) -> str:
    if days is None:
        return ""
    return (wording.day if days == 1 else wording.days).format(
        f"{days:g}".replace(".", wording.point)
    )
