"""Pipecat 1.x: transcripts of the claimed speaker alone, and nobody else interrupts.

    gate = SpeakerGate("ws://localhost:8765", claim="alice", sample_rate=16_000)
    pipeline = Pipeline([transport.input(), stt, SpeakerGateProcessor(gate), ...])

The processor stands behind the recogniser. It hears the sound that passes, holds a final transcript
until there is a verdict on the speech that it was made from, and drops or passes it as the gate
says. What it knows it broadcasts as :class:`SpeakerFrame`.
"""

from __future__ import annotations

from dataclasses import dataclass
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
class SpeakerFrame(SystemFrame):
    """Who speaks: ``final`` on the turn of a transcript, otherwise on the turn so far."""

    verdict: GateVerdict | None = None
    final: bool = False


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
        self._told: str | None = None  # the live state that was broadcast last

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
                self._spans.began(self._gate.heard_s - frame.start_secs - BEFORE_S)
            case VADUserStoppedSpeakingFrame():
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
        await self.broadcast_frame(SpeakerFrame, verdict=verdict, final=True)
        if verdict.state == "match" and verdict.speaker:
            frame.user_id = verdict.speaker
        return verdict.allowed

    async def _tell_live(self) -> None:
        live = self._gate.live
        if live.state != self._told:
            self._told = live.state
            await self.broadcast_frame(SpeakerFrame, verdict=live)


class SpeakerUserTurnStartStrategy(BaseUserTurnStartStrategy):
    """Begins the user's turn, and so interrupts, when the present voice is the claimed one.

    It takes about a second of speech. Give it as the only strategy of ``UserTurnStrategies.start``.
    """

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Begin a turn on a match."""
        if isinstance(frame, SpeakerFrame) and frame.verdict and frame.verdict.state == "match":
            await self.trigger_user_turn_started()
            return ProcessFrameResult.STOP
        return ProcessFrameResult.CONTINUE
