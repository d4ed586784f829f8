"""Twilio Media Streams, and what Telnyx and Plivo made of them: JSON with sound in base64. Sans-IO.

A call has a track for each direction. The inbound one is the caller's and is judged. The outbound
one is what the caller hears: it is in no sound of theirs and is let go.
"""

from __future__ import annotations

import binascii
import re
from typing import Any

import msgspec
import numpy as np

from engine.audio.services import CALL, service
from engine.audio.signatures import HEAD_BYTES
from streamer.server.telephony.opening import (
    ENCODINGS,
    PARAMETERS,
    TOKEN,
    Format,
    Opening,
    check_parameters,
    opening,
    whole,
)
from streamer.server.telephony.track import Track
from streamer.wire.errors import WireError
from streamer.wire.requests import Finalize, Keepalive, StreamControl

INBOUND = ("", "inbound", "inbound_track")  # names of the caller's track; without one it is theirs
TELNYX_TOKEN = "x-telnyx-streaming-auth-token"  # in `connected`, and as a header
RATE = re.compile(r"rate=(\d+)")
MOST_NUMBER = 1 << 53  # of messages or milliseconds: a float still tells it from the next
PLIVO_PREFIX = re.compile(r"^x-ph-", re.IGNORECASE)
NOT_STARTED = "the call has not started: connected and start come before anything else"
G722 = "take PCMU or PCMA (stream_codec), or L16, at the telephone system"


class _Media(msgspec.Struct, frozen=True):
    payload: str = ""
    track: str | None = None
    timestamp: int | float | str | None = None


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message of any of the three. Of two spellings of a field one is there."""

    event: str
    start: dict[str, Any] | None = None
    media: _Media | None = None
    connected: dict[str, Any] | None = None
    twilio_number: int | str | None = msgspec.field(name="sequenceNumber", default=None)
    telnyx_number: int | str | None = msgspec.field(name="sequence_number", default=None)
    telnyx_stream: str | None = msgspec.field(name="stream_id", default=None)
    extra_headers: Any = None

    @property
    def number(self) -> int | None:
        """Its place among the messages of the connection."""
        number = self.telnyx_number if self.twilio_number is None else self.twilio_number
        return _number(number)


_MESSAGE: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


class MediaStreams:
    """One connection: messages in; its opening, then sound and controls out."""

    def __init__(self, defaults: dict[str, str] | None = None) -> None:
        """``defaults`` are parameters that the address had."""
        self._defaults = defaults or {}
        self._token: str | None = None
        self._track: Track | None = None
        self._swapped = self._stopped = False

    def open(self, message: str | bytes) -> Opening | None:
        """A message before the call has begun: its opening, once that is it."""
        try:
            return self._open(message)
        except WireError as error:
            if error.code != "bad-parameter" and (other := _other(message)) is not None:
                raise other from error
            raise

    def _open(self, message: str | bytes) -> Opening | None:
        read = _read(message)
        if read.event == "connected":
            self._token = (read.connected or {}).get(TELNYX_TOKEN)
            return None
        if read.event != "start" or read.start is None:
            raise WireError("bad-start", NOT_STARTED)
        begun = _opening(read, read.start, self._defaults, self._token)
        self._track, self._swapped = Track(begun.format), begun.format.swapped
        self._track.add(read.number, None, b"")
        return begun

    def receive(self, message: str | bytes) -> list[bytes | StreamControl]:
        """A message after that. What it means; after `stop` nothing does. Raises ``WireError``."""
        assert self._track is not None
        if self._stopped:
            return []
        read = _read(message)
        if read.event in ("start", "connected"):
            raise WireError("second-start", "the call has started already: open another connection")
        self._stopped = read.event == "stop"
        sound = self._track.add(read.number, *_sound(read))
        if self._stopped:
            return [*self._pieces(sound + self._track.flush()), Finalize()]
        return self._pieces(sound) or [Keepalive()]

    def _pieces(self, sound: bytes) -> list[bytes | StreamControl]:
        if self._swapped:
            if len(sound) % 2:
                raise WireError("bad-sound", "L16 has two bytes a sample: one is lacking")
            sound = np.frombuffer(sound, ">i2").astype("<i2").tobytes()
        return [sound] if sound else []


def _other(message: str | bytes) -> WireError | None:
    """What is said of another system's message, which this address does not take; None: whose?"""
    head = message[:HEAD_BYTES]
    other = service(head if isinstance(head, bytes) else head.encode(errors="replace"))
    if other is None or other == CALL:
        return None
    return WireError("wrong-format", f"this is {other[0]}: {other[1]}")


def _read(message: str | bytes) -> _Message:
    if isinstance(message, bytes):
        told = "sound comes in JSON here; binary messages are for /v1/stream"
        raise WireError("wrong-frame", told)
    try:
        return _MESSAGE.decode(message)
    except (ValueError, RecursionError) as error:
        told = "this is no message of Twilio, Telnyx or Plivo: JSON with an event"
        raise WireError("bad-message", told) from error


def _sound(read: _Message) -> tuple[float | None, bytes]:
    """When the caller's sound in a message was said, in milliseconds, and the sound."""
    media = read.media
    if read.event != "media" or media is None or (media.track or "") not in INBOUND:
        return None, b""
    try:
        sound = binascii.a2b_base64(media.payload, strict_mode=True)
    except (ValueError, binascii.Error) as error:
        raise WireError("bad-sound", "media.payload is not base64") from error
    at_ms = _number(media.timestamp)
    return None if at_ms is None else float(at_ms), sound


def _number(value: float | str | None) -> int | None:
    """A count as it is written; None: there is none, or it is more than any call comes to."""
    try:
        number = None if value is None else int(value)
    except (ValueError, OverflowError):
        return None
    return number if number is None or abs(number) <= MOST_NUMBER else None


# How a call starts, by the one whose it is.


def _opening(
    read: _Message, start: dict[str, Any], defaults: dict[str, str], token: str | None
) -> Opening:
    _check_tracks(start.get("tracks"))
    if read.telnyx_stream is not None or "call_control_id" in start:
        given = _given(start.get("custom_parameters"))
        check_parameters(given)
        call, sound = start.get("call_control_id") or read.telnyx_stream, start.get("media_format")
        return opening(_name(call), _format(sound, swapped=True), defaults | given, token)
    if "streamId" in start or "callId" in start:
        given = _plivo_headers(read.extra_headers or start.get("extra_headers"))
        call = start.get("callId") or start.get("streamId")
        return opening(_name(call), _format(start.get("mediaFormat")), defaults | given)
    if "callSid" in start or "streamSid" in start:
        given = _given(start.get("customParameters"))
        check_parameters(given)
        call = start.get("callSid") or start.get("streamSid")
        sound = start.get("mediaFormat", {"encoding": "mulaw", "sampleRate": 8000})
        return opening(_name(call), _format(sound), defaults | given)
    told = "start names no call: callSid (Twilio), call_control_id (Telnyx) or callId (Plivo)"
    raise WireError("bad-start", told)


def _name(call: Any) -> str:
    if not isinstance(call, str) or not call:
        raise WireError("bad-start", "the name of the call in start is no text")
    return call


def _given(parameters: Any) -> dict[str, Any]:
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise WireError("bad-start", "the parameters of the call are no JSON object")
    return parameters


def _check_tracks(tracks: Any) -> None:
    if isinstance(tracks, list) and tracks and not any(track in INBOUND for track in tracks):
        told = "only the outbound track comes, which is what the caller hears: send the inbound one"
        raise WireError("bad-start", told)


def _format(told: Any, *, swapped: bool = False) -> Format:
    """What ``mediaFormat`` says. ``swapped``: L16 is as in RTP, high byte first (RFC 3551)."""
    if not isinstance(told, dict):
        raise WireError("bad-start", "start has no format of the sound (mediaFormat, media_format)")
    name, _, more = str(told.get("encoding", "")).strip().lower().partition(";")
    rate = told.get("sampleRate", told.get("sample_rate"))
    if rate is None and (found := RATE.search(more)):
        rate = found[1]
    rate_hz, channels = whole(rate, "the sample rate"), whole(told.get("channels", 1), "channels")
    if name in ("l16", "audio/x-l16", "audio/l16"):
        return Format("pcm_s16le", rate_hz, channels, swapped)
    if name not in ENCODINGS:
        raise WireError("unknown-encoding", f"{name[:32]!r} is not understood: {G722}")
    return Format(ENCODINGS[name], rate_hz, channels)


def _plivo_headers(headers: Any) -> dict[str, Any]:
    """Parameters among the `extra_headers`, which Plivo writes as `{X-PH-claim: anna}`.

    Its own headers may be among them, so those that nobody knows are let go.
    """
    if isinstance(headers, str):
        headers = _pairs(headers)
    named = {PLIVO_PREFIX.sub("", str(name)): value for name, value in _given(headers).items()}
    return {name: value for name, value in named.items() if name in PARAMETERS | {TOKEN}}


def _pairs(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
        if isinstance(found, dict):
            return found
    except (ValueError, RecursionError):
        pass
    pairs = (re.split("[:=]", pair, maxsplit=1) for pair in re.split("[,;]", text.strip(" {}")))
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}
