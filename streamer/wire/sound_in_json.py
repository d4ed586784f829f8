"""Whether a message that nobody knows holds sound, as other services take it in JSON. Sans-IO.

Sound comes as a great many numbers, or in base64. So do tokens, keys, hashes and ids: they are told
apart by the name of their field, and else by what the base64 holds.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.audio.signatures import foreign

# So many numbers in one message are sound. It is looked for to that depth of JSON.
MANY_NUMBERS, DEEPEST = 64, 4
# Base64 of 10 ms at 8 kHz, in 8 bits a sample, has 108 characters: less holds no piece of sound.
# More than fits into a header of HTTP is no token.
LEAST_SOUND, MOST_TOKEN = 100, 4096
BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
HEXADECIMAL, ZEROS = re.compile(r"[0-9a-f-]+|[0-9A-F-]+"), re.compile("A+={0,2}")
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
OF_SOUND = frozenset(
    {"audio", "sound", "voice", "speech", "pcm", "opus", "wav"}
    | {"media", "payload", "chunk", "samples"}
)
OF_OTHERS = frozenset(
    {"token", "key", "secret", "signature", "auth", "authorization", "bearer", "jwt", "ticket"}
    | {"hash", "digest", "sha", "checksum", "cookie", "nonce", "csrf", "password", "ciphertext"}
    | {"credential", "credentials", "cert", "certificate", "id", "sid", "uuid", "guid"}
    | {"image", "video", "picture", "photo", "text"}
)
# Of 16 classes of bytes, by their upper half. A chi-square of 15 degrees of freedom is above this
# once in ten million times for bytes without any order, as those of tokens are.
UNEVEN = 62.0
LEAST_BYTES = 64  # to tell it by


def holds_sound(message: Any) -> bool:
    """Whether there is base64 of sound in a message of JSON, or a great many numbers."""
    values = list(_values(message, (), DEEPEST))
    numbers = sum(isinstance(value, int | float) for _, value in values)
    return numbers >= MANY_NUMBERS or any(
        isinstance(value, str) and is_sound(value, names) for names, value in values
    )


def is_sound(text: str, names: tuple[str, ...] = ()) -> bool:
    """Whether a text is base64 of sound; ``names`` of the fields around it, the outermost first."""
    if len(text) < LEAST_SOUND or not BASE64.fullmatch(text):
        return False
    told = next((kind for name in reversed(names) if (kind := _told(name)) is not None), None)
    if told is False or (HEXADECIMAL.fullmatch(text) and not ZEROS.fullmatch(text)):
        return False
    data = np.frombuffer(_decoded(text), np.uint8)
    if _is_text(data):
        return False
    return (
        bool(told) or len(text) > MOST_TOKEN or foreign(data.tobytes()) is not None or _sounds(data)
    )


def _values(
    message: Any, names: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What stands in the fields and lists of JSON, to a depth, with the names of the fields."""
    if not isinstance(message, dict | list):
        yield names, message
    elif depth:
        fields = message.items() if isinstance(message, dict) else (("", one) for one in message)
        for name, part in fields:
            yield from _values(part, (*names, name), depth - 1)


def _told(name: str) -> bool | None:
    """Whether a field has sound, by its name; None: that tells nothing."""
    words = {word.lower() for word in WORDS.findall(name)}
    if words & OF_OTHERS:
        return False
    return True if words & OF_SOUND else None


def _decoded(text: str) -> bytes:
    """The bytes, by either alphabet, without a torn end."""
    letters = text.rstrip("=").replace("-", "+").replace("_", "/")
    return binascii.a2b_base64(letters[: len(letters) - len(letters) % 4])


def _is_text(data: NDArray[np.uint8]) -> bool:
    printable = (data >= 32) & (data < 127) | (data == 9) | (data == 10) | (data == 13)
    return bool(printable.all())


def _sounds(data: NDArray[np.uint8]) -> bool:
    """Whether bytes are those of samples, of which most are far from loud."""
    if len(data) < LEAST_BYTES:
        return False
    upper = data[1::2] if len(data) % 2 == 0 else data
    return _uneven(data) > UNEVEN or _uneven(upper) > UNEVEN


def _uneven(data: NDArray[np.uint8]) -> float:
    counts = np.bincount(data >> 4, minlength=16)
    return float(np.square(counts).sum() * 16 / len(data) - len(data))
