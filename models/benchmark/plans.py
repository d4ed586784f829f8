"""What is said in a benchmark's conversations: drawn from a seed, before any sound is made.

A speaker's utterances are divided once into those that enrol and the rest. Where a speaker is
claimed, only the rest speaks, and no utterance is heard twice in one conversation; between
conversations utterances recur, as different questions about the same people.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from models.benchmark.speakers import DecodedSpeaker
from models.sound.conditions import Condition

Kind = Literal[
    "single",
    "switch",
    "silence",
    "impostor",
    "takeover",
    "degraded-takeover",
    "interjection",
    "alternation",
    "meeting",
    "command",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Conversations of a kind for each of the number asked for.
SHARES: dict[Kind, float] = {
    "single": 1.0,
    "switch": 0.5,
    "silence": 0.3,
    "impostor": 2.0,
    "takeover": 1.5,
    "degraded-takeover": 0.4,
    "interjection": 0.3,
    "command": 1.0,
    "alternation": 0.4,
    "meeting": 0.2,
}
DEGRADED: tuple[Condition, ...] = ("noise", "telephone", "opus", "reverb")

ENROL_S = (5.0, 20.0)  # net speech: the least that enrols, and what is enough
ENROL_SHARE = 0.5  # of a speaker's speech at most
LEAST_TEST_S = 5.0
LEAST_STRANGER_S = 6.0
SIMILAR_PITCH = 0.2  # of the claimed speaker's median F0

SINGLE_S = 60.0
IMPOSTOR_S = 20.0
LEAST_BEFORE_S = 5.0
BEFORE_S = (LEAST_BEFORE_S, 60.0)  # of the claimed speaker, until somebody takes over
AFTER_S = 20.0
TURN_S = (2.0, 8.0)
INTERJECTION_S = (0.6, 2.0)
TALK_S = 45.0  # of alternation, interjections and meetings
PAUSE_S = (0.1, 0.6)  # between utterances
SILENCE_S = (5.0, 40.0)
COMMAND_S = 2.0
COMMAND_AFTER_S = (0.8, 20.0)  # the pause before a command


@dataclass(frozen=True, slots=True)
class Piece:
    """One utterance by its number and its voice's; its first ``most_s`` if it is cut."""

    voice: int
    utterance: int
    pause_s: float  # before it
    most_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Plan:
    """One conversation. ``claim`` and ``stranger`` are numbers of voices.

    ``similar``: whether the stranger's pitch is like the claimed speaker's, ``None`` without
    a stranger. ``condition`` befalls the sound from ``from_piece`` on.
    """

    number: int  # among its kind
    kind: Kind
    claim: int
    stranger: int | None
    similar: bool | None
    pieces: tuple[Piece, ...]
    condition: Condition = "clean"
    from_piece: int = 0

    @property
    def name(self) -> str:
        """What reports and files call it."""
        return f"{self.kind}-{self.number:03d}"


@dataclass(frozen=True, slots=True)
class Division:
    """A voice's utterances by number: those that enrol and those that are left to speak."""

    enrol: tuple[int, ...]
    test: tuple[int, ...]


def divide(voice: DecodedSpeaker, rng: np.random.Generator) -> Division | None:
    """Enrolment of 5 to 20 s, of half of the speech at most; None where there is too little."""
    wanted_s = min(ENROL_S[1], max(ENROL_S[0], ENROL_SHARE * voice.speech_s))
    order = rng.permutation(len(voice.utterances)).tolist()
    enrol: list[int] = []
    while order and _speech_s(voice, enrol) < wanted_s:
        enrol.append(order.pop())
    if _speech_s(voice, enrol) < ENROL_S[0] or _speech_s(voice, order) < LEAST_TEST_S:
        return None
    return Division(tuple(sorted(enrol)), tuple(sorted(order)))


def _speech_s(voice: DecodedSpeaker, utterances: Sequence[int]) -> float:
    return sum(voice.utterances[i].speech_s for i in utterances)


class Planner:
    """Draws plans among ``voices``; the same voices and seed give the same plans."""

    def __init__(self, voices: Sequence[DecodedSpeaker], seed: int) -> None:
        self._voices = voices
        self._seed = seed
        self.divisions: dict[int, Division] = {}
        for i, voice in enumerate(voices):
            division = divide(voice, np.random.default_rng([seed, i]))
            if division is not None:
                self.divisions[i] = division

    def plans(self, per_kind: int, kinds: Sequence[Kind] = KINDS) -> list[Plan]:
        """About ``per_kind`` conversations of each kind, by :data:`SHARES`."""
        return [plan for kind in kinds for plan in self._of_kind(kind, per_kind)]

    def _of_kind(self, kind: Kind, per_kind: int) -> Iterator[Plan]:
        rng = np.random.default_rng([self._seed, 1000 + KINDS.index(kind)])
        wanted = max(1, round(SHARES[kind] * per_kind))
        claimants = rng.permutation(sorted(self.divisions)).tolist()
        if kind in ("single", "switch"):  # all that a speaker can say: once is enough
            wanted = min(wanted, len(claimants))
        made = 0
        for number in range(3 * wanted):  # some cannot be had: nobody of that pitch
            if made == wanted or not claimants:
                return
            plan = self._draw(kind, claimants[number % len(claimants)], made, rng)
            if plan is not None:
                made += 1
                yield plan

    def _draw(self, kind: Kind, claim: int, number: int, rng: np.random.Generator) -> Plan | None:
        pool = _Pool(self._voices, claim, self.divisions[claim], rng)
        stranger: int | None = None
        similar: bool | None = None
        condition: Condition = "clean"
        if kind in ("single", "switch", "silence"):
            pool.say(claim, SINGLE_S)
        else:
            similar = number % 3 != 2 if kind == "takeover" else number % 2 == 0
            stranger = self._stranger(claim, similar, rng)
            if stranger is None:
                return None
            self._converse(kind, claim, stranger, pool, rng)
        if kind in ("switch", "degraded-takeover"):
            condition = DEGRADED[number % len(DEGRADED)]
        from_piece = len(pool.pieces) // 2 if kind == "switch" else 0
        if kind == "silence":
            pool.lengthen_pause(float(rng.uniform(*SILENCE_S)))
        pieces = tuple(pool.pieces)
        heard = {piece.voice for piece in pieces}
        if stranger is not None and stranger not in heard:
            return None
        if len(pieces) < 2 and kind in ("switch", "silence"):
            return None
        return Plan(number, kind, claim, stranger, similar, pieces, condition, from_piece)

    def _converse(
        self, kind: Kind, claim: int, stranger: int, pool: _Pool, rng: np.random.Generator
    ) -> None:
        if kind == "impostor":
            pool.say(stranger, IMPOSTOR_S)
        elif kind in ("takeover", "degraded-takeover"):
            low, high = BEFORE_S
            high = max(low, min(high, pool.left_s(claim)))
            pool.say(claim, float(np.exp(rng.uniform(math.log(low), math.log(high)))))
            pool.say(stranger, AFTER_S)
        elif kind == "command":
            pool.say(claim, LEAST_BEFORE_S)
            for voice in (stranger, claim):
                pause_s = float(np.exp(rng.uniform(*np.log(COMMAND_AFTER_S))))
                pool.say(voice, 0.1, most_s=COMMAND_S, after_s=pause_s)
        elif kind == "interjection":
            pool.say(claim, float(rng.uniform(*TURN_S)) + 4.0)
            while pool.spoken_s < TALK_S and pool.left_s(claim) > 0 and pool.left_s(stranger) > 0:
                pool.say(stranger, 0.1, most_s=float(rng.uniform(*INTERJECTION_S)))
                pool.say(claim, float(rng.uniform(*TURN_S)))
        else:
            people = [claim, stranger]
            third = self._stranger(claim, not rng.integers(2), rng, but=stranger)
            if kind == "meeting" and third is not None:
                people.append(third)
            self._take_turns(people, pool, rng)

    def _take_turns(self, people: list[int], pool: _Pool, rng: np.random.Generator) -> None:
        speaks = people[0]
        while pool.spoken_s < TALK_S and pool.left_s(speaks) > 0:
            pool.say(speaks, float(rng.uniform(*TURN_S)))
            others = [i for i in people if i != speaks]
            speaks = others[int(rng.integers(len(others)))]

    def _stranger(
        self, claim: int, similar: bool, rng: np.random.Generator, *, but: int | None = None
    ) -> int | None:
        """Somebody of the claimed speaker's source, whose pitch is similar, or is not."""
        voices = self._voices
        near = [
            i
            for i, voice in enumerate(voices)
            if i not in (claim, but)
            and voice.source == voices[claim].source
            and voice.speech_s >= LEAST_STRANGER_S
            and is_similar(voices[claim], voice) is similar
        ]
        return near[int(rng.integers(len(near)))] if near else None


def is_similar(one: DecodedSpeaker, other: DecodedSpeaker) -> bool:
    """Whether the median F0 of the ``other`` lies within 20 % of that of ``one``."""
    if one.f0_hz is None or other.f0_hz is None:
        return False
    return abs(other.f0_hz / one.f0_hz - 1) <= SIMILAR_PITCH


class _Pool:
    """What may still be said in one conversation, and what was."""

    def __init__(
        self,
        voices: Sequence[DecodedSpeaker],
        claim: int,
        division: Division,
        rng: np.random.Generator,
    ) -> None:
        self._voices, self._rng = voices, rng
        self._left: dict[int, list[int]] = {claim: rng.permutation(division.test).tolist()}
        self.pieces: list[Piece] = []
        self.spoken_s = 0.0

    def _of(self, voice: int) -> list[int]:
        if voice not in self._left:
            count = len(self._voices[voice].utterances)
            self._left[voice] = self._rng.permutation(count).tolist()
        return self._left[voice]

    def left_s(self, voice: int) -> float:
        """Net speech of what a voice has not said."""
        return _speech_s(self._voices[voice], self._of(voice))

    def say(
        self,
        voice: int,
        speech_s: float,
        *,
        most_s: float = math.inf,
        after_s: float | None = None,
    ) -> None:
        """Utterances until there are ``speech_s`` of net speech, or none are left.

        They come after the usual pauses, or the first of them after a longer one.
        """
        left, said_s = self._of(voice), 0.0
        while left and said_s < speech_s:
            utterance = left.pop()
            pause_s = float(self._rng.uniform(*PAUSE_S)) if after_s is None else after_s
            after_s = None
            self.pieces.append(Piece(voice, utterance, pause_s, most_s))
            said_s += min(self._voices[voice].utterances[utterance].speech_s, most_s)
        self.spoken_s += said_s

    def lengthen_pause(self, pause_s: float) -> None:
        """Make one pause, in the middle, ``pause_s`` long."""
        at = len(self.pieces) // 2
        if at:
            piece = self.pieces[at]
            self.pieces[at] = Piece(piece.voice, piece.utterance, pause_s, piece.most_s)
