"""What the mock server tells, as scripts: streams of events up to a media time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MODEL = {"name": "mock", "version": "1", "sha256": "0" * 64, "provider": "CPUExecutionProvider"}
NEEDED_S, LEAST_S = 2.0, 1.0  # of an enrolment

# Media time at which the voice is another one, and is noticed.
CHANGED_S, NOTICED_S = 4.0, 5.5


def bounds(false_accept: float = 0.01, miss: float = 0.05) -> Json:
    """Wald's bounds."""
    accept, reject = math.log((1 - miss) / false_accept), math.log(miss / (1 - false_accept))
    return {
        "false_accept": false_accept, "miss": miss, "accept_llr": accept, "reject_llr": reject,
    }  # fmt: skip


def spoken(t: float) -> bool:
    """Whether somebody speaks at ``t``: four seconds of speech, then half a second of none."""
    return t % 4.5 < 4.0


def peaks(start: float, end: float) -> list[int]:
    """A waveform like speech: syllables within phrases, and a little noise."""
    found = []
    for step in range(round(start / 0.02), round(end / 0.02)):
        t = step * 0.02
        syllable = abs(math.sin(3.7 * t)) * abs(math.sin(11.3 * t + math.sin(t)))
        loud = 14 + 92 * syllable * (0.7 + 0.3 * math.sin(0.9 * t)) if spoken(t) else 2
        found.append(int(max(1, min(127, loud))))
    return found


def score(t: float, speaker: str, llr: float, evidence: float | None = None) -> Json:
    """One score at ``t``; ``evidence`` is that of the speech so far."""
    return {
        "type": "score", "t": t, "speaker": speaker, "cosine": llr / 12, "norm": llr / 2,
        "llr": llr, "posterior": 1 / (1 + math.exp(-llr)), "runner_up": None,
        "net_speech_s": t, "window_s": min(t, 3.0),
        "evidence": llr if evidence is None else evidence,
    }  # fmt: skip


def decision(t: float, state: str, speaker: str | None, llr: float, reason: str) -> Json:
    """One decision at ``t``."""
    return {
        "type": "decision", "t": t, "state": state, "speaker": speaker, "since": t, "llr": llr,
        "net_speech_s": t, "reason": reason, "evidence": llr, "voice": "voice-1",
        "accept_llr": bounds()["accept_llr"], "reject_llr": bounds()["reject_llr"],
    }  # fmt: skip


def wobble(t: float) -> float:
    """A score's unrest."""
    return 0.9 * math.sin(2.1 * t) + 0.5 * math.sin(5.3 * t)


def quality(t: float, *problems: str) -> Json:
    """How the sound is."""
    return {
        "type": "quality", "t": t, "level_dbfs": -44.0 if "quiet" in problems else -22.4,
        "clipped": 0.021 if "clipped" in problems else 0.0,
        "snr_db": 6.0 if "noisy" in problems else 27.0,
        "speech_share": 0.0 if "no-speech" in problems else 0.88, "problems": list(problems),
    }  # fmt: skip


def basics(end: float, *problems: str) -> Iterator[Json]:
    """Speech, and how the sound is, up to ``end``."""
    for start in (4.5 * i for i in range(int(end / 4.5) + 1)):
        yield {"type": "vad", "t": start + 0.1, "speech": True, "at": start}
        if start + 4.2 < end:
            yield {"type": "vad", "t": start + 4.2, "speech": False, "at": start + 4.0}
    for t in range(2, int(end) + 1, 2):
        yield quality(float(t), *problems)


def scores(start: float, end: float, speaker: str, level: float) -> Iterator[Json]:
    """Scores each half a second of speech around ``level``."""
    for t in (x / 2 for x in range(math.ceil(2 * start), int(2 * end))):
        if spoken(t):
            yield score(t, speaker, level + wobble(t), level + 0.2 * wobble(t))


def turns(start: float, end: float, state: str, speaker: str | None, llr: float) -> Iterator[Json]:
    """The verdicts of the turns between two times, each on its own speech."""
    for i in range(int(end / 4.5) + 1):
        begun, ended = max(start, 4.5 * i), min(end, 4.5 * i + 4.0)
        if ended - begun < 0.4 or ended + 0.3 > end:
            continue
        own = llr + 0.5 * wobble(ended)
        yield {
            "type": "utterance", "t": ended + 0.3, "start": begun, "end": ended,
            "speech_s": ended - begun, "state": state, "speaker": speaker, "llr": own,
            "posterior": 1 / (1 + math.exp(-own)), "evidence": own, "voice": "voice-1",
            "accept_llr": bounds()["accept_llr"], "reject_llr": bounds()["reject_llr"],
            "problems": [], "reason": f"LLR {own:.1f}",
        }  # fmt: skip


def call(end: float) -> Iterator[Json]:
    """Alice, and then another voice, up to ``end``."""
    yield from basics(end)
    yield score(1.0, "Alice", 3.2)
    yield decision(1.0, "insufficient", "Alice", 3.2, "1.0 s of speech, 1.5 s are needed")
    yield decision(1.5, "match", "Alice", 6.2, "LLR 6.2 is above the bound of 4.6")
    yield from scores(1.5, CHANGED_S, "Alice", 7.2)
    yield from scores(CHANGED_S, NOTICED_S, "Alice", 1.0)
    yield {
        "type": "change", "t": NOTICED_S, "at": CHANGED_S, "detected_at": NOTICED_S, "llr": -3.4,
        "from": "Alice", "to": None,
    }  # fmt: skip
    yield from scores(NOTICED_S + 0.5, end, "Alice", -5.8)
    reason = "LLR -5.4 is below the bound of -3.0"
    yield decision(NOTICED_S + 1.0, "mismatch", "Alice", -5.4, reason)


def takeover(end: float) -> Iterator[Json]:
    """The call, its change at 0:42 of 0:52."""
    later = 42.0 - CHANGED_S
    for event in call(end - later):
        late = event["t"] >= CHANGED_S or event["type"] == "change"
        times = {k: event[k] + later for k in ("t", "at", "since", "detected_at") if k in event}
        if late and event["type"] not in ("vad", "quality"):
            yield event | times
        elif event["type"] == "decision":
            yield event
    yield from basics(end)
    yield from scores(1.5, 42.0, "Alice", 7.2)
    yield from turns(0.0, 42.3, "match", "Alice", 6.8)
    yield from turns(42.0, end, "mismatch", "Alice", -5.2)


def steady(state: str, speaker: str | None, level: float, reason: str, *problems: str) -> Any:
    """A scene that is in one state from its second second on."""

    def scene(end: float) -> Iterator[Json]:
        yield from basics(end, *problems)
        yield from scores(1.0, end, "Alice", level)
        yield from turns(0.0, end, state, speaker, level)
        yield decision(1.5, state, speaker, level, reason)

    return scene


def identify(end: float) -> Iterator[Json]:
    """Alice and Bob in turn, both enrolled."""
    yield from basics(end)
    for i, start in enumerate(range(0, int(end), 9)):
        speaker = ("Alice", "Bob")[i % 2]
        yield from scores(start + 1.5, min(start + 9, end), speaker, 6.4)
        yield from turns(start, min(start + 9.0, end), "match", speaker, 6.2)
        if i:
            yield {
                "type": "change", "t": start + 1.4, "at": float(start),
                "detected_at": start + 1.4, "llr": -4.0, "from": ("Bob", "Alice")[i % 2],
                "to": speaker,
            }  # fmt: skip
        yield decision(start + 1.5, "match", speaker, 6.4, "LLR 6.4 is above the bound of 4.6")


def short(end: float) -> Iterator[Json]:
    """A word, and not enough of it."""
    yield {"type": "vad", "t": 0.4, "speech": True, "at": 0.3}
    yield {"type": "vad", "t": end, "speech": False, "at": end - 0.3}


def nothing(end: float) -> Iterator[Json]:
    """No speech yet, and the microphone is low."""
    yield quality(end, "quiet", "no-speech")


def mute(end: float) -> Iterator[Json]:
    """Nothing but zeros."""
    yield quality(end, "no-speech") | {"level_dbfs": None, "snr_db": None}


def strangers(end: float) -> Iterator[Json]:
    """Two voices, neither of them enrolled; the second is unsure when the first comes back."""
    yield from steady("unknown", None, -6.0, "LLR -6.0 is below the bound of -3.0")(end)
    for at, before, after in ((9.0, "voice-1", "voice-2"), (18.0, "voice-2", "voice-1")):
        yield {
            "type": "change", "t": at + 1.4, "at": at, "detected_at": at + 1.4, "llr": -4.0,
            "from": before, "to": after,
        }  # fmt: skip
        if at < 10.0:
            yield decision(at + 2.0, "uncertain", None, 0.4, "LLR 0.4 lies between the bounds")


def speech_s(events: list[Json], until: float) -> float:
    """Net speech of a scene up to ``until``."""
    total, since = 0.0, None
    for event in sorted((e for e in events if e["type"] == "vad"), key=lambda e: e["t"]):
        if event["t"] > until:
            break
        if since is not None:
            total += event["at"] - since
        since = event["at"] if event["speech"] else None
    return total + (max(0.0, until - since) if since is not None else 0.0)


def troubled(end: float) -> Iterator[Json]:
    """Unsure, in bad sound, with a server that falls behind."""
    reason = "LLR 1.2 lies between the bounds"
    yield from steady("uncertain", "Alice", 1.2, reason, "noisy")(end)
    noisy = {"cause": "noisy", "advice": "the sound is noisy: go somewhere quieter", "since": 1.5}
    yield decision(8.0, "uncertain", "Alice", 1.2, reason) | noisy
    yield {"type": "lag", "t": 20.0, "reason": "overload", "behind_s": 1.4, "hop_s": 1.0,
           "dropped": 3}  # fmt: skip
    yield {"type": "lag", "t": 24.0, "reason": "slow-consumer", "behind_s": 0.6, "hop_s": None,
           "dropped": 2}  # fmt: skip


def stalled(end: float) -> Iterator[Json]:
    """Alice, and then no sound any more, though the stream is open."""
    yield from steady("match", "Alice", 7.1, "LLR 7.1 is above the bound of 4.6")(end)
    yield {"type": "stalled", "t": end, "stalled": True, "gap_s": 3.0}
    yield decision(end, "insufficient", None, 0.0, "no sound for 3.0 s")


def never(end: float) -> Iterator[Json]:
    """A stream whose sound never came."""
    yield {"type": "stalled", "t": end, "stalled": True, "gap_s": 3.0}


SCENES: dict[str, tuple[str, float, Any, str, list[str]]] = {
    "takeover": ("Support line", 52.0, takeover, "verify", ["Alice"]),
    "match": (
        "Front desk", 34.0, steady("match", "Alice", 7.1, "LLR 7.1 is above the bound of 4.6"),
        "verify", ["Alice"],
    ),
    "mismatch": (
        "Night desk", 28.0,
        steady("mismatch", "Alice", -6.0, "LLR -6.0 is below the bound of -3.0"),
        "verify", ["Alice"],
    ),
    "unknown": (
        "Lobby", 28.0, steady("unknown", None, -6.0, "LLR -6.0 is below the bound of -3.0"),
        "identify", [],
    ),
    "unsure": ("Car park", 31.0, troubled, "verify", ["Alice"]),
    "identify": ("Meeting room", 40.0, identify, "identify", []),
    "insufficient": ("Door", 1.4, short, "verify", ["Alice"]),
    "waiting": ("Hall", 4.0, nothing, "verify", ["Alice"]),
    "mute": ("Dead line", 4.0, mute, "verify", ["Alice"]),
    "stalled": ("Corridor", 12.0, stalled, "verify", ["Alice"]),
    "never": ("Lecture hall", 0.0, never, "verify", ["Alice"]),
    "strangers": ("Waiting room", 22.0, strangers, "identify", []),
    "midway": (
        "Open call", 21.8,
        steady("mismatch", "Alice", -6.0, "LLR -6.0 is below the bound of -3.0"),
        "verify", ["Alice"],
    ),
}  # fmt: skip

# Media time at which monitors join a scene, where that is not its beginning.
JOINED_S = {"midway": 21.0}


def entry(name: str, until: float | None = None) -> Json:
    """A scene in the list of streams, at its end or at another media time."""
    label, end, scene, mode, claims = SCENES[name]
    until = end if until is None else until
    events = list(scene(end))
    decisions = [e for e in events if e["type"] == "decision" and e["t"] <= until]
    last = max(decisions, key=lambda e: e["t"], default=None)
    vads = [e for e in events if e["type"] == "vad" and e["t"] <= until]
    return {
        "stream": name, "label": label, "mode": mode, "claims": claims, "bounds": bounds(),
        "model": MODEL, "state": last and last["state"], "speaker": last and last["speaker"],
        "since": last and last["since"], "received_s": until, "opened_at": time.time() - until,
        "stalled": any(e["type"] == "stalled" and e["t"] <= until for e in events),
        "speaking": max(vads, key=lambda e: e["t"])["speech"] if vads else False,
        "speech_s": speech_s(events, until), "window_s": 3.0, "hop_s": 0.5, "decide_s": 1.5,
    }  # fmt: skip


def progress(speech_s: float, name: str) -> Json:
    """How far an enrolment is."""
    return {
        "type": "progress", "seq": 1, "t": speech_s, "net_speech_s": speech_s,
        "needed_s": NEEDED_S, "percent": int(100 * speech_s / NEEDED_S), "level_dbfs": -23.0,
        "clipped": 0.0, "snr_db": 5.0 if name == "Noise" else 25.0,
        "problems": ["noisy"] if name == "Noise" else [],
    }  # fmt: skip


CONSENT = """\
What is stored: a voiceprint. It is a list of numbers worked out from your voice, kept \
encrypted under the name you enrol with, with the time of your consent. The sound itself is \
not stored.
Why: so that the people who run this service can check, while somebody speaks, whether the \
voice is yours. A voiceprint can identify you. It is used for nothing else.
How long: until it is deleted, or until the end of the time chosen when you enrol.
It can be deleted with `voxwatch profiles delete NAME`.
You can say no. Do not enrol anybody else's voice without their consent."""
