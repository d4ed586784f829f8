"""Candidate links: who holds one may be one person in one exam, until it expires.

A link is a token in the fragment of an address, which browsers send to no server and write into
no log. It holds the random number of a line of a roster, how often its link was made anew, and
when it expires, signed (HMAC-SHA-256) with a key that follows from the store's: with another key
of the store all links are others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct

from streamer.exams.errors import BadLink
from streamer.store.seal import derive

PREFIX = "candidate-"  # no token of the configuration begins like this by chance
PAYLOAD = struct.Struct(">16sII")  # the line, how often its link was made anew, when it expires
TAG_BYTES = 16
PURPOSE = b"candidate links"


def make_link(key: bytes, reference: bytes, renewed: int, expires_at: float) -> str:
    """The token of a link; ``key`` is the store's."""
    payload = PAYLOAD.pack(reference, renewed, int(expires_at))
    text = base64.urlsafe_b64encode(payload + _tag(key, payload)).decode().rstrip("=")
    return PREFIX + text


def is_link(token: str) -> bool:
    """Whether a token says that it is one, not whether it holds."""
    return token.startswith(PREFIX)


def read_link(key: bytes, token: str) -> tuple[bytes, int, float]:
    """Line, how often it was made anew, and when it expires. Raises :class:`BadLink`.

    That it is not too old, and whether the line is still there, is for the caller to see.
    """
    text = token.removeprefix(PREFIX)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadLink("this link is cut short: open it as it was sent") from error
    payload, tag = data[: PAYLOAD.size], data[PAYLOAD.size :]
    if len(payload) < PAYLOAD.size or not hmac.compare_digest(tag, _tag(key, payload)):
        raise BadLink("this link is not of this server, or it is cut short: ask for another")
    reference, renewed, expires_at = PAYLOAD.unpack(payload)
    return reference, renewed, float(expires_at)


def _tag(key: bytes, payload: bytes) -> bytes:
    signing = derive(key, b"", PURPOSE)
    return hmac.digest(signing, payload, hashlib.sha256)[:TAG_BYTES]
