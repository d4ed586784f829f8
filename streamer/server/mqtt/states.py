"""How a stream and its turns are told to Home Assistant, as JSON. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from engine import events
from streamer.server.mqtt.discovery import decision_of

# Reason and advice may name somebody: they are in turns, and not in what a broker retains.
OF_DECISION = ("since", "net_speech_s", "llr", "evidence", "voice", "cause")
OF_TURN = (
    *("start", "end", "speech_s", "llr", "evidence", "voice"),
    *("background", "problems", "cause", "advice", "reason"),
)


class Told(msgspec.Struct, kw_only=True):
    """The state of a label, as it is retained: ``open`` while there is a stream of it.

    ``at`` is when that was last known, in seconds since 1970. Without a stream nobody is named.
    """

    label: str
    open: bool
    at: float
    speaker: str | None = None
    decision: str | None = None
    verified: bool = False
    speech: bool = False
    about: dict[str, Any] = {}


class Stream(msgspec.Struct, kw_only=True):
    """What is known of one stream."""

    id: str
    mode: str
    decision: events.Decision | None = None
    speech: bool = False
    stalled: bool = False

    def told(self, label: str, at: float) -> Told:
        """It, as the state of its label. While no sound comes, who speaks is not known."""
        told = Told(
            label=label,
            open=True,
            at=at,
            speech=self.speech and not self.stalled,
            about={"stream": self.id, "mode": self.mode, "stalled": self.stalled},
        )
        if self.decision is None or self.stalled:
            return told
        verified = self.decision.state == "match"
        return msgspec.structs.replace(
            told,
            speaker=self.decision.speaker if verified else None,  # else it is who was claimed
            decision=decision_of(self.decision.state),
            verified=verified,
            about=told.about | _about(self.decision, *OF_DECISION),
        )


def turn_told(stream: str, turn: events.Utterance) -> bytes:
    """A turn, as the attributes of an event."""
    told = {
        "event_type": decision_of(turn.state),
        "speaker": turn.speaker if turn.state == "match" else None,
        "stream": stream,
        **_about(turn, *OF_TURN),
    }
    return msgspec.json.encode(told)


def _about(event: events.Event, *names: str) -> dict[str, Any]:
    told = {name: getattr(event, name) for name in names}
    return told if event.at_time is msgspec.UNSET else {**told, "at_time": event.at_time}
