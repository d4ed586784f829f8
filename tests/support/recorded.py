"""Entries as a server records them, of streams whose people are Alice and Bob."""

from __future__ import annotations

from typing import Any

from engine import events
from streamer.records.entries import (
    Acted,
    AnyEntry,
    Ended,
    Scores,
    Started,
    Told,
    VoiceprintFacts,
)
from streamer.wire.messages import Bounds, Model

KEY = bytes(range(32))
ALICE, BOB = "a1" * 16, "b0" * 16
NAMES = {ALICE: "Alice", BOB: "Bob"}
T0 = 1_800_000_000.0


def started(stream: str, **other: Any) -> Started:
    facts: dict[str, Any] = {
        "at": T0,
        "t": 0.0,
        "stream": stream,
        "label": "desk 7",
        "mode": "verify",
        "claims": (ALICE,),
        "voiceprints": (
            VoiceprintFacts(
                speaker=ALICE, enrolled_at=T0 - 9, speech_s=20.0, consent_version="1", consent_at=T0
            ),
        ),
        "compared": 1,
        "bounds": Bounds(false_accept=0.01, miss=0.05, accept_llr=4.6, reject_llr=-3.0),
        "expected_rates": (),
        "server": "voxwatch",
        "model": Model(name="tiny", version="1", sha256="5a" * 32, provider="cpu"),
        "false_alarms_per_hour": 1.0,
        "live": True,
    }
    return Started(**(facts | other))


def decision(second: float, state: events.State = "match", speaker: str | None = ALICE) -> Told:
    told = events.Decision(
        t=second,
        state=state,
        speaker=speaker,
        since=second - 1,
        llr=5.0,
        net_speech_s=second,
        reason=f"{speaker} speaks",
    )
    return Told(at=T0 + second, t=second, event=told)


def other_voice(second: float) -> Told:
    """The verdict on a turn of somebody else: an incident."""
    told = events.Utterance(
        t=second,
        start=second - 2.6,
        end=second - 0.6,
        speech_s=2.0,
        state="mismatch",
        speaker=ALICE,
        llr=-7.0,
        evidence=-7.0,
        reject_llr=-3.0,
        voice="voice-2",
    )
    return Told(at=T0 + second, t=second, event=told)


def score(second: float) -> Scores:
    return Scores(at=T0 + second, t=second, speaker=ALICE, evidence=1.5, llr=2.5)


def whole(stream: str, **other: Any) -> list[AnyEntry]:
    """A stream from its start to its end."""
    return [
        started(stream, **other),
        *(score(second) for second in range(1, 5)),
        decision(5.0),
        Acted(at=T0 + 6, t=6.0, who="desk", act="note", text="Alice looks well"),
        decision(7.0, "mismatch"),
        Ended(at=T0 + 8, t=8.0, code=1000, why=""),
    ]
