"""Pipecat 1.x: transcripts of the claimed speaker alone, and nobody else interrupts.

    gate = SpeakerGate("ws://localhost:8765", claim="alice", sample_rate=16_000)
    pipeline = Pipeline([transport.input(), stt, SpeakerGateProcessor(gate), ...])

The processor stands behind the recogniser. It hears the sound that passes, holds a final transcript
until there is a verdict on the speech that it was made from, and drops or passes it as the gate
says. What it knows it broadcasts as :class:`VoxwatchDecisionFrame`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    StartFrame,
    SystemFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start.base_user_turn_start_strategy import BaseUserTurnStartStrategy

from voxwatch_client.gate import SpeakerGate
from voxwatch_client.speech_spans import SpeechSpans
from voxwatch_client.verdicts import GateVerdict

BEFORE_S = 0.3  # by which speech may have begun before a detector said so


@dataclass
class VoxwatchDecisionFrame(SystemFrame):
    """Who speaks: ``final`` on the turn of a transcript, otherwise on the turn so far.

    ``present``: what was judged was said since a detector heard that somebody began to speak who
    has not stopped since, and is no late news of what was said before.
    """

    verdict: GateVerdict | None = None
    final: bool = False
    present: bool = False


class SpeakerGateProcessor(FrameProcessor):
    """Holds transcripts until it is known whose they are; interim ones pass only on a match.

    The sound has to be what the gate was made for: PCM of 16 bit, with its rate and channels.
    With ``mutes_bot`` what is heard while the assistant speaks is not judged; leave it off where
    the transport cancels its own echo, or nobody can interrupt. A transcript comes at most
    ``latency_s`` after its speech has ended.
    """

    def __init__(
        self,
        gate: SpeakerGate,
        *,
        mutes_bot: bool = False,
        latency_s: float = 3.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._gate, self._mutes_bot = gate, mutes_bot
        self._spans = SpeechSpans(latency_s)
        self._told: tuple[str, float | None] | None = None  # of the live verdict broadcast last
        self._since_s = 0.0  # somebody speaks since then; infinite: nobody does

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on, and transcripts when they may be."""
        await super().process_frame(frame, direction)
        match frame:
            case StartFrame():
                await self._gate.__aenter__()
            case InputAudioRawFrame():
                self._gate.hear(frame.audio)
                await self._tell_live()
            case VADUserStartedSpeakingFrame():
                self._since_s = self._gate.heard_s
                self._spans.began(self._gate.heard_s - frame.start_secs - BEFORE_S)
            case VADUserStoppedSpeakingFrame():
                self._since_s = inf
                self._spans.stopped(self._gate.heard_s)
            case BotStartedSpeakingFrame() | BotStoppedSpeakingFrame() if self._mutes_bot:
                self._gate.mute(isinstance(frame, BotStartedSpeakingFrame))
            case TranscriptionFrame():
                if not await self._allowed(frame):
                    return
            case InterimTranscriptionFrame() if not self._gate.live.allowed:
                return
        await self.push_frame(frame, direction)
        if isinstance(frame, EndFrame | CancelFrame):
            await self._gate.__aexit__()

    async def _allowed(self, frame: TranscriptionFrame) -> bool:
        verdict = await self._gate.judge(*self._spans.take(self._gate.heard_s))
        await self.broadcast_frame(VoxwatchDecisionFrame, verdict=verdict, final=True)
        if verdict.state == "match" and verdict.speaker:
            frame.user_id = verdict.speaker
        return verdict.allowed

    async def _tell_live(self) -> None:
        live = self._gate.live
        if (live.state, live.heard_s) != self._told:
            self._told = live.state, live.heard_s
            present = live.heard_s is not None and live.heard_s > self._since_s
            await self.broadcast_frame(VoxwatchDecisionFrame, verdict=live, present=present)


class SpeakerUserTurnStartStrategy(BaseUserTurnStartStrategy):
    """Begins the user's turn, and so interrupts, when the present voice is the claimed one.

    It takes about a second of speech. What nobody could judge and the gate lets through all the
    same begins a turn and interrupts nobody. Give it as the only strategy of
    ``UserTurnStrategies.start``.
    """

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Begin a turn on a match."""
        if not isinstance(frame, VoxwatchDecisionFrame) or frame.verdict is None:
            return ProcessFrameResult.CONTINUE
        match = frame.verdict.state == "match"
        if frame.present and match:
            await self.trigger_user_turn_started()
        elif frame.final and frame.verdict.allowed:
            interrupts = None if match else False  # None: as the strategy was set
            await self.trigger_user_turn_started(enable_interruptions=interrupts)
        else:
            return ProcessFrameResult.CONTINUE
        return ProcessFrameResult.STOP
