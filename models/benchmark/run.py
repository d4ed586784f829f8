"""Every conversation through every system: what the figures are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from tqdm import tqdm

from engine.decisions.config import DecisionConfig
from engine.scoring.scorer import Sides
from engine.speech.offline import net_speech
from engine.speech.vad import SAMPLE_RATE_HZ
from models.benchmark.plans import Kind, Plan, Planner
from models.benchmark.rivals import Rival, Running, media_time, speech_of
from models.benchmark.sound import Conversation, enrolment_sound, render
from models.benchmark.speakers import Voice
from models.benchmark.stream import Engine, Heard, Memory
from models.benchmark.truth import States, Truth, truth_of
from models.evaluation.rttm import Turns
from models.sound.conditions import Degradation

# Who is asked what. Without a claim: nobody is enrolled, who speaks when?
CLAIMED: frozenset[Kind] = frozenset(
    {"single", "switch", "silence", "impostor", "takeover", "degraded-takeover", "interjection"}
)
UNCLAIMED: frozenset[Kind] = frozenset(
    {"single", "switch", "takeover", "interjection", "alternation", "meeting"}
)
RIVALS_HEAR: frozenset[Kind] = frozenset({"single", "impostor", "takeover"})

Float32 = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Variant:
    """Another setting of the decisions, and the kinds of conversation it is tried on."""

    name: str
    decisions: DecisionConfig
    kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One conversation. ``claimed`` and ``free`` are what the engine said with and without a
    claim, ``variants`` its states at other settings, ``rivals`` their running scores."""

    truth: Truth
    turns: Turns
    claimed: Heard | None
    free: Heard | None
    variants: dict[str, States]
    rivals: dict[str, Running]


@dataclass(slots=True)
class Run:
    """All results, and what could not be used."""

    results: list[Result] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)  # enrolments, by the engine's reason
    enrol_s: list[float] = field(default_factory=list)  # of the voiceprints that were made


@dataclass(slots=True)
class _Enrolled:
    speech: Float32  # net, as rivals get it
    sides: Sides
    speech_s: float


class Bench:
    """Voices, engine and rivals of one run.

    ``rivals_hear``: so many conversations of a kind at most, for a rival may be a hundred
    times slower than the engine. ``audio``: a folder for all the sound.
    """

    def __init__(
        self,
        engine: Engine,
        voices: Sequence[Voice],
        planner: Planner,
        degrade: Degradation,
        *,
        seed: int,
        variants: Sequence[Variant] = (),
        rivals: Sequence[Rival] = (),
        rivals_hear: int | None = None,
        audio: Path | None = None,
    ) -> None:
        self._engine, self._voices, self._planner = engine, voices, planner
        self._degrade, self._seed = degrade, seed
        self._variants, self._rivals, self._audio = variants, rivals, audio
        self._rivals_hear = rivals_hear
        self._enrolled: dict[int, _Enrolled] = {}

    def run(self, plans: Sequence[Plan], *, threads: int = 1, progress: bool = True) -> Run:
        """Stream every plan; the same plans give the same results with any number of threads."""
        run = Run()
        with ThreadPoolExecutor(threads) as pool:
            claims = sorted({plan.claim for plan in plans})
            enrolling = zip(claims, pool.map(self._enrol, claims), strict=True)
            for claim, found in _shown(enrolling, len(claims), "enrolling", progress):
                if isinstance(found, str):
                    run.refused[found] = run.refused.get(found, 0) + 1
                else:
                    self._enrolled[claim] = found
                    run.enrol_s.append(found.speech_s)
            left = [plan for plan in plans if plan.claim in self._enrolled]
            streaming = pool.map(self._stream, left)
            run.results += _shown(streaming, len(left), "streaming", progress)
        return run

    def _enrol(self, claim: int) -> _Enrolled | str:
        utterances = self._planner.divisions[claim].enrol
        sound = enrolment_sound(self._voices[claim], utterances, self._seed)
        made = self._engine.enrol(sound)
        if isinstance(made, str):
            return made
        if self._audio is not None:
            _write(self._audio / f"{self._voices[claim].name}-enrolment.flac", sound)
        return _Enrolled(net_speech(sound, self._engine.vad), *made)

    def _stream(self, plan: Plan) -> Result:
        conversation = render(plan, self._voices, self._degrade, self._seed)
        if self._audio is not None:
            _write(self._audio / f"{plan.name}.flac", conversation.waveform)
        enrolled, memory = self._enrolled[plan.claim], self._engine.memory()
        sound, kind = conversation.waveform, plan.kind
        claimed = free = None
        if kind in CLAIMED:
            claimed = self._engine.listen(memory, sound, enrolled.sides)
        if kind in UNCLAIMED:
            free = self._engine.listen(memory, sound, None)
        heard = claimed or free
        assert heard is not None
        people = (plan.claim,) if plan.stranger is None else (plan.claim, plan.stranger)
        name = self._voices[plan.claim].name
        return Result(
            truth_of(conversation, name, heard.spans, people, enrolled.speech_s),
            conversation.turns,
            claimed,
            free,
            self._varied(memory, conversation, enrolled.sides),
            self._judged_by_rivals(conversation, enrolled.speech, heard),
        )

    def _varied(
        self, memory: Memory, conversation: Conversation, claim: Sides
    ) -> dict[str, States]:
        sound, kind = conversation.waveform, conversation.plan.kind
        return {
            variant.name: self._engine.listen(memory, sound, claim, variant.decisions).states
            for variant in self._variants
            if kind in variant.kinds
        }

    def _judged_by_rivals(
        self, conversation: Conversation, enrolment: Float32, heard: Heard
    ) -> dict[str, Running]:
        plan, most = conversation.plan, self._rivals_hear
        if plan.kind not in RIVALS_HEAR or (most is not None and plan.number >= most):
            return {}
        speech = speech_of(conversation.waveform, heard.spans, SAMPLE_RATE_HZ)
        found = {}
        for rival in self._rivals:
            speech_s, value = rival.score(enrolment, speech)
            found[rival.about.name] = Running(media_time(heard.spans, speech_s), value)
        return found


def open_rivals(commands: Sequence[str], cache: Path | None, stack: ExitStack) -> list[Rival]:
    """Start the rivals, to be ended with the ``stack``."""
    return [stack.enter_context(Rival(command, cache)) for command in commands]


def _shown(items: Iterable[T], total: int, what: str, progress: bool) -> Iterator[T]:
    yield from tqdm(items, total=total, desc=what, disable=not progress)


def _write(path: Path, sound: Float32) -> None:
    sf.write(path, sound.clip(-1, 1), SAMPLE_RATE_HZ)
