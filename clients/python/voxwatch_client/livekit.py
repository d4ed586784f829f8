"""LiveKit Agents 1.8: an agent that answers the claimed speaker alone.

    class Assistant(SpeakerGated, Agent):
        ...

    agent = Assistant(gate=SpeakerGate(url, claim="alice", sample_rate=24_000), instructions="...")

Sound on its way to the recogniser is heard by the gate as well. A final transcript waits for the
verdict on its speech; it then names the speaker and says whether it is the one to listen to. A turn
of anybody else gets no answer and does not enter the conversation.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import replace
from typing import Any

from livekit import rtc
from livekit.agents import Agent, ModelSettings, StopResponse, llm, stt

from voxwatch_client.gate import SpeakerGate
from voxwatch_client.speech_spans import SpeechSpans
from voxwatch_client.verdicts import GateVerdict

BEFORE_S = 0.5  # by which speech may have begun before a recogniser said so
LATENCY_S = 3.0  # after its speech a transcript comes at most
KINDS = stt.SpeechEventType


class SpeakerGated:
    """To be put before :class:`livekit.agents.Agent` among the bases of an agent.

    The gate takes PCM of 16 bit with the rate and channels of the agent's input. ``verdict`` is
    that on the present turn's words so far: the worst of them.
    """

    def __init__(self, *arguments: Any, gate: SpeakerGate, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gate = gate
        self.verdict: GateVerdict | None = None
        self._spans = SpeechSpans(LATENCY_S)

    async def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterable[Any]:
        """What the agent's recogniser says, final transcripts with their speaker."""
        async with self.gate:
            async for event in Agent.default.stt_node(self, self._heard(audio), model_settings):
                yield await self._named(event) if isinstance(event, stt.SpeechEvent) else event

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """Answer the claimed speaker. An agent with a method of its own calls this one first."""
        verdict, self.verdict = self.verdict, None
        allowed = verdict.allowed if verdict else self.gate.when_unsure == "pass"
        if not allowed:
            raise StopResponse

    async def _heard(self, audio: AsyncIterable[rtc.AudioFrame]) -> AsyncIterable[rtc.AudioFrame]:
        async for frame in audio:
            self.gate.hear(bytes(frame.data))
            yield frame

    async def _named(self, event: stt.SpeechEvent) -> stt.SpeechEvent:
        if event.type == KINDS.START_OF_SPEECH:
            self._spans.began(self.gate.heard_s - BEFORE_S)
        elif event.type == KINDS.END_OF_SPEECH:
            self._spans.stopped(self.gate.heard_s)
        elif event.type == KINDS.FINAL_TRANSCRIPT:
            verdict = await self.gate.judge(*self._spans.take(self.gate.heard_s))
            if self.verdict is None or self.verdict.allowed:
                self.verdict = verdict
            known = {"speaker_id": verdict.speaker, "is_primary_speaker": verdict.allowed}
            event.alternatives = [replace(said, **known) for said in event.alternatives]
        return event
