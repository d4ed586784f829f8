"""The parts of which the text of consent is put together, in one language."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Templates: ``{exam}`` is its name, ``{sound}`` one of the three below, ``{days}`` a number.

    In ``text`` a paragraph a line, each with what it is about before a colon. What is kept and how
    long is read as one sentence.
    """

    name: str  # of the language, in that language
    text: str
    quoted: str  # the exam's name, ``{}``
    no_sound: str
    if_allowed: str  # sound is kept of who allows it, which is asked beside this text
    clips: str
    voiceprint: str  # is kept
    record: str
    sound: str
    until_withdrawn: str  # the voiceprint
    until_deleted: str  # the record
    with_record: str  # the sound
    unused: str  # ``{days}``
    both: str  # ``{term}`` and ``{unused}``
    day: str  # ``{}``, for one
    days: str
    point: str = ","  # before decimals
