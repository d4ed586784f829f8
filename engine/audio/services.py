"""What other services and telephone systems send over a WebSocket, and what to do with it.

Told by the first bytes of a message, whether it came as text or as a binary message. Each has its
sound in JSON, or in a frame of its own, where raw samples are due.
"""

from __future__ import annotations

import re

PAYLOAD = "decode {} (base64), and send its bytes as binary messages"
CALL = (
    "a call's media stream, as of Twilio, SignalWire, Telnyx or Plivo",
    "connect it to /v1/twilio, /v1/telnyx or /v1/plivo, or "
    + PAYLOAD.format("media.payload")
    + ", with encoding=mulaw and sample_rate=8000",
)


def _pair(field: str, values: str) -> bytes:
    """A field of JSON whose text begins with one of ``values``."""
    return rf'"{field}"\s*:\s*"(?:{values})'.encode()


def _field(fields: str) -> bytes:
    return rf'"(?:{fields})"\s*:'.encode()


# What stands in a message of JSON, whose that is, and what to do.
IN_JSON: tuple[tuple[bytes, str, str], ...] = (
    (
        _pair("event", "websocket:"),
        "Vonage's WebSocket of a call",
        "connect it to /v1/stream, with its `websocket:connected` as the first message and without"
        " encoding and sample_rate in the address; its sound comes as binary messages",
    ),
    (
        _field("serverseq"),
        "AudioHook of Genesys",
        "put a program between that answers its `open`, and sends its binary messages on, with"
        " encoding=mulaw, sample_rate=8000 and as many channels as `media` has",
    ),
    (
        _field("stream_sid"),
        "a call of Exotel",
        PAYLOAD.format("media.payload") + ", with sample_rate=8000, or what its address asked for",
    ),
    (
        _field("eventType"),
        "a call of Bandwidth",
        PAYLOAD.format("payload") + ", with encoding=mulaw and sample_rate=8000",
    ),
    (
        _field("ucid"),
        "a call of Ozonetel",
        "send `samples` as 16-bit samples in binary messages, with sample_rate=8000",
    ),
    (
        _pair("type", r"(?:userStream|session)\.(?:start|chunk|stop|initiate|resume|end)"),
        "VoiceAI Connect of AudioCodes",
        PAYLOAD.format("audioChunk") + ", at the rate of its mediaFormat",
    ),
    (
        _field("voicePrompt") + b"|" + _pair("type", "setup") + rb'".*"sessionId"',
        "Twilio's ConversationRelay, which has text and no sound",
        "send the call's sound as well, by <Start><Stream> to /v1/twilio",
    ),
    (
        _field("msg_type"),
        "Zoom's RTMS",
        PAYLOAD.format("content.data") + ", a stream for each user_id, at the rate that was asked"
        " for (16000)",
    ),
    (
        rb'\A\s*\{\s*"muted"\s*:\s*(?:true|false)\s*\}',
        "the track egress of LiveKit",
        "put a program between that keeps its text back, and sends its binary messages on, with"
        " sample_rate=48000; the agents of LiveKit have a plug (docs/AGENTS.md)",
    ),
    (
        _pair("event", r"(?:audio|video|transcript|participant|bot)[a-z_]*\."),
        "a bot of Recall.ai",
        PAYLOAD.format("data.data.buffer") + ", with sample_rate=16000",
    ),
    (
        _pair("trigger", r"realtime_audio\."),
        "a bot of Attendee",
        PAYLOAD.format("data.chunk") + ", at its sample_rate",
    ),
    (
        _pair(
            "type",
            r"input_audio_buffer\.|(?:transcription_)?session\.update|response\.c|conversation\.i",
        ),
        "the Realtime API of OpenAI",
        PAYLOAD.format("audio") + ", with sample_rate=24000 (pcm16); "
        '{"type": "turn"} ends a turn, and {"type": "finalize"} the sound',
    ),
    (
        _field("realtimeInput|realtime_input") + b"|" + _field("setup") + rb'\s*\{\s*"model"',
        "the Live API of Gemini",
        PAYLOAD.format("data") + ", at the rate of its mimeType",
    ),
    (
        _field("user_audio_chunk|audio_base_64"),
        "the API of ElevenLabs",
        PAYLOAD.format("it") + ", with sample_rate=16000",
    ),
    (
        _pair("label", "rtvi-ai"),
        "RTVI, of Pipecat's clients",
        "gate the pipeline by voxwatch's processor (docs/AGENTS.md), or send it PCM (binary)",
    ),
    (
        _pair("type", "audio-start|audio-chunk|audio-stop|run-pipeline|describe"),
        "Wyoming",
        "connect it to `voxwatch wyoming`, which speaks it over TCP",
    ),
    (
        _field("use_vad"),
        "the client of WhisperLive",
        'begin with {"type": "start", "encoding": "pcm_f32le", "sample_rate": 16000}',
    ),
    (_pair("event", "(?:connected|start|media|stop|mark|dtmf|clear)" + '"'), *CALL),
)
# What is no JSON: at which place of the first bytes it is looked for is in the pattern.
IN_BYTES: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (
        re.compile(rb"\A(?:\x00.)?(?=[^\x00]{,400}\bPath ?:)(?:X-|Path|Content-Type)", re.DOTALL),
        "the protocol of Azure's speech service",
        "send what follows its header as binary messages of PCM, without the header of WAV",
    ),
    (
        re.compile(rb"\A\x00.{11}[\x01-\x20]:(?:content-type|event-type|message-type)\x07", re.S),
        "an event stream, as of Amazon Transcribe",
        "send the payload of each AudioEvent as a binary message",
    ),
    (
        re.compile(
            rb"\A\x1a\x45\xdf\xa3.*(?:AWS_KINESISVIDEO|A_MS/ACM|A_PCM/|AUDIO_FROM_CUST)", re.S
        ),
        "Kinesis Video Streams, as of Amazon Connect",
        "take the samples out of the track AUDIO_FROM_CUSTOMER, and send them as binary messages,"
        " with sample_rate=8000",
    ),
)
PATTERNS = tuple((re.compile(pattern, re.DOTALL), name, todo) for pattern, name, todo in IN_JSON)
PIPECAT = (
    "a frame of Pipecat (protobuf)",
    "send the field `audio` of each as a binary message, at its sample_rate, or use voxwatch's"
    " processor (docs/AGENTS.md)",
)
# Bytes of the header of RTP, without what may stand between it and the sound (RFC 3550), and of a
# packet; the encodings of some of its kinds (RFC 3551).
RTP_BYTES, RTP_MOST = 12, 1500
RTP = "send what follows the header of each packet as a binary message, with "
RTP_ENCODINGS = {0: "encoding=mulaw and sample_rate=8000", 8: "encoding=alaw and sample_rate=8000"}
MOST_BESIDE = 40  # bytes that a frame of Pipecat has beside its name and its sound


def service(head: bytes) -> tuple[str, str] | None:
    """Whose message begins with ``head``, and what to do; None: nothing is known."""
    for pattern, name, todo in PATTERNS if head.lstrip()[:1] == b"{" else IN_BYTES:
        if pattern.search(head):
            return name, todo
    if _is_rtp(head):
        return "RTP", RTP + RTP_ENCODINGS.get(head[1] & 0x7F, "the encoding and rate of its kind")
    return PIPECAT if _is_pipecat(head) else None


def _is_rtp(head: bytes) -> bool:
    """Two packets in a row, of version 2, of one kind and one source, and numbered in order."""
    source = head[8:RTP_BYTES]
    at = head.find(source, 2 * RTP_BYTES, RTP_MOST) - 8
    if at < RTP_BYTES or head[0] >> 6 != 2 or head[at] >> 6 != 2:
        return False
    numbers = [int.from_bytes(head[place + 2 : place + 4], "big") for place in (0, at)]
    same_kind = head[1] & 0x7F == head[at + 1] & 0x7F
    return same_kind and (numbers[1] - numbers[0]) & 0xFFFF == 1


def _is_pipecat(head: bytes) -> bool:
    """A frame with sound in it: message 2, with a number, a name (1, 2) and its bytes (3).

    Both lengths have to agree, which those of samples do once in thousands of streams at most.
    """
    if head[:1] != b"\x12" or (whole := _varint(head, 1)) is None:
        return False
    size, at = whole
    end = at + size
    if head[at : at + 1] == b"\x08" and (number := _varint(head, at + 1)) is not None:
        at = number[1]
    if head[at : at + 1] == b"\x12" and (name := _varint(head, at + 1)) is not None:
        at = name[1] + name[0]
    if head[at : at + 1] != b"\x1a" or (sound := _varint(head, at + 1)) is None:
        return False
    return 0 < end - (sound[1] + sound[0]) <= MOST_BESIDE and sound[0] > MOST_BESIDE


def _varint(head: bytes, at: int) -> tuple[int, int] | None:
    """A number of protobuf, and where it ends; None: not all of it is there."""
    value = 0
    for place, code in enumerate(head[at : at + 4]):
        value |= (code & 0x7F) << 7 * place
        if code < 0x80:
            return value, at + place + 1
    return None
