"""How often replayed speech is let in, beside the person's own and a stranger's.

Every case has an enrolment, which is one utterance, another utterance of the same person, and one
of somebody else. From these come the sounds of :data:`KINDS`, each heard once and whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from engine.audio.files import read_audio
from engine.decisions.config import DecisionConfig
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import DecisionFigures
from engine.scoring.scorer import CalibratedScores
from engine.speech.offline import CLOSE_CUT, speech_mask
from engine.speech.vad import SileroVad
from models.evaluation.embeddings import Float32, Float64, SystemUnderTest, resolve
from models.evaluation.report import Estimate
from models.evaluation.stated_rates import STATED
from models.evaluation.trials import TrialList, speaker_of
from models.metrics import draw_speakers, interval
from models.sound.degradations import (
    ROOMS,
    another_recording,
    limited,
    loudspeaker,
    reverberate,
    room_response,
)

MIN_SPEECH_S = 2.0  # net speech of each utterance that a case is made of
RULE_OF_THREE = 3.0  # what never happened in N trials: a share under 3/N with 95 % confidence
MEL_BANDS, WINDOW, HOP = 80, 1024, 256  # of copy synthesis; samples at 16 kHz

# What is heard, in the order of tables, and how their heads call it.
KINDS = {
    "genuine": "other utterance",
    "digital": "enrolment as a file",
    "loudspeaker": "enrolment, loudspeaker",
    "recorded": "other utterance, recorded, loudspeaker",
    "copy": "other utterance, copy synthesis",
    "stranger": "another person",
}


@dataclass(frozen=True, slots=True)
class Case:
    """Three utterances, by path relative to the list's root, of a person and of a stranger."""

    enrol: str
    test: str
    stranger: str


class ReplayRate(msgspec.Struct, frozen=True, kw_only=True):
    """The share of one kind of sound that is accepted at one stated pair of rates."""

    list: str
    kind: str
    trials: int
    speakers: int
    stated_false_accept: float
    stated_miss: float
    accepted: Estimate


def choose(trials: TrialList, usable: set[str], per_speaker: int, seed: int) -> list[Case]:
    """Up to ``per_speaker`` target trials of each speaker, no enrolment twice, with strangers.

    Only ``usable`` files are chosen. The stranger's file is the tested file of a speaker drawn
    among the others.
    """
    rng = np.random.default_rng(seed)
    pairs: dict[str, dict[str, str]] = {}
    for i in rng.permutation(len(trials.trials)):
        trial = trials.trials[i]
        own = pairs.setdefault(speaker_of(trial.enrol), {}) if trial.target else {}
        if trial.target and {trial.enrol, trial.test} <= usable and len(own) < per_speaker:
            own.setdefault(trial.enrol, trial.test)
    tested = {speaker: list(own.values()) for speaker, own in sorted(pairs.items()) if own}
    cases = []
    for speaker in tested:
        others = [name for name in tested if name != speaker]
        for enrol, test in pairs[speaker].items():
            theirs = tested[others[rng.integers(len(others))]]
            cases.append(Case(enrol, test, theirs[rng.integers(len(theirs))]))
    return cases


def through_loudspeaker(sound: Float32, name: str, seed: int) -> Float32:
    """``sound`` from a loudspeaker in a room of evaluation that follows from ``name`` and seed."""
    room = int(_rng(name, "room", seed).integers(ROOMS))
    return limited(reverberate(loudspeaker(sound), room_response(room)))


def copy_synthesis(sound: Float32) -> Float32:
    """``sound`` built again from its mel spectrum alone, phases by Griffin and Lim's method."""
    import torch

    mel, linear, phases = _synthesis()
    with torch.no_grad():
        torch.manual_seed(0)  # Griffin and Lim's method starts from random phases
        built = phases(linear(mel(torch.from_numpy(np.array(sound)))))
    return limited(np.asarray(built.numpy(), np.float32))


@lru_cache(maxsize=1)
def _synthesis() -> tuple[Any, Any, Any]:
    from torchaudio.transforms import GriffinLim, InverseMelScale, MelSpectrogram

    mel = MelSpectrogram(SAMPLE_RATE_HZ, WINDOW, hop_length=HOP, n_mels=MEL_BANDS)
    linear = InverseMelScale(WINDOW // 2 + 1, MEL_BANDS, SAMPLE_RATE_HZ)
    return mel, linear, GriffinLim(WINDOW, hop_length=HOP)


def sounds(trials: TrialList, case: Case, seed: int) -> dict[str, Float32]:
    """What is heard of one case, ``(samples,)`` at 16 kHz by kind."""
    enrol, test, stranger = (
        read_audio(resolve(trials, name)).waveform
        for name in (case.enrol, case.test, case.stranger)
    )
    recorded = another_recording(test, _rng(case.test, "recorded", seed))
    return {
        "genuine": test,
        "digital": enrol,
        "loudspeaker": through_loudspeaker(enrol, case.enrol, seed),
        "recorded": through_loudspeaker(recorded, case.test, seed),
        "copy": copy_synthesis(test),
        "stranger": stranger,
    }


def _rng(name: str, what: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{name}\0{what}\0{seed}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def usable_files(trials: TrialList, vad: SileroVad) -> set[str]:
    """The files of target trials with enough net speech to be an enrolment or a test."""
    targets = [trial for trial in trials.trials if trial.target]
    names = sorted({name for trial in targets for name in (trial.enrol, trial.test)})
    read = ((name, read_audio(resolve(trials, name)).waveform) for name in names)
    return {n for n, sound in read if len(_speech(sound, vad)) >= MIN_SPEECH_S * SAMPLE_RATE_HZ}


def _speech(sound: Float32, vad: SileroVad) -> Float32:
    (mask,) = speech_mask([sound], vad, CLOSE_CUT)
    return sound[mask]


def evidence_by_kind(
    trials: TrialList,
    cases: Sequence[Case],
    system: SystemUnderTest,
    figures: DecisionFigures,
    vad: SileroVad,
    seed: int,
) -> dict[str, Any]:
    """The evidence for each case's person, ``(cases,)`` by kind.

    A sound with too little speech for the system gives no evidence: minus infinity, which is
    accepted at no point.
    """
    found = {kind: np.full(len(cases), -np.inf) for kind in KINDS}
    for i, case in enumerate(cases):
        heard = {kind: _speech(sound, vad) for kind, sound in sounds(trials, case, seed).items()}
        enrol = heard["digital"]  # the very sound that was enrolled
        kinds = [k for k in KINDS if len(heard[k]) >= system.min_speech_s * SAMPLE_RATE_HZ]
        vectors = np.concatenate([system.embed(heard[kind][None]) for kind in kinds])
        seconds = np.array([len(heard[kind]) for kind in kinds]) / SAMPLE_RATE_HZ
        pairs = np.array([[0, row] for row in range(len(kinds))], np.intp)
        scores = system.score(
            system.embed(enrol[None]),
            np.array([len(enrol) / SAMPLE_RATE_HZ]),
            vectors,
            seconds,
            pairs,
        )
        assert isinstance(scores, CalibratedScores)
        for kind, evidence in zip(kinds, figures.evidence(scores.llr), strict=True):
            found[kind][i] = evidence
    return found


def replay_rates(
    name: str, cases: Sequence[Case], found: dict[str, Any], *, resamples: int, seed: int
) -> Iterator[ReplayRate]:
    """A row for each stated pair of rates and kind; intervals are drawn over the speakers."""
    people, numbers = np.unique([speaker_of(case.enrol) for case in cases], return_inverse=True)
    number: Callable[[str], int] = {str(one): i for i, one in enumerate(people)}.__getitem__
    strangers = [number(speaker_of(case.stranger)) for case in cases]
    drawn = draw_speakers(len(people), resamples, seed)
    for false_accept, miss in STATED:
        bound = DecisionConfig(false_accept=false_accept, miss=miss).accept_llr
        for kind, evidence in found.items():
            weights = drawn[:, numbers]
            if kind == "stranger":
                weights = weights * drawn[:, strangers]
            yield ReplayRate(
                list=name,
                kind=kind,
                trials=len(cases),
                speakers=len(people),
                stated_false_accept=false_accept,
                stated_miss=miss,
                accepted=_share(evidence >= bound, weights),
            )


def _share(accepted: Any, weights: Float64) -> Estimate:
    """The share of trials ``(N,)`` with its interval, by their ``weights`` ``(R, N)``."""
    value, edge = float(accepted.mean()), min(1.0, RULE_OF_THREE / len(accepted))
    if value in (0.0, 1.0):  # every resample is alike
        return Estimate(value, max(0.0, value - edge), min(1.0, value + edge))
    counted = weights.sum(axis=1)
    resampled = (weights @ accepted.astype(np.float64))[counted > 0] / counted[counted > 0]
    return Estimate(value, *interval(resampled))
