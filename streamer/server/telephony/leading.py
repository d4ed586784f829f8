"""The text frame before the sound, by which Asterisk, jambonz and Vonage say what comes. Sans-IO.

All send sound as binary messages, as our own clients do, and text now and then: keys that were
pressed, how full a buffer is. None of that text is for us.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from streamer.server.telephony.opening import (
    ENCODINGS,
    FORMAT,
    PARAMETERS,
    Format,
    Opening,
    opening,
    whole,
)
from streamer.wire.errors import WireError
from streamer.wire.parsing import parse_control, start_from_query
from streamer.wire.requests import CONTROLS, Keepalive, StreamControl

# Subprotocols: `media` is Asterisk's chan_websocket. They say so before anything is sent.
MEDIA, JAMBONZ = "media", "audio.jambonz.org"
SUBPROTOCOLS = (MEDIA, JAMBONZ)
MEDIA_START = "MEDIA_START"
VONAGE_START, L16 = "websocket:connected", re.compile(r"audio/l16;\s*rate=([0-9]{4,6})")
SLIN = re.compile(r"slin([0-9]{1,3})?")
SLIN_HZ = {None: 8000, "44": 44_100}  # else the number is of kHz
# By mixType, the channels; the first is the caller's. In `mixed` both are in one, for good.
CHANNELS = {"mono": 1, "stereo": 2}


def leading(text: str, query: Mapping[str, str]) -> Opening | None:
    """How the stream begins that this frame is before; None: it is none of theirs.

    ``query`` is what the address asked for. Raises :class:`WireError` where the two disagree.
    """
    fields = _fields(text)
    if fields.get("event") == MEDIA_START:
        name = str(fields.get("channel_id") or fields.get("connection_id") or "")
        given, sound = {}, _asterisk(str(fields.get("format", "")))
    elif isinstance(fields.get("callSid"), str) and "sampleRate" in fields:
        name, given, sound = fields["callSid"], _parameters(fields), _jambonz(fields)
    elif fields.get("event") == VONAGE_START:
        name, given, sound = str(fields.get("uuid") or ""), _parameters(fields), _vonage(fields)
    else:
        return None
    _check_agrees(query, sound)
    given |= {name: value for name, value in query.items() if name not in FORMAT}
    return replace(opening(name, sound, given), silent=fields.get("event") == VONAGE_START)


def after(message: str | bytes) -> list[bytes | StreamControl]:
    """What a message means that comes after the leading frame. Raises :class:`WireError`."""
    if isinstance(message, bytes):
        return [message]
    ours = _fields(message).get("type") in CONTROLS
    return [parse_control(message) if ours else Keepalive()]


def _fields(text: str) -> dict[str, Any]:
    """Asterisk writes `MEDIA_START format:ulaw ...`, or if told so the same as JSON."""
    if text.partition(" ")[0] == MEDIA_START:
        pairs = (part.partition(":") for part in text.split()[1:])
        return {"event": MEDIA_START} | {name: value for name, _, value in pairs}
    try:
        fields = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _asterisk(name: str) -> Format:
    if name in ENCODINGS:
        return Format(ENCODINGS[name], 8000)
    if found := SLIN.fullmatch(name):
        rate_hz = SLIN_HZ.get(found[1]) or 1000 * int(found[1])
        return Format("pcm_s16le", rate_hz)
    told = "take c(ulaw), c(alaw) or c(slin16) in the dial string"
    raise WireError("unknown-encoding", f"{name[:32]!r} of Asterisk is not understood: {told}")


def _jambonz(fields: dict[str, Any]) -> Format:
    mix = str(fields.get("mixType", "mono"))
    if mix not in CHANNELS:
        told = "both sides of the call are mixed: take mixType mono, or stereo, at the listen verb"
        raise WireError("bad-start", told)
    return Format("pcm_s16le", whole(fields["sampleRate"], "sampleRate"), CHANNELS[mix])


def _vonage(fields: dict[str, Any]) -> Format:
    """Its sound is little-endian, whatever L16 means elsewhere."""
    name = str(fields.get("content-type", ""))
    if (found := L16.fullmatch(name)) is None:
        told = "take audio/l16;rate=16000 as the content-type of the endpoint"
        raise WireError("unknown-encoding", f"{name[:32]!r} of Vonage is not understood: {told}")
    return Format("pcm_s16le", int(found[1]))


def _parameters(fields: dict[str, Any]) -> dict[str, Any]:
    """Those that Vonage and jambonz were given (`headers`, `metadata`, `customerData`)."""
    found: dict[str, Any] = {}
    for place in (fields, fields.get("customerData"), fields.get("metadata")):
        if isinstance(place, dict):
            found |= {name: place[name] for name in PARAMETERS & place.keys()}
    return found


def _check_agrees(query: Mapping[str, str], sound: Format) -> None:
    """What the address says of the format has to be what comes."""
    declared = {name: query[name] for name in FORMAT & query.keys()}
    if start_from_query(sound.fields() | declared) != start_from_query(sound.fields()):
        told = f"{sound.encoding} at {sound.sample_rate_hz} Hz comes, and the address says another"
        raise WireError("wrong-format", f"{told} encoding, sample_rate or channels: leave it out")
