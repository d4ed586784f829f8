"""Pipecat's serializers for telephone systems: reads what we made of a call, and makes one itself.

Standard input has a JSON object: `pcm` (16 kHz s16le, base64) and, by system, `messages`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from types import SimpleNamespace

from pipecat.frames.frames import InputAudioRawFrame, InputDTMFFrame, OutputAudioRawFrame
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer

RATE_HZ = 16_000
PIECE_BYTES = 640  # 20 ms


def serializer(system, told):
    if system == "twilio":
        params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
        return TwilioFrameSerializer(told["stream_id"], params=params)
    if system == "plivo":
        params = PlivoFrameSerializer.InputParams(auto_hang_up=False)
        return PlivoFrameSerializer(told["stream_id"], params=params)
    params = TelnyxFrameSerializer.InputParams(auto_hang_up=False)
    encoding = told["outbound_encoding"]
    return TelnyxFrameSerializer(told["stream_id"], encoding, encoding, params=params)


class Socket:
    """A WebSocket of FastAPI, as far as it is read."""

    def __init__(self, messages):
        self._messages = messages

    async def iter_text(self):
        for message in self._messages:
            yield message


async def tried(system, messages, pcm):
    kind, told = await parse_telephony_websocket(Socket(messages))
    made = serializer(system, told)
    await made.setup(SimpleNamespace(audio_in_sample_rate=RATE_HZ))
    read, digits = b"", ""
    for message in messages:
        frame = await made.deserialize(message)
        if isinstance(frame, InputAudioRawFrame):
            read += frame.audio
        elif isinstance(frame, InputDTMFFrame):
            digits += frame.button.value
    written = []
    for place in range(0, len(pcm), PIECE_BYTES):
        sound = OutputAudioRawFrame(pcm[place : place + PIECE_BYTES], RATE_HZ, 1)
        if (message := await made.serialize(sound)) is not None:
            written.append(json.loads(message))
    return {
        "kind": kind,
        "call": told["call_id"],
        "read": base64.b64encode(read).decode(),
        "digits": digits,
        "written": written,
    }


async def main():
    asked = json.load(sys.stdin)
    pcm = base64.b64decode(asked["pcm"])
    told = {system: await tried(system, m, pcm) for system, m in asked["messages"].items()}
    print(json.dumps(told))


asyncio.run(main())
