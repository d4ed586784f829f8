"""Runs in LiveKit Agents' environment: a session with the gated agent, and no network.

Arguments: the server's URL, options of the gate as JSON, and files of raw PCM (16 kHz), one a
turn. In the middle of a turn behind `restart:` it says so to the test, and goes on while the server
stops and comes back. The stand-in of a recogniser says `turn N` of the Nth. Prints what the agent
answered, and to whom, and how long words were held.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from math import inf
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, StopResponse, llm, stt
from livekit.agents.voice.io import AudioInput

from voxwatch_client.gate import SpeakerGate
from voxwatch_client.livekit import SpeakerGated

RATE_HZ, FRAME = 16_000, 320  # samples: 20 ms
PAUSE_S = 1.5
STILL = 30  # tenths of a second without news, after which there is none
KINDS = stt.SpeechEventType


class Recogniser(stt.STT):
    """Is told where the turns lie, and says their numbers; ``said`` is when it did."""

    def __init__(self, turns: list[list[float]]) -> None:
        self.said: dict[str, float] = {}
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))
        self.turns = turns

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(self, *, language: Any = None, conn_options: Any) -> stt.RecognizeStream:
        return Recognising(stt=self, conn_options=conn_options)


class Recognising(stt.RecognizeStream):
    async def _run(self) -> None:
        heard_s, open_turn, number = 0.0, False, 0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            heard_s += frame.samples_per_channel / frame.sample_rate
            if number >= len(self._stt.turns):
                continue
            begin_s, end_s = self._stt.turns[number]
            if not open_turn and heard_s > begin_s + 0.2:
                open_turn = True
                self._event_ch.send_nowait(stt.SpeechEvent(type=KINDS.START_OF_SPEECH))
            elif open_turn and heard_s > end_s + 0.3:
                open_turn, number = False, number + 1
                said = stt.SpeechData(language="en", text=f"turn {number}")
                final = stt.SpeechEvent(type=KINDS.FINAL_TRANSCRIPT, alternatives=[said])
                self._stt.said[said.text] = time.monotonic()
                self._event_ch.send_nowait(final)
                self._event_ch.send_nowait(stt.SpeechEvent(type=KINDS.END_OF_SPEECH))


class Model(llm.LLM):
    """Without one nothing is answered; the agent's own `llm_node` stands in for it."""

    def chat(self, **_: Any) -> Any:
        raise NotImplementedError


class Microphone(AudioInput):
    """Plays the files, and notes in ``turns`` where each begins and ends."""

    def __init__(self, files: tuple[str, ...], gate: SpeakerGate) -> None:
        super().__init__(label="files")
        self.turns: list[list[float]] = []
        self._gate, self._heard_s, self._due_s = gate, 0.0, time.monotonic()
        self._pieces = self._play(files)

    async def __anext__(self) -> rtc.AudioFrame:
        self._due_s += FRAME / RATE_HZ  # as a microphone: at any other pace the rate is a wrong one
        await asyncio.sleep(max(0.0, self._due_s - time.monotonic()))
        self._heard_s += FRAME / RATE_HZ
        return rtc.AudioFrame(next(self._pieces).ljust(2 * FRAME, b"\0"), RATE_HZ, 1, FRAME)

    def _play(self, files: tuple[str, ...]) -> Iterator[bytes]:
        for name in files:
            pcm = Path(name.removeprefix("restart:")).read_bytes()
            self.turns.append([self._heard_s, inf])
            yield from pieces(pcm)
            if name.startswith("restart:"):
                for place, connected in (("middle", False), ("away", True)):
                    print(json.dumps({"at": place}), flush=True)
                    while self._gate.connected is not connected:
                        yield from pieces(pcm[: 20 * FRAME])
            self.turns[-1][1] = self._heard_s
            yield from pieces(bytes(2 * int(PAUSE_S * RATE_HZ)))
        while True:
            yield b""


def pieces(pcm: bytes) -> Iterator[bytes]:
    for start in range(0, len(pcm), 2 * FRAME):
        yield pcm[start : start + 2 * FRAME]


class Assistant(SpeakerGated, Agent):
    """Notes what it is asked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(instructions="answer", **options)
        self.asked: list[str] = []
        self.speakers: list[Any] = []
        self.came: dict[str, float] = {}  # when the words came through the gate
        self.completed: list[bool] = []  # of each turn, whether it is answered

    async def stt_node(self, audio: Any, model_settings: Any) -> AsyncIterator[Any]:
        async for event in super().stt_node(audio, model_settings):
            if isinstance(event, stt.SpeechEvent) and event.type == KINDS.FINAL_TRANSCRIPT:
                said = event.alternatives[0]
                self.came[said.text] = time.monotonic()
                self.speakers.append([said.text, said.speaker_id, said.is_primary_speaker])
            yield event

    async def on_user_turn_completed(self, turn_ctx: Any, new_message: Any) -> None:
        try:
            await super().on_user_turn_completed(turn_ctx, new_message)
        except StopResponse:
            self.completed.append(False)
            raise
        self.completed.append(True)

    async def llm_node(self, chat_ctx: Any, tools: Any, model_settings: Any) -> str:
        texts = [item.text_content for item in chat_ctx.items if item.type == "message"]
        self.asked.append(str(texts[-1]))
        return "yes"


async def main(url: str, options: str, *files: str) -> None:
    given = json.loads(options)
    gate = SpeakerGate(url, sample_rate=RATE_HZ, **given)
    agent = Assistant(gate=gate)
    microphone = Microphone(files, gate)
    recogniser = Recogniser(microphone.turns)
    session: Any = AgentSession(stt=recogniser, llm=Model(), turn_detection="stt")
    session.input.audio = microphone
    await session.start(agent)
    while len(agent.speakers) < len(files):
        await asyncio.sleep(0.1)
    known, still = (0, 0), 0
    while still < STILL or len(agent.asked) < sum(agent.completed):
        await asyncio.sleep(0.1)
        news = (len(agent.completed), len(agent.asked))
        known, still = news, still + 1 if news == known else 0
    await session.aclose()
    held_s = [round(at - recogniser.said[text], 4) for text, at in agent.came.items()]
    print(json.dumps({"asked": agent.asked, "speakers": agent.speakers, "held_s": held_s}))


asyncio.run(main(*sys.argv[1:]))
