"""JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256, the one kind that `edx-proctoring` makes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec

from streamer.edx.errors import Unauthorised

HEADER = b'{"alg":"HS256","typ":"JWT"}'
MOST_BYTES = 8192  # of a token; longer ones are no tokens of ours
CLOCKS_S = 30.0  # by which two machines' clocks may differ


def sign(claims: dict[str, Any], key: bytes) -> str:
    """A token that says ``claims``."""
    text = f"{_text(HEADER)}.{_text(msgspec.json.encode(claims))}"
    return f"{text}.{_text(_tag(text, key))}"


def read(token: str, key: bytes, now: float) -> dict[str, Any]:
    """What a token says, if ``key`` signed it and it holds at ``now`` (s since 1970).

    Raises :class:`Unauthorised`. A token without ``exp``, or by another algorithm, never holds.
    """
    text, _, tag = token.rpartition(".")
    head, _, body = text.partition(".")
    if len(token) > MOST_BYTES or _object(head).get("alg") != "HS256":
        raise Unauthorised("the token is none that is understood")
    if not hmac.compare_digest(_bytes(tag), _tag(text, key)):
        raise Unauthorised("the token was signed with another secret")
    claims = _object(body)
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or isinstance(expires, bool):
        raise Unauthorised("the token does not say until when it holds")
    if expires + CLOCKS_S <= now:
        raise Unauthorised("the token has expired")
    return claims


def _tag(text: str, key: bytes) -> bytes:
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unauthorised("the token is none that is understood") from error


def _object(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(_bytes(text))
    except (ValueError, RecursionError) as error:
        raise Unauthorised("the token is none that is understood") from error
    if not isinstance(found, dict):
        raise Unauthorised("the token is none that is understood")
    return found
