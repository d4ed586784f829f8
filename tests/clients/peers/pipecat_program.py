"""Runs in Pipecat's environment: a pipeline with the gate, told by a file what to send.

Its one argument is a file of JSON: the server's URL, the options of the gate, and steps, each
`["sound", FILE]` (raw PCM, 16 kHz), `["silence", SECONDS]`, `["began"]`, `["stopped"]`, `["text",
WORDS]`, `["at", PLACE]` (which it says to the test) or `["sound until", FILE, WHAT]` (again and
again, until the gate is connected or not, or in a state). It prints what came out, a JSON line
each.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.turns.types import ProcessFrameResult

from voxwatch_client.gate import SpeakerGate
from voxwatch_client.pipecat import (
    SpeakerGateProcessor,
    SpeakerUserTurnStartStrategy,
    VoxwatchDecisionFrame,
)

RATE_HZ = 16_000
FRAME_BYTES = 640  # 20 ms, as transports send it
PLAN = json.loads(Path(sys.argv[1]).read_text())


due_s = 0.0  # when the next frame of the microphone is there


def audio(pcm: bytes) -> Iterator[Frame]:
    """At the pace at which it was said, as a microphone gives it: any other is a wrong rate."""
    global due_s
    due_s = max(due_s, time.monotonic())
    for start in range(0, len(pcm), FRAME_BYTES):
        yield InputAudioRawFrame(pcm[start : start + FRAME_BYTES], RATE_HZ, 1)
        due_s += FRAME_BYTES / 2 / RATE_HZ
        yield SleepFrame(max(0.0, due_s - time.monotonic()))


def frames_of(step: list[Any], gate: SpeakerGate) -> Iterator[Frame]:
    match step:
        case ["sound", name]:
            yield from audio(Path(name).read_bytes())
        case ["sound until", name, wanted]:
            while wanted not in (gate.connected, gate.live.state):
                yield from audio(Path(name).read_bytes()[: 10 * FRAME_BYTES])
        case ["silence", seconds]:
            yield from audio(bytes(2 * int(RATE_HZ * seconds)))
        case ["began"]:
            yield VADUserStartedSpeakingFrame(start_secs=0.2)
        case ["stopped"]:
            yield VADUserStoppedSpeakingFrame(stop_secs=0.0)
        case ["text", words]:
            yield TranscriptionFrame(words, "somebody", "now", finalized=True)
        case ["at", place]:
            print(json.dumps({"at": place}), flush=True)
        case _:
            raise ValueError(step)


class Held(BaseObserver):
    """How long each transcript was held."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[str, float] = {}
        self.seconds: list[float] = []

    async def on_push_frame(self, data: FramePushed) -> None:
        if not isinstance(data.frame, TranscriptionFrame):
            return
        now = time.monotonic()
        came = self.came.setdefault(data.frame.text, now)
        if isinstance(data.source, SpeakerGateProcessor):
            self.seconds.append(round(now - came, 4))


async def main() -> None:
    gate = SpeakerGate(PLAN["url"], **PLAN["gate"])
    steps: Any = (frame for step in PLAN["steps"] for frame in frames_of(step, gate))
    held = Held()
    down, _ = await run_test(
        SpeakerGateProcessor(gate), frames_to_send=steps, observers=[held], start_timeout=20
    )
    strategy = SpeakerUserTurnStartStrategy()
    turns: list[bool] = []  # of each that it began, whether it interrupts

    @strategy.event_handler("on_user_turn_started")
    async def began(_: Any, params: Any) -> None:
        turns.append(params.enable_interruptions)

    for frame in down:
        if isinstance(frame, TranscriptionFrame):
            print(json.dumps({"text": frame.text, "user": frame.user_id}))
        elif isinstance(frame, VoxwatchDecisionFrame) and frame.verdict:
            turns.clear()
            begins = await strategy.process_frame(frame) == ProcessFrameResult.STOP
            told = {"state": frame.verdict.state, "final": frame.final, "begins": begins}
            told |= {"interrupts": any(turns), "present": frame.present}
            print(json.dumps(told))
    print(json.dumps({"held_s": held.seconds}))


asyncio.run(main())
