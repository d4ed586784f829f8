"""An exam as the scripted server tells it: candidates, what happened to them, and their records."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

from scenes import MODEL, bounds, wobble

Json = dict[str, Any]

EXAM, SECOND_EXAM = "e7a1b2c3d4e5f607", "0badcafe0badcafe"
LONG = 26  # place of the candidate with the longest name
SINCE_S = 2280.0  # that the exam has been going on
TAKEN_S, ABSENT = 1661.0, 2  # media time of the takeover; candidates who have not come
CLIP_OF = "takeover"  # of what there is sound

FIRST = [
    "Amelia", "Benedikt", "Chiara", "Dmitri", "Esra", "Fatou", "Goran", "Hanna", "Ingrid",
    "Jonas", "Katarzyna", "Lukas", "Mireille", "Noor", "Oskar", "Priya", "Quentin", "Rosa",
    "Stefan", "Tomasz", "Ulrike", "Valentina", "Wei", "Ximena", "Yusuf", "Zeynep",
]  # fmt: skip
LAST = [
    "Abadi", "Brandt", "Costa", "Dvorak", "Eriksen", "Fischer", "Garcia", "Horvat", "Ivanova",
    "Jensen", "Kowalski", "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov", "Quist",
    "Rossi", "Schneider",
]  # fmt: skip

# What has happened, by the place of a candidate: kind, media times, and what else is told.
HAPPENED: dict[int, list[Json]] = {
    16: [
        {
            "kind": "takeover", "since": TAKEN_S, "until": None, "evidence": -6.4,
            "voice": "voice-2", "speech_s": 214.0, "share": None,
            "reason": "another voice (voice-2) has spoken since 27:41.0 in place of the"
            " expected one, 214 s of speech (evidence -6.4, the bound is -3.0)",
        },
        {
            "kind": "overlap", "since": 402.0, "until": 409.0, "evidence": None, "voice": None,
            "speech_s": 5.2, "share": None, "reason": "two people spoke at once",
        },
    ],
    5: [
        {
            "kind": "other-voice", "since": 2071.0, "until": 2120.0, "evidence": -4.1,
            "voice": "voice-2", "speech_s": 18.0, "share": 0.37,
            "reason": "voice-2 had 18 s of the 49 s of speech",
        },
    ],
    23: [
        {
            "kind": "silent", "since": 2115.0, "until": None, "evidence": None, "voice": None,
            "speech_s": 0.0, "share": None, "reason": "nothing was said for 120 s",
        },
    ],
    9: [
        {
            "kind": "noisy", "since": 1900.0, "until": None, "evidence": None, "voice": None,
            "speech_s": 0.0, "share": None, "reason": "the noise was too loud to judge the voice",
            "acknowledged_by": "desk 1", "acknowledged_at": -300.0,
        },
    ],
    12: [
        {
            "kind": "overlap", "since": 1200.0, "until": 1290.0, "evidence": None,
            "voice": "voice-2", "speech_s": 40.0, "share": 0.3, "note_only": True,
            "reason": "two people spoke at once",
        },
    ],
}  # fmt: skip

STATES: dict[int, str] = {5: "uncertain", 16: "mismatch", 20: "uncertain"}


def name(place: int) -> str:
    """A candidate's name."""
    if place == LONG:
        return "Maximiliane-Alexandra von Hohenstaufen-Schwarzenberg"
    return f"{FIRST[place % len(FIRST)]} {LAST[(5 * place + place // len(FIRST)) % len(LAST)]}"


def stream_of(place: int) -> str:
    """The stream of a candidate."""
    return f"{place + 1:08x}"


def candidate_of(place: int) -> str:
    """The reference of a candidate."""
    return f"{0xC0FFEE00 + place:032x}"


class Candidates:
    """The exam from ``now`` on, in seconds since 1970."""

    def __init__(self, many: int, now: float) -> None:
        self.many, self.began = many, now - SINCE_S
        self.present = many - ABSENT
        self.incidents: dict[str, Json] = {}
        self.numbers = count(1)
        self.acts: dict[str, list[Json]] = {}
        self.withdrawn: set[int] = set()  # places of who took their consent back
        for place, told in HAPPENED.items():
            for one in told if place < self.present else ():
                self.happen(place, one)

    def happen(self, place: int, told: Json) -> Json:
        """Note an incident."""
        stream = stream_of(place)
        known = {
            "type": "incident", "id": f"{stream}/{next(self.numbers)}", "stream": stream,
            "t": SINCE_S, "severity": 1, "count": 1, "note_only": False,
            "acknowledged_by": None, "acknowledged_at": None,
            "label": name(place), "exam": EXAM, "candidate": candidate_of(place),
            "since_at": self.began + told["since"],
            "until_at": None if told["until"] is None else self.began + told["until"],
        }  # fmt: skip
        incident = known | told
        if (at := incident["acknowledged_at"]) is not None:
            incident["acknowledged_at"] = self.began + SINCE_S + at
        self.incidents[incident["id"]] = incident
        return incident

    def act(self, request: Json) -> tuple[Json, Json | None]:
        """What somebody did, and the incident that is another by it."""
        acted = {
            "kind": "acted", "at": time.time(), "t": 0.0, "who": "desk 2", "act": request["act"],
            "incident": request.get("incident"), "text": request.get("text", ""),
            "verdict": request.get("verdict"),
        }  # fmt: skip
        self.acts.setdefault(request["stream"], []).append(acted)
        incident = self.incidents.get(request.get("incident", ""))
        if incident is None or request["act"] != "acknowledge":
            return acted, None
        incident |= {"acknowledged_by": acted["who"], "acknowledged_at": acted["at"]}
        return acted, incident

    def entries(self) -> list[Json]:
        """The live streams, as a monitor lists them."""
        return [self.entry(place) for place in range(self.present) if place not in self.withdrawn]

    def entry(self, place: int) -> Json:
        """One of them."""
        return {
            "stream": stream_of(place), "label": name(place), "mode": "verify",
            "claims": [name(place)], "bounds": bounds(), "model": MODEL,
            "state": STATES.get(place, "match"), "speaker": name(place), "since": 2.0,
            "received_s": SINCE_S, "opened_at": self.began, "stalled": False,
            "speaking": place % 4 == 0, "speech_s": 900.0, "window_s": 3.0, "hop_s": 0.5,
            "decide_s": 1.5, "exam": EXAM, "candidate": candidate_of(place),
            "accommodations": ["interpreter"] if place == 12 else [],
        }  # fmt: skip

    def roster(self) -> list[Json]:
        """All candidates, those who have not come included."""
        return [
            {
                "candidate": candidate_of(place), "number": f"{2026000 + 7 * place}",
                "name": name(place), "voiceprint": name(place),
                "accommodations": ["interpreter"] if place == 12 else [], "enrolled": True,
                "withdrawn_at": self.began if place in self.withdrawn else None,
            }
            for place in range(self.many)
        ]  # fmt: skip

    def recorded(self) -> list[Json]:
        """The streams in the record."""
        return [
            {
                "stream": stream_of(place), "label": "", "candidate": candidate_of(place),
                "started_at": self.began, "ended_at": None,
            }
            for place in range(self.present)
        ]  # fmt: skip

    def history(self, stream: str) -> list[Json]:
        """The record of a stream, oldest first."""
        place = int(stream, 16) - 1
        told = sorted(record(place), key=lambda entry: entry["t"])
        dated = [entry | {"at": self.began + entry["t"]} for entry in told]
        return dated + list(self.clips(stream)) + self.acts.get(stream, [])

    def clips(self, stream: str) -> Iterator[Json]:
        """Of which incidents there is sound."""
        for one in self.incidents.values():
            if (one["stream"], one["kind"]) == (stream, CLIP_OF):
                since, until = one["since"] - 5.0, one["since"] + 5.0
                yield {
                    "kind": "clip", "at": self.began + until, "t": until, "incident": one["id"],
                    "since": since, "until": until, "sha256": "ab" * 32,
                }  # fmt: skip


def record(place: int) -> Iterator[Json]:
    """Entries without their times of day."""
    claimed, taken = name(place), TAKEN_S if place == 16 else SINCE_S + 1
    yield {
        "kind": "started", "t": 0.0, "stream": stream_of(place), "label": claimed, "exam": EXAM,
        "mode": "verify", "claims": [claimed], "bounds": bounds(), "expected_rates": [],
        "model": MODEL, "compared": 1, "live": True, "server": "mock",
        "voiceprints": [{"speaker": claimed, "enrolled_at": 1.79e9, "speech_s": 24.0}],
    }  # fmt: skip
    yield decided(3.0, "match", claimed, 6.1)
    for second in range(2, int(SINCE_S)):
        level = 6.2 if second < taken else -5.4
        if second % 11 < 8:
            spoken = {"speaker": claimed, "llr": level + 2 * wobble(second), "evidence": level}
            yield {"kind": "scores", "t": float(second)} | spoken
    for start in range(4, int(SINCE_S) - 12, 11):
        right = start < taken
        yield turn(float(start), "match" if right else "mismatch", claimed, 5.8 if right else -4.9)
    if taken < SINCE_S:
        at = {"at": taken, "detected_at": taken + 3.1}
        change = {"type": "change", "t": taken + 3.1, "llr": -4.2, "from": claimed, "to": None} | at
        yield {"kind": "told", "t": taken + 3.1, "event": change}
        yield decided(taken + 4.0, "mismatch", claimed, -5.4)
    for t, behind in ((700.0, 1.2), (702.0, 2.1), (709.0, 0.0)):
        lag = {"type": "lag", "t": t, "reason": "overload", "behind_s": behind, "hop_s": None}
        yield {"kind": "told", "t": t, "event": lag | {"dropped": 0}}


def decided(t: float, state: str, speaker: str, evidence: float) -> Json:
    """A decision as an entry."""
    event = {
        "type": "decision", "t": t, "state": state, "speaker": speaker, "since": t, "llr": evidence,
        "net_speech_s": t, "reason": f"evidence {evidence:.1f}", "evidence": evidence,
    }  # fmt: skip
    return {"kind": "told", "t": t, "event": event}


def turn(start: float, state: str, speaker: str, llr: float) -> Json:
    """A turn as an entry."""
    event = {
        "type": "utterance", "t": start + 7.3, "start": start, "end": start + 7.0, "speech_s": 6.1,
        "state": state, "speaker": speaker, "llr": llr + wobble(start), "problems": [],
    }  # fmt: skip
    return {"kind": "told", "t": start + 7.3, "event": event}
