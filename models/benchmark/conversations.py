"""From a plan to sound with known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from models.benchmark.plans import Plan
from models.benchmark.speakers import DecodedSpeaker, TrimmedUtterance
from models.evaluation.rttm import Turn, Turns
from models.sound.conditions import Degradation

FADE = SAMPLE_RATE_HZ // 200  # 5 ms at the edges of an utterance: joints must not click
FLOOR = 10 ** (-75 / 20)  # of pauses: a line that is open, not digital silence
START_S = 0.3
END_S = 0.5

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RenderedConversation:
    """A plan as sound: float32 ``(samples,)`` at 16 kHz, and who speaks when.

    Turns are the utterances, from their first speech to their last.
    """

    plan: Plan
    waveform: Float32
    turns: Turns

    @property
    def stranger_at_s(self) -> float | None:
        """Where a stranger first speaks."""
        if self.plan.stranger is None:
            return None
        first = self.turns[0].speaker
        return next((turn.start_s for turn in self.turns if turn.speaker != first), None)


def render(
    plan: Plan, voices: Sequence[DecodedSpeaker], degrade: Degradation, seed: int
) -> RenderedConversation:
    """Join the plan's utterances with pauses and let its condition befall them."""
    rng = np.random.default_rng([seed, *plan.name.encode()])
    parts: list[Float32] = [_pause(START_S, rng)]
    turns: list[Turn] = []
    position, changes = len(parts[0]), 0
    for number, piece in enumerate(plan.pieces):
        pause = _pause(piece.pause_s, rng)
        if number == plan.from_piece:
            changes = position + len(pause)
        voice = voices[piece.voice]
        sound, start_s, end_s = _cut(voice.utterances[piece.utterance], piece.most_s)
        at_s = (position + len(pause)) / SAMPLE_RATE_HZ
        turns.append(Turn(at_s + start_s, at_s + end_s, voice.name))
        parts += [pause, sound]
        position += len(pause) + len(sound)
    waveform = np.concatenate([*parts, _pause(END_S, rng)])
    if plan.condition != "clean":
        after = degrade(plan.condition, waveform[changes:], plan.name)
        waveform = np.concatenate([waveform[:changes], after])
    return RenderedConversation(plan, waveform.astype(np.float32), tuple(turns))


def enrolment_sound(voice: DecodedSpeaker, utterances: Sequence[int], seed: int) -> Float32:
    """What a speaker enrols with, clean, joined with pauses."""
    rng = np.random.default_rng([seed, *voice.name.encode()])
    parts = [_pause(START_S, rng)]
    for i in utterances:
        parts += [voice.utterances[i].waveform, _pause(0.3, rng)]
    return np.concatenate([*parts, _pause(END_S, rng)]).astype(np.float32)


def _cut(utterance: TrimmedUtterance, most_s: float) -> tuple[Float32, float, float]:
    """Sound, and where speech begins and ends in it."""
    sound = utterance.waveform
    end_s = len(sound) / SAMPLE_RATE_HZ - utterance.tail_s
    if utterance.speech_s > most_s:
        end_s = utterance.lead_s + most_s
        sound = sound[: round(end_s * SAMPLE_RATE_HZ)]
    ramp = np.linspace(0, 1, FADE, dtype=np.float32)
    sound = sound.copy()
    sound[:FADE] *= ramp
    sound[-FADE:] *= ramp[::-1]
    return sound, utterance.lead_s, end_s


def _pause(seconds: float, rng: np.random.Generator) -> Float32:
    samples = round(seconds * SAMPLE_RATE_HZ)
    return (FLOOR * rng.standard_normal(samples)).astype(np.float32)
