"""Events without figures, for clients that might climb by them.

Who sees by how much a voice fell short can change it a little and look again, until it passes
(hill climbing; Adler, "Sample images can be independently restored from face recognition
templates", 2003). States alone tell far less.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from engine import events
from streamer.records.incidents.words import without_figures as without_brackets
from streamer.server.outbox import Message
from streamer.wire.incidents import Incident

FIGURES = ("llr", "evidence", "posterior", "attainable_llr", "reason")
TOLD_BY_FIGURES = ("near-bound", "saturated")  # causes whose advice says how much is lacking
BLANK = {"reason": ""}

# What candidates are told: whether they are heard, and nothing of what is decided.
FOR_CANDIDATES = (events.Vad, events.Quality, events.Stalled, events.Lag, events.Failure)

E = TypeVar("E", bound=events.Event)


def without_figures(event: E) -> E | None:
    """The event with nothing to climb by; None where there is nothing else to it."""
    if isinstance(event, events.Score):
        return None
    if isinstance(event, events.Change):
        return msgspec.structs.replace(event, llr=0.0)
    if isinstance(event, Incident):
        return msgspec.structs.replace(event, evidence=None, reason=without_brackets(event.reason))
    if not isinstance(event, events.Decision | events.Utterance):
        return event
    told: dict[str, Any] = {name: BLANK.get(name) for name in FIGURES if hasattr(event, name)}
    if event.cause in TOLD_BY_FIGURES:
        told |= {"cause": None, "advice": ""}
    if turns := getattr(event, "turns", ()):
        told["turns"] = tuple(map(without_figures, turns))
    return msgspec.structs.replace(event, **told)


def plain(message: Message) -> Message | None:
    """A message with its event so; None where nothing is left of it."""
    event = without_figures(message.event)
    if event is None or event is message.event:
        return None if event is None else message
    told = Message(event)
    return told.within(message.stream) if message.stream else told


def for_candidate(message: Message) -> Message | None:
    """A message as a candidate is told it; None where it is about what was decided."""
    event = message.event
    if isinstance(event, events.Summary):
        return Message(msgspec.structs.replace(event, match_s=0.0, decisions={}))
    return message if isinstance(event, FOR_CANDIDATES) else None
