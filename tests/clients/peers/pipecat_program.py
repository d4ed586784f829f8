"""Runs in Pipecat's environment: a pipeline with the gate, told by a file what to send.

Its one argument is a file of JSON: the server's URL, the options of the gate, and steps, each
`["sound", FILE]` (raw PCM, 16 kHz), `["silence", SECONDS]`, `["began"]`, `["stopped"]`, `["text",
WORDS]`. It prints what came out, a JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
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
    SpeakerFrame,
    SpeakerGateProcessor,
    SpeakerUserTurnStartStrategy,
)

RATE_HZ = 16_000
FRAME_BYTES = 640  # 20 ms, as transports send it
PACE = 2  # times as fast as it was said


def audio(pcm: bytes) -> list[Frame]:
    frames: list[Frame] = []
    for start in range(0, len(pcm), FRAME_BYTES):
        frames.append(InputAudioRawFrame(pcm[start : start + FRAME_BYTES], RATE_HZ, 1))
        frames.append(SleepFrame(0.02 / PACE))
    return frames


def frames_of(step: list[Any]) -> list[Frame]:
    match step:
        case ["sound", name]:
            return audio(Path(name).read_bytes())
        case ["silence", seconds]:
            return audio(bytes(2 * int(RATE_HZ * seconds)))
        case ["began"]:
            return [VADUserStartedSpeakingFrame(start_secs=0.2)]
        case ["stopped"]:
            return [VADUserStoppedSpeakingFrame(stop_secs=0.0)]
        case ["text", words]:
            return [TranscriptionFrame(words, "somebody", "now", finalized=True)]
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
    plan = json.loads(Path(sys.argv[1]).read_text())
    gate = SpeakerGate(plan["url"], **plan["gate"])
    steps = [frame for step in plan["steps"] for frame in frames_of(step)]
    held = Held()
    down, _ = await run_test(
        SpeakerGateProcessor(gate), frames_to_send=steps, observers=[held], start_timeout=20
    )
    strategy = SpeakerUserTurnStartStrategy()
    for frame in down:
        if isinstance(frame, TranscriptionFrame):
            print(json.dumps({"text": frame.text, "user": frame.user_id}))
        elif isinstance(frame, SpeakerFrame) and frame.verdict:
            began = await strategy.process_frame(frame) == ProcessFrameResult.STOP
            told = {"state": frame.verdict.state, "final": frame.final, "begins": began}
            print(json.dumps(told))
    print(json.dumps({"held_s": held.seconds}))


asyncio.run(main())
