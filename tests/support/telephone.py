"""What telephone systems send over a WebSocket, in the forms that their documentation shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import soxr
from numpy.typing import NDArray

from engine.audio.g711 import TABLES

FRAME_MS = 20
CALL = "CA3ae75ffe1c5d8847e478556c07d07103"


def encoded(pcm: bytes, encoding: str = "mulaw", rate_hz: int = 8000) -> bytes:
    """Sound for a telephone, from 16 kHz s16le."""
    sound = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    sound = soxr.resample(sound, 16_000, rate_hz) if rate_hz != 16_000 else sound
    samples = np.round(np.clip(sound, -0.99, 0.99) * 32767)
    if encoding not in TABLES:
        return samples.astype("<i2" if encoding == "pcm_s16le" else ">i2").tobytes()
    table = TABLES[encoding].astype(np.float64) * 32768
    order = np.argsort(table, kind="stable")
    place = np.clip(np.searchsorted(table[order], samples), 1, len(table) - 1)
    lower = samples - table[order][place - 1] < table[order][place] - samples
    return order[np.where(lower, place - 1, place)].astype(np.uint8).tobytes()


def over_a_line(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """16 kHz sound as it comes out of a telephone: nothing of it lies above 4 kHz."""
    narrow = soxr.resample(soxr.resample(sound, 16_000, 8000), 8000, 16_000)
    return np.asarray(narrow, np.float32)


def frames(sound: bytes, bytes_per_ms: int = 8) -> Iterator[tuple[int, bytes]]:
    """Its pieces of 20 ms, each with the milliseconds before it."""
    size = FRAME_MS * bytes_per_ms
    for place in range(0, len(sound), size):
        yield place // bytes_per_ms, sound[place : place + size]


class Twilio:
    """Messages of a call; ``given`` are its parameters."""

    connected: ClassVar = {"event": "connected", "protocol": "Call", "version": "1.0.0"}

    def __init__(self, call: str = CALL, **given: Any) -> None:
        self.call, self.given, self.number = call, given, 0
        self.chunks = {"inbound": 0, "outbound": 0}
        self.stream = "MZ18ad3ab5a668481ce02b83e7395059f0"

    def _numbered(self, event: str, **fields: Any) -> dict[str, Any]:
        self.number += 1
        return {
            "event": event,
            "sequenceNumber": str(self.number),
            **fields,
            "streamSid": self.stream,
        }

    def start(self, **changes: Any) -> dict[str, Any]:
        start = {
            "accountSid": "AC5e7b9c0b1d5a4c2f8d6e3f4a5b6c7d8e",
            "streamSid": self.stream,
            "callSid": self.call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self.given,
        }
        return self._numbered("start", start=start | changes)

    def media(self, at_ms: int, sound: bytes, track: str = "inbound") -> dict[str, Any]:
        self.chunks[track] += 1
        media = {
            "track": track,
            "chunk": str(self.chunks[track]),
            "timestamp": str(at_ms),
            "payload": base64.b64encode(sound).decode(),
        }
        return self._numbered("media", media=media)

    def mark(self, name: str) -> dict[str, Any]:
        return self._numbered("mark", mark={"name": name})

    def dtmf(self, digit: str) -> dict[str, Any]:
        return self._numbered("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def stop(self) -> dict[str, Any]:
        return self._numbered("stop", stop={"accountSid": "AC5e7b9c0b", "callSid": self.call})

    def whole(self, sound: bytes) -> list[dict[str, Any]]:
        """A call from its first message to its last."""
        media = [self.media(at_ms, piece) for at_ms, piece in frames(sound, self.bytes_per_ms)]
        return [self.connected, self.start(), *media, self.stop()]

    bytes_per_ms = 8


class Telnyx(Twilio):
    """As Telnyx sends it: other names, another place of the number, and L16 as well."""

    connected: ClassVar = {"event": "connected", "version": "1.0.0"}

    def __init__(self, call: str = "v3:T02llQxIyaRk", encoding: str = "PCMU", **given: Any) -> None:
        super().__init__(call, **given)
        self.encoding, self.rate_hz = encoding, 16_000 if encoding == "L16" else 8000
        self.bytes_per_ms = 32 if encoding == "L16" else 8

    def _numbered(self, event: str, **fields: Any) -> dict[str, Any]:
        self.number += 1
        stream = "32de0dea-53cb-4b21-89a4-9e1819c043bc"
        return {
            "event": event,
            "sequence_number": str(self.number),
            **fields,
            "stream_id": stream,
        }

    def start(self, **changes: Any) -> dict[str, Any]:
        start = {
            "user_id": "3e6f995f-85f7-4705-9741-53b116d28237",
            "call_control_id": self.call,
            "call_session_id": "ff55a038-6f5d-11ef-9692-02420aeffb1f",
            "from": "+13122010094",
            "to": "+13122123456",
            "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
            "custom_parameters": self.given,
            "media_format": {
                "encoding": self.encoding,
                "sample_rate": self.rate_hz,
                "channels": 1,
            },
        }
        return self._numbered("start", start=start | changes)

    def dtmf(self, digit: str) -> dict[str, Any]:
        return self._numbered("dtmf", dtmf={"digit": digit})

    def stop(self) -> dict[str, Any]:
        return self._numbered("stop", stop={"user_id": "3e6f995f", "call_control_id": self.call})


class Plivo(Twilio):
    """As Plivo sends it: its parameters are headers in a text of its own, and L16 is usual."""

    def __init__(self, call: str = "4ee9bf58-9b8f", encoding: str = "mulaw", **given: Any) -> None:
        super().__init__(call, **given)
        self.encoding, self.bytes_per_ms = encoding, 16 if encoding == "l16" else 8
        self.number = -1

    def _numbered(self, event: str, **fields: Any) -> dict[str, Any]:
        self.number += 1
        headers = ", ".join(f"X-PH-{name}: {value}" for name, value in self.given.items())
        return {
            "sequenceNumber": self.number,
            "event": event,
            **fields,
            "streamId": self.stream,
            "extra_headers": "{" + headers + "}",
        }

    def start(self, **changes: Any) -> dict[str, Any]:
        start = {
            "callId": self.call,
            "streamId": self.stream,
            "accountId": "MAXXXXXXXXXXXXXXXXXX",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": f"audio/x-{self.encoding}", "sampleRate": 8000},
        }
        return self._numbered("start", start=start | changes)

    def whole(self, sound: bytes) -> list[dict[str, Any]]:
        """Plivo begins with its start."""
        return super().whole(sound)[1:]


def media_start(name: str = "ulaw", **more: Any) -> str:
    """The first text of Asterisk's chan_websocket."""
    fields = {
        "connection_id": "e226e283-c90a-4ea9-9e37-389000b9ef47",
        "channel": "WebSocket/voxwatch/0x7f1c2c00",
        "channel_id": "1763141871.7",
        "format": name,
        "optimal_frame_size": 160,
        "ptime": FRAME_MS,
    }
    return " ".join(["MEDIA_START", *(f"{k}:{v}" for k, v in (fields | more).items())])


def media_start_json(name: str = "ulaw") -> str:
    """The same with `control_message_format = json`."""
    return json.dumps(
        {
            "event": "MEDIA_START",
            "connection_id": "e226e283-c90a-4ea9-9e37-389000b9ef47",
            "channel": "WebSocket/voxwatch/0x7f1c2c00",
            "channel_id": "1763141871.7",
            "format": name,
            "optimal_frame_size": 160,
            "ptime": FRAME_MS,
            "channel_variables": {},
        }
    )


def jambonz(rate_hz: int = 8000, mix: str = "mono", **more: Any) -> dict[str, Any]:
    """The first text of jambonz' listen verb."""
    return {
        "callSid": "9fb35c28-9688-4531-943c-e280b04f3adf",
        "direction": "inbound",
        "from": "+15083084809",
        "to": "+15083728299",
        "callId": "d8907723-0bc7-123b-09b5-12e962f3039b",
        "sipStatus": 200,
        "callStatus": "in-progress",
        "accountSid": "ee9d7d49-b3e4-4fdb-9d66-661149f717e8",
        "sampleRate": rate_hz,
        "mixType": mix,
        **more,
    }
