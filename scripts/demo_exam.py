"""The demonstration of an exam: `scripts/demo --exam` sets up and runs this.

Starts a server with an exam of eight candidates, whose voices are the two of `demo_voices` at four
speeds each, which for the model are eight. They come in by their links, as browsers do. Two of
them are taken over, one is silent and one sits in a noisy room. With `--check` what the server said
in three quarters of a minute is held against that.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from scripts.demo_call import (
    PIECE_S,
    RATE_HZ,
    ROOT,
    VOICES,
    enrol,
    main,
    s16le,
    server,
    swallow,
    verdict,
)
from voxwatch_client import connect, control, monitor
from voxwatch_client.messages import Change, Decision, Opened, Quality, Vad

Float32 = NDArray[np.float32]

DATA = ROOT / "build" / "demo-exam"
TAKEOVER_S = 16.0  # from the start until another voice speaks
BACK_S = 60.0  # until the candidate does again
LATE_S = 8.0  # from the first word of another voice until it is told
MATCH_S = 8.0  # from the first word of a candidate
CHECK_S = 45.0
NOISE_DBFS, SPEECH_PEAK, ROOM_DBFS = -33.0, 0.5, -62.0
RULES = {"silent_s": 10.0, "undecided_s": 20.0, "incident_s": 3.0}  # to be seen in a minute
SPOKEN = {"anna": (0.5, 12.55), "ben": (13.05, 25.85)}  # seconds of call.ogg: see call.json


@dataclass(frozen=True, slots=True)
class Voice:
    """One of the two voices, at a speed: 1.1 is as of somebody with a shorter throat."""

    name: str
    speed: float

    def enrolment(self) -> bytes:
        """What is read aloud, as s16le."""
        samples, _ = sf.read(VOICES / f"{self.name}.ogg", dtype="float32")
        return s16le(self._at_speed(samples))

    def speech(self) -> Float32:
        """Another text than that of the enrolment."""
        samples, _ = sf.read(VOICES / "call.ogg", dtype="float32")
        start, end = (round(t * RATE_HZ) for t in SPOKEN[self.name])
        return self._at_speed(samples[start:end])

    def _at_speed(self, samples: Float32) -> Float32:
        return np.asarray(soxr.resample(samples, RATE_HZ * self.speed, RATE_HZ), np.float32)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody on the roster, and what happens in their room."""

    number: str
    name: str
    voice: Voice
    stranger: Voice | None = None
    silent: bool = False
    noisy: bool = False
    accommodations: tuple[str, ...] = ()

    @property
    def honest(self) -> bool:
        """Whether nothing at all is to be told of them."""
        return self.stranger is None and not (self.silent or self.noisy)


SLOW, LOW, HIGH, QUICK = 0.84, 0.94, 1.06, 1.19
CANDIDATES = (
    Candidate("1001", "Ada Lind", Voice("anna", SLOW)),
    Candidate("1002", "Bruno Katz", Voice("ben", SLOW)),
    Candidate("1003", "Clara Voss", Voice("anna", LOW), stranger=Voice("ben", QUICK)),
    Candidate("1004", "David Roth", Voice("ben", LOW), accommodations=("stutter",)),
    Candidate("1005", "Edith Sand", Voice("anna", HIGH), noisy=True),
    Candidate("1006", "Felix Braun", Voice("ben", HIGH), silent=True),
    Candidate("1007", "Greta Holm", Voice("anna", QUICK)),
    Candidate("1008", "Hugo Stein", Voice("ben", QUICK), stranger=Voice("anna", LOW)),
)
VISITOR = {"candidate": "1009", "name": "You"}


def sound(candidate: Candidate) -> Iterator[bytes]:
    """What is heard in somebody's room, in pieces, without an end; never the same samples twice."""
    random = np.random.default_rng(int(candidate.number))
    size = round(PIECE_S * RATE_HZ)
    room_dbfs = NOISE_DBFS if candidate.noisy else ROOM_DBFS
    own, other = candidate.voice.speech(), None
    if candidate.stranger is not None:
        other = candidate.stranger.speech()
    pause = np.zeros(round(0.8 * RATE_HZ), np.float32)
    for speaker, said_s in _speakers(other is not None):
        voice = own if speaker == "own" or other is None else other
        text = np.resize(np.concatenate([voice, pause]), round(said_s * RATE_HZ))
        for start in range(0, len(text) - size + 1, size):
            noise = random.normal(0, 10 ** (room_dbfs / 20), size)
            speech = 0.0 if candidate.silent else SPEECH_PEAK * text[start : start + size]
            yield s16le(np.asarray(speech + noise, np.float32))


def _speakers(taken_over: bool) -> Iterator[tuple[str, float]]:
    """Who speaks, and for how long, over and over."""
    while True:
        yield "own", TAKEOVER_S if taken_over else 30.0
        if taken_over:
            yield "other", BACK_S - TAKEOVER_S


async def set_up(url: str) -> tuple[str, dict[str, str]]:
    """An exam with everybody on its roster; its id, and links by number."""
    lines: list[dict[str, Any]] = [
        {
            "candidate": one.number,
            "name": one.name,
            "voiceprint": one.number,
            "accommodations": one.accommodations,
        }
        for one in CANDIDATES
    ]
    async with control(url) as requests:
        ends_at = time.time() + 4 * 3600
        made = await requests.request(
            "exam-create", name="Demonstration exam", ends_at=ends_at, rules=RULES
        )
        exam = str(made["id"])
        await requests.request("roster", exam=exam, add=[*lines, VISITOR])
        links = {}
        for number in [one.number for one in CANDIDATES] + [VISITOR["candidate"]]:
            told = await requests.request("candidate-link", exam=exam, candidate=number)
            links[number] = str(told["token"])
        consent = (await requests.request("status"))["consent"]["text_version"]
        known = {one["name"]: one["usable"] for one in await requests.request("profiles")}
    async with asyncio.TaskGroup() as group:
        for one in CANDIDATES:
            if not known.get(one.number):
                group.create_task(enrol(url, one.number, one.voice.enrolment(), consent))
    return exam, links


async def sit(url: str, candidate: Candidate, link: str, for_s: float | None = None) -> None:
    """Somebody's microphone, in real time, by their link."""
    async with connect(url, token=link) as stream:
        reader = asyncio.create_task(swallow(stream))
        begun = time.monotonic()
        for number, piece in enumerate(sound(candidate), start=1):
            if for_s is not None and number * PIECE_S > for_s:
                break
            await asyncio.sleep(begun + number * PIECE_S - time.monotonic())
            await stream.send(piece)
        await stream.finalize()
        await reader


@dataclass(slots=True)
class Seen:
    """What the desk was told of one candidate's stream."""

    label: str = ""
    states: list[tuple[float, str]] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    problems: set[str] = field(default_factory=set)
    speech: bool = False


async def watch(url: str, seen: dict[str, Seen]) -> None:
    """The desk, until it is called off."""
    async with monitor(url) as messages:
        async for message in messages:
            stream = seen[str(message.stream)]
            match message:
                case Opened():
                    stream.label = message.label
                case Decision():
                    stream.states.append((message.t, message.state))
                case Change():
                    stream.changes.append(message.detected_at)
                case Quality():
                    stream.problems.update(message.problems)
                case Vad():
                    stream.speech = True


async def incidents(url: str, exam: str) -> dict[str, set[str]]:
    """What the record calls for somebody to look at: kinds, by candidate."""
    found: dict[str, set[str]] = defaultdict(set)
    async with control(url) as requests:
        for one in await requests.request("incidents", exam=exam):
            found[one["label"]].add(one["kind"])
    return found


def check(found: dict[str, Seen], incidents: dict[str, set[str]]) -> Iterator[tuple[str, bool]]:
    """What must have happened, and whether it did."""
    by_name = {one.label: one for one in found.values() if one.label}
    names = [one.name for one in CANDIDATES]
    yield f"{len(by_name)} candidates are there", sorted(by_name) == sorted(names)
    for candidate in CANDIDATES:
        yield from _checked(candidate, by_name.get(candidate.name, Seen()))
        kinds = incidents.get(candidate.name, set())
        yield (
            f"on the wall for {candidate.name}: {sorted(kinds) or 'fine'}",
            _fits(candidate, kinds),
        )


def _fits(candidate: Candidate, kinds: set[str]) -> bool:
    """Whether the incidents are those of what happened in the room."""
    if candidate.stranger is not None:
        return "takeover" in kinds
    if candidate.silent:
        return kinds == {"silent"}
    if candidate.noisy:  # in which it may stay open who speaks
        return "noisy" in kinds and kinds <= {"noisy", "undecided"}
    return not kinds


def _checked(candidate: Candidate, seen: Seen) -> Iterator[tuple[str, bool]]:
    name = candidate.name
    if candidate.silent:
        yield f"{name} is silent: nobody is heard to speak", not seen.speech
        return
    if candidate.noisy:
        yield f"{name}'s room is noisy: {sorted(seen.problems)}", "noisy" in seen.problems
        return
    matched = [t for t, state in seen.states if state == "match"]
    others = [t for t, state in seen.states if state == "mismatch"]
    early = f"{matched[0]:.1f} s" if matched else "never"
    yield f"{name} is matched: {early}", bool(matched) and matched[0] <= MATCH_S
    if candidate.stranger is None:
        yield f"nothing is told of {name}: {others}", not others and not seen.changes
        return
    told = [t for t in [*others, *seen.changes] if t > TAKEOVER_S]
    at = f"{min(told) - TAKEOVER_S:.1f} s after it" if told else "never"
    early_alarms = [t for t in [*others, *seen.changes] if t <= TAKEOVER_S]
    yield (
        f"{name} is taken over at {TAKEOVER_S:g} s, which is told {at}",
        bool(told) and min(told) <= TAKEOVER_S + LATE_S and not early_alarms,
    )


async def run(port: int, data: Path, checking: bool) -> int:
    """The exam, until it is called off, or once."""
    print("==> starting the server")
    async with server(port, data) as url:
        print(f"==> enrolling {len(CANDIDATES)} synthetic voices")
        exam, links = await set_up(url)
        seen: dict[str, Seen] = defaultdict(Seen)
        desk = asyncio.create_task(watch(url, seen))
        await asyncio.sleep(0.2)
        if not checking:
            _tell(url, exam, links)
        for_s = CHECK_S if checking else None
        async with asyncio.TaskGroup() as group:
            for one in CANDIDATES:
                group.create_task(sit(url, one, links[one.number], for_s))
        told = await incidents(url, exam)
        desk.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await desk
    return verdict(list(check(seen, told)))


def _tell(url: str, exam: str, links: dict[str, str]) -> None:
    away = [one.name for one in CANDIDATES if one.stranger is not None]
    print("==> the exam is on. This is what the people who supervise it see:")
    print(f"\n    {url}/monitor#exam={exam}\n")
    print(f"    {' and '.join(away)} are taken over {TAKEOVER_S:g} s after they began.")
    print("    And this is what a candidate sees; the microphone is yours:")
    print(
        f"\n    {url}/candidate#{links[VISITOR['candidate']]}\n\n    (Ctrl-C ends it)", flush=True
    )


if __name__ == "__main__":
    main("scripts/demo --exam", run, DATA)
