"""Messages of other services, named by their first bytes."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest

from engine.audio.pcm import PcmDecoder
from engine.audio.services import service
from engine.errors import WrongFormat

SOUND = np.round(np.sin(np.arange(800) / 11) * 9000).astype("<i2").tobytes()
PAYLOAD = base64.b64encode(SOUND).decode()
OPEN = {"version": "2", "type": "open", "id": "e1", "seq": 1, "serverseq": 0, "parameters": {}}
MESSAGES: dict[str, tuple[Any, str, str]] = {
    "Vonage, connected": (
        {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"},
        "Vonage",
        "/v1/stream",
    ),
    "Vonage, key": ({"event": "websocket:dtmf", "digit": "5"}, "Vonage", "/v1/stream"),
    "Twilio": ({"event": "connected", "protocol": "Call"}, "Twilio", "/v1/twilio"),
    "SignalWire": (
        {"event": "start", "start": {"streamSid": "s", "callSid": "c"}, "streamSid": "s"},
        "SignalWire",
        "/v1/twilio",
    ),
    "Exotel": ({"event": "media", "stream_sid": "x", "media": {}}, "Exotel", "sample_rate=8000"),
    "Genesys": (OPEN, "AudioHook", "encoding=mulaw"),
    "Bandwidth": ({"eventType": "media", "payload": PAYLOAD}, "Bandwidth", "mulaw"),
    "Ozonetel": ({"event": "media", "ucid": "1", "data": {"samples": [1]}}, "Ozonetel", "samples"),
    "AudioCodes": ({"type": "userStream.chunk", "audioChunk": "/w=="}, "AudioCodes", "audioChunk"),
    "ConversationRelay": (
        {"type": "setup", "sessionId": "VX", "callSid": "CA"},
        "ConversationRelay",
        "<Stream>",
    ),
    "Zoom": ({"msg_type": 14, "content": {"data": PAYLOAD}}, "RTMS", "content.data"),
    "LiveKit": ({"muted": True}, "LiveKit", "sample_rate=48000"),
    "Recall.ai": ({"event": "audio_mixed_raw.data", "data": {}}, "Recall", "data.data.buffer"),
    "Attendee": ({"trigger": "realtime_audio.mixed", "data": {}}, "Attendee", "data.chunk"),
    "OpenAI": (
        {"type": "input_audio_buffer.append", "audio": PAYLOAD},
        "OpenAI",
        "sample_rate=24000",
    ),
    "OpenAI, settings": ({"type": "session.update", "session": {}}, "OpenAI", "finalize"),
    "Gemini": ({"realtimeInput": {"mediaChunks": []}}, "Gemini", "mimeType"),
    "Gemini, settings": ({"setup": {"model": "models/gemini"}}, "Gemini", "binary messages"),
    "ElevenLabs": ({"user_audio_chunk": PAYLOAD}, "ElevenLabs", "base64"),
    "RTVI": ({"label": "rtvi-ai", "type": "client-ready"}, "Pipecat", "docs/AGENTS.md"),
    "Wyoming": ({"type": "audio-start", "data": {"rate": 16000}}, "Wyoming", "voxwatch wyoming"),
    "WhisperLive": ({"uid": "u", "task": "transcribe", "use_vad": True}, "Whisper", "pcm_f32le"),
}


def number(value: int) -> bytes:
    low = value & 0x7F
    return bytes([low]) if value < 0x80 else bytes([low | 0x80]) + number(value >> 7)


def part(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + number(len(data)) + data


def pipecat(sound: bytes, name: bytes = b"", frame: int | None = None) -> bytes:
    """As the framework's own `frames.proto` has it."""
    named = (b"\x08" + number(frame) if frame is not None else b"") + (name and part(2, name))
    return part(2, named + part(3, sound) + b"\x20" + number(16_000) + b"\x28\x01")


def azure(sound: bytes) -> bytes:
    head = b"X-RequestId:0123\r\nX-Timestamp:2026\r\nContent-Type:audio/x-wav\r\nPath:audio\r\n"
    return struct.pack(">H", len(head)) + head + sound


def rtp(kind: int, size: int, packets: int = 3, step: int = 1, source: int = 0xFEED) -> bytes:
    heads = [
        struct.pack(
            ">BBHII", 0x80, kind | (0x80 if not n else 0), 0xFFFF + n * step & 0xFFFF, n, source
        )
        for n in range(packets)
    ]
    return b"".join(head + SOUND[:size] for head in heads)


FRAMES = {
    "RTP, mu-law": (rtp(0, 160), "RTP.* encoding=mulaw and sample_rate=8000"),
    "RTP, A-law of 30 ms": (rtp(8, 240), "RTP.* encoding=alaw"),
    "RTP, L16": (rtp(11, 640), "RTP.* the encoding and rate of its kind"),
    "RTP, Opus": (rtp(111, 60), "RTP"),
    "Pipecat, named": (pipecat(SOUND, b"InputAudioRawFrame#0", 7), "Pipecat"),
    "Pipecat, bare": (pipecat(SOUND), "Pipecat"),
    "Pipecat, short": (pipecat(SOUND[:320], b"audio", 0), "Pipecat"),
    "Azure": (azure(SOUND), "Azure"),
    "Azure, settings": (b"Path: speech.config\r\nX-RequestId: 1\r\n\r\n{}", "Azure"),
    "Transcribe": (
        struct.pack(">III", 1700, 86, 0x12345678) + b"\x0d:content-type\x07\x00\x18" + SOUND,
        "Transcribe",
    ),
    "Kinesis": (
        b"\x1a\x45\xdf\xa3\x9f" + bytes(40) + b"AWS_KINESISVIDEO" + SOUND,
        "Amazon Connect",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_message_is_named_with_what_to_do(name: str, indent: int | None) -> None:
    message, whose, todo = MESSAGES[name]
    found = service(json.dumps(message, indent=indent).encode())
    assert found is not None
    assert whose in found[0]
    assert todo in found[1]


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_sent_as_samples_is_named_and_refused(name: str) -> None:
    message, whose = FRAMES[name]
    with pytest.raises(WrongFormat, match=whose):
        PcmDecoder().feed(message)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_sent_as_samples_is_named_and_refused(name: str) -> None:
    with pytest.raises(WrongFormat, match=MESSAGES[name][1]):
        PcmDecoder().feed(json.dumps(MESSAGES[name][0]).encode() + SOUND)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "start", "sample_rate": 16000, "claim": "anna"},
        {"type": "configure", "claim": ["anna"]},
        {"type": "keepalive"},
        {"event": "hello"},
        {"type": "session", "muted": True},
    ],
)
def test_our_own_messages_and_unknown_ones_are_nobodys(message: dict[str, Any]) -> None:
    assert service(json.dumps(message).encode()) is None


@pytest.mark.parametrize("seed", range(20))
def test_samples_are_no_frame_of_pipecat(seed: int) -> None:
    sound = np.random.default_rng(seed).integers(0, 256, 4000, np.uint8).tobytes()
    for first in (b"\x12", b"\x12\x90\x06\x1a", b"\x12\x20\x12\x05hello\x1a", b"\x00\x4eX-", b"{"):
        assert service(first + sound) is None


def test_samples_and_one_packet_alone_are_no_rtp() -> None:
    for other in (rtp(0, 160, packets=1), rtp(0, 160, step=2), b"\x80" * 4000, b"\xff\x7f" * 2000):
        assert service(other) is None
    half = len(rtp(0, 160, packets=1))
    assert service(rtp(0, 160, packets=1) + rtp(0, 160, source=7)[half:]) is None


def test_a_frame_whose_lengths_disagree_is_none() -> None:
    whole = pipecat(SOUND)
    assert service(whole) is not None
    assert service(whole[:1] + number(len(SOUND) * 3) + whole[3:]) is None
