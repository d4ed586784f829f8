"""What is said of messages that are none of ours: whose they may be, and what to say instead.

Other services take sound in JSON, telephone systems send it so, and their words for the beginning
and the end are not ours. Sans-IO.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from engine.audio.services import service
from engine.audio.signatures import HEAD_BYTES, foreign
from streamer.wire.errors import WireError
from streamer.wire.requests import CONTROLS
from streamer.wire.sound_in_json import holds_sound, is_sound

MAX_TOLD = 200  # characters of a parser's complaint, or of a word, that are passed on
SAY_BINARY = "decode it, and send its bytes as binary messages"
SAY_PCM = (
    "send it as binary messages of PCM, decoded if it is base64; the calls of Twilio, Telnyx and"
    " Plivo go to /v1/twilio, /v1/telnyx and /v1/plivo"
)
SAY_TEXT = "JSON came in a binary message, and those are for sound: send it as a text message"
OURS = CONTROLS | {"start"}
FIELDS = ("type", "message", "action", "command", "event", "message_type")  # that hold a word
ENDS = "closestream endofstream endofaudio eos eof terminate terminatesession stop stoprecording"
# Words of other services, by their letters alone, and what is said here in their place.
WORDS: dict[str, str] = {
    **dict.fromkeys((*ENDS.split(), "done", "end", "finish"), '{"type": "finalize"}'),
    "finalize": '{"type": "finalize"} to end the sound, and {"type": "turn"} to go on after it',
    **dict.fromkeys(("keepalive", "ping", "heartbeat"), '{"type": "keepalive"}'),
    **dict.fromkeys(("flush", "commit", "forceendpoint"), '{"type": "turn"}'),
    **dict.fromkeys(
        ("start", "startrecognition", "config", "setup"),
        '{"type": "start", ...} as the first message',
    ),
}


def unreadable(text: str, code: str, error: Exception) -> WireError:
    """What is said of a text that is no JSON."""
    if (named := _named(text)) is not None:
        return named
    if is_sound(text):
        return WireError("wrong-format", f"this seems to be base64: {SAY_BINARY}")
    if not text.strip():
        return WireError(code, 'the message is empty: {"type": "finalize"} ends the sound')
    if text[0] == "\ufeff":
        return WireError(code, "the message begins with a byte order mark: leave it out")
    return WireError(code, f"the message is not JSON: {str(error)[:MAX_TOLD]}{_in_place([text])}")


def unknown(text: str, message: Any, code: str, told: str) -> WireError:
    """What is said of JSON of no known type; ``told`` is what is known."""
    if (named := _named(text)) is not None:
        return named
    if holds_sound(message):
        return WireError("wrong-format", f"this seems to be sound in JSON: {SAY_PCM}")
    fields = message if isinstance(message, dict) else {}
    words = [word for name in FIELDS if isinstance(word := fields.get(name), str)]
    # Where none of them holds a word, the name of a field may be one: `{"eof": 1}`.
    return WireError(code, told + _in_place(words or [*fields]))


def text_as_sound(message: bytes) -> WireError | None:
    """What is wrong with a binary message that is an object of JSON; None: it is none.

    An empty object says nothing, and may be two samples of mu-law as quiet as a room.
    """
    if message[:1] != b"{":
        return None
    try:
        fields = msgspec.json.decode(message)
    except (ValueError, RecursionError):
        return None
    if not fields:
        return None
    if isinstance(kind := fields.get("type"), str) and kind in OURS:
        return WireError("wrong-frame", SAY_TEXT)
    return unknown(message.decode(), fields, "wrong-frame", SAY_TEXT)


def too_early(sound: bytes) -> WireError:
    """What is said of a binary message before the start."""
    told = 'sound came before {"type": "start", ...}'
    if (named := foreign(sound[:HEAD_BYTES])) is not None:
        told = f"{told}, and it is {named[0]}: {named[1]}"
    return text_as_sound(sound) or WireError("binary-before-start", told)


def _named(text: str) -> WireError | None:
    found = service(text[:HEAD_BYTES].encode(errors="replace"))
    return None if found is None else WireError("wrong-format", f"this is {found[0]}: {found[1]}")


def _in_place(words: list[Any]) -> str:
    """What to say in place of another service's word, if one is among these."""
    for word in words:
        if isinstance(word, str) and (ours := WORDS.get(re.sub("[^a-z]", "", word.lower()))):
            return f"; in place of {word[:MAX_TOLD]!r} say {ours}"
    return ""
