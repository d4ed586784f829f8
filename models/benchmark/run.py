"""Streams every planned conversation through the engine, its variants and the rivals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from tqdm import tqdm

from engine.format import SAMPLE_RATE_HZ
from engine.scoring.scorer import PreparedEmbeddings
from engine.speech.offline import CLOSE_CUT, net_speech
from models.benchmark.conversations import RenderedConversation, enrolment_sound, render
from models.benchmark.engine import AnswerCache, EngineUnderTest, SessionRecord
from models.benchmark.outcomes import States
from models.benchmark.plans import KINDS, Kind, Plan, Planner
from models.benchmark.results import BenchmarkResults, ConversationResult, Variant
from models.benchmark.rivals import Rival, RunningScore, media_time, speech_of
from models.benchmark.speakers import DecodedSpeaker
from models.benchmark.truth import truth_of
from models.sound.conditions import Degradation

# The kinds of conversation that are streamed with a claim, and those that are streamed with
# nobody enrolled, to be asked who speaks when. Some kinds are streamed both ways.
CLAIMED: frozenset[Kind] = frozenset(KINDS) - {"alternation", "meeting"}
UNCLAIMED: frozenset[Kind] = frozenset(
    {"single", "switch", "takeover", "interjection", "alternation", "meeting"}
)
RIVALS_HEAR: frozenset[Kind] = frozenset({"single", "impostor", "takeover"})

Float32 = NDArray[np.float32]
T = TypeVar("T")


@dataclass(slots=True)
class _EnrolledSpeaker:
    speech: Float32  # net speech at 16 kHz, as rivals get it
    prepared: PreparedEmbeddings
    speech_s: float  # net seconds behind the voiceprint


class Benchmark:
    """The speakers, the engine and the rivals of one run.

    ``rivals_hear`` limits the conversations of a kind that rivals get, because a rival may be a
    hundred times slower than the engine. ``audio`` is a folder for all the sound.
    """

    def __init__(
        self,
        engine: EngineUnderTest,
        voices: Sequence[DecodedSpeaker],
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
        self._enrolled: dict[int, _EnrolledSpeaker] = {}

    def run(
        self, plans: Sequence[Plan], *, threads: int = 1, progress: bool = True
    ) -> BenchmarkResults:
        """Stream every plan; the same plans give the same results with any number of threads."""
        found = BenchmarkResults()
        with ThreadPoolExecutor(threads) as pool:
            claims = sorted({plan.claim for plan in plans})
            enrolling = zip(claims, pool.map(self._enrol, claims), strict=True)
            for claim, enrolled in _shown(enrolling, len(claims), "enrolling", progress):
                if isinstance(enrolled, str):
                    found.refused[enrolled] = found.refused.get(enrolled, 0) + 1
                else:
                    self._enrolled[claim] = enrolled
                    found.enrol_s.append(enrolled.speech_s)
            left = [plan for plan in plans if plan.claim in self._enrolled]
            streaming = pool.map(self._stream, left)
            found.conversations += _shown(streaming, len(left), "streaming", progress)
        return found

    def _enrol(self, claim: int) -> _EnrolledSpeaker | str:
        utterances = self._planner.divisions[claim].enrol
        sound = enrolment_sound(self._voices[claim], utterances, self._seed)
        made = self._engine.enrol(sound)
        if isinstance(made, str):
            return made
        if self._audio is not None:
            _write(self._audio / f"{self._voices[claim].name}-enrolment.flac", sound)
        return _EnrolledSpeaker(net_speech(sound, self._engine.vad, CLOSE_CUT), *made)

    def _stream(self, plan: Plan) -> ConversationResult:
        conversation = render(plan, self._voices, self._degrade, self._seed)
        if self._audio is not None:
            _write(self._audio / f"{plan.name}.flac", conversation.waveform)
        enrolled, answers = self._enrolled[plan.claim], self._engine.answer_cache()
        sound, kind = conversation.waveform, plan.kind
        claimed = unclaimed = None
        if kind in CLAIMED:
            claimed = self._engine.listen(answers, sound, enrolled.prepared)
        if kind in UNCLAIMED:
            unclaimed = self._engine.listen(answers, sound, None)
        heard = claimed or unclaimed
        assert heard is not None
        people = (plan.claim,) if plan.stranger is None else (plan.claim, plan.stranger)
        name = self._voices[plan.claim].name
        return ConversationResult(
            truth_of(conversation, name, heard.spans, people, enrolled.speech_s),
            conversation.turns,
            claimed,
            unclaimed,
            self._by_variants(answers, conversation, enrolled.prepared),
            self._scored_by_rivals(conversation, enrolled.speech, heard),
        )

    def _by_variants(
        self, answers: AnswerCache, conversation: RenderedConversation, claim: PreparedEmbeddings
    ) -> dict[str, States]:
        sound, kind = conversation.waveform, conversation.plan.kind
        return {
            variant.name: self._engine.listen(answers, sound, claim, variant.decisions).states
            for variant in self._variants
            if kind in variant.kinds
        }

    def _scored_by_rivals(
        self, conversation: RenderedConversation, enrolment: Float32, heard: SessionRecord
    ) -> dict[str, RunningScore]:
        plan, most = conversation.plan, self._rivals_hear
        if plan.kind not in RIVALS_HEAR or (most is not None and plan.number >= most):
            return {}
        speech = speech_of(conversation.waveform, heard.spans, SAMPLE_RATE_HZ)
        found = {}
        for rival in self._rivals:
            speech_s, value = rival.score(enrolment, speech)
            found[rival.about.name] = RunningScore(media_time(heard.spans, speech_s), value)
        return found


def open_rivals(commands: Sequence[str], cache: Path | None, stack: ExitStack) -> list[Rival]:
    """Start the rivals, to be ended with the ``stack``."""
    return [stack.enter_context(Rival(command, cache)) for command in commands]


def _shown(items: Iterable[T], total: int, what: str, progress: bool) -> Iterator[T]:
    yield from tqdm(items, total=total, desc=what, disable=None if progress else True)


def _write(path: Path, sound: Float32) -> None:
    sf.write(path, sound.clip(-1, 1), SAMPLE_RATE_HZ)
