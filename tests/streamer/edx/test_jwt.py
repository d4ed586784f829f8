"""Tokens hold only as they were signed, by the one algorithm, and in time."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.edx import jwt
from streamer.edx.errors import Unauthorised

KEY, NOW = b"secret", 1_700_000_000.0
# RFC 7515, appendix A.1: made elsewhere, with a key of its own.
RFC_KEY = base64.urlsafe_b64decode(
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
)
RFC_TOKEN = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)


def part(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def test_what_was_signed_is_read() -> None:
    claims = {"sub": "a", "exp": NOW + 60, "user": {"full_name": "Ünal"}}
    assert jwt.read(jwt.sign(claims, KEY), KEY, NOW) == claims


def test_a_token_of_the_standard_is_read() -> None:
    assert jwt.read(RFC_TOKEN, RFC_KEY, 1_300_819_000)["iss"] == "joe"
    with pytest.raises(Unauthorised, match="expired"):
        jwt.read(RFC_TOKEN, RFC_KEY, 1_300_819_380 + 31)


@given(place=st.integers(0, 10_000), change=st.integers(1, 255))
def test_a_token_that_was_changed_anywhere_never_holds(place: int, change: int) -> None:
    token = bytearray(jwt.sign({"sub": "a", "exp": NOW + 60}, KEY).encode())
    place %= len(token)
    token[place] ^= change
    text = token.decode("latin-1")
    try:
        said = jwt.read(text, KEY, NOW)
    except Unauthorised:
        return
    # The last character of base64 has bits that mean nothing.
    assert place == len(token) - 1
    assert said["sub"] == "a"


@pytest.mark.parametrize(
    "head", [{"alg": "none"}, {"alg": "HS512"}, {"alg": "RS256"}, {}, [], "HS256", None]
)
def test_another_algorithm_never_holds(head: Any) -> None:
    body = part({"sub": "a", "exp": NOW + 60})
    for tag in ("", jwt.sign({"exp": NOW + 60}, KEY).rpartition(".")[2]):
        with pytest.raises(Unauthorised):
            jwt.read(f"{part(head)}.{body}.{tag}", KEY, NOW)


@pytest.mark.parametrize("exp", [None, "soon", True, NOW - 31])
def test_a_token_without_a_time_never_holds(exp: Any) -> None:
    claims = {"sub": "a"} if exp is None else {"sub": "a", "exp": exp}
    with pytest.raises(Unauthorised):
        jwt.read(jwt.sign(claims, KEY), KEY, NOW)


@given(st.text(max_size=200))
def test_whatever_is_no_token_is_refused(text: str) -> None:
    for token in (text, f"{text}.{text}", f"{text}.{text}.{text}"):
        with pytest.raises(Unauthorised):
            jwt.read(token, KEY, NOW)
