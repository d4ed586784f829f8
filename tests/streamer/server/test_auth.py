"""Roles, tokens that work once, and which pages may connect."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.server.auth import (
    ROLES,
    URL_TOKEN_S,
    URL_TOKENS_HELD,
    Auth,
    Role,
    Token,
    origin_allowed,
)


def token(secret: str, *roles: Role) -> Token:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return Token(name=f"of {len(roles)}", roles=roles, sha256=digest)


def test_without_tokens_loopback_is_open() -> None:
    auth = Auth([], open_loopback=True)
    assert auth.roles_of(None) == auth.roles_of("anything") == ROLES
    assert not auth.required


def test_without_tokens_nothing_else_is_open() -> None:
    auth = Auth([], open_loopback=False)
    assert not auth.roles_of(None)
    assert auth.required


def test_a_configured_token_closes_loopback_too() -> None:
    auth = Auth([token("s3cret", "stream")], open_loopback=True)
    assert auth.required
    assert not auth.roles_of(None)
    assert auth.roles_of("s3cret") == {"stream"}


def test_a_token_has_its_roles_and_no_others() -> None:
    auth = Auth(
        [token("one", "stream", "monitor"), token("two", "admin"), token("one", "enrol")],
        open_loopback=False,
    )
    assert auth.roles_of("one") == {"stream", "monitor", "enrol"}
    assert auth.roles_of("two") == {"admin"}


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    auth = Auth([token("the only one", "admin")], open_loopback=False)
    assert bool(auth.roles_of(text)) == (text == "the only one")
    assert not auth.redeem(text, 0.0)


def test_text_that_is_no_unicode_is_no_token() -> None:
    assert not Auth([token("x", "admin")], open_loopback=False).roles_of("\ud800")


def test_capitals_of_the_digest_do_not_matter() -> None:
    small = token("one", "stream")
    large = Token(name="large", roles=("stream",), sha256=small.sha256.upper())
    assert Auth([large], open_loopback=False).roles_of("one") == {"stream"}


def test_a_url_token_works_once() -> None:
    auth = Auth([], open_loopback=False)
    minted = auth.mint("monitor", 100.0)
    assert auth.redeem(minted, 101.0) == {"monitor"}
    assert not auth.redeem(minted, 101.0)


@pytest.mark.parametrize(("after_s", "works"), [(URL_TOKEN_S - 1, True), (URL_TOKEN_S, False)])
def test_a_url_token_works_for_a_minute(after_s: float, works: bool) -> None:
    auth = Auth([], open_loopback=False)
    assert bool(auth.redeem(auth.mint("stream", 5.0), 5.0 + after_s)) is works


def test_a_url_token_is_no_bearer_token() -> None:
    auth = Auth([], open_loopback=False)
    assert not auth.roles_of(auth.mint("admin", 0.0))


def test_the_table_of_url_tokens_is_bounded() -> None:
    auth = Auth([], open_loopback=False)
    minted = [auth.mint("stream", 0.0) for _ in range(URL_TOKENS_HELD + 1)]
    assert len(set(minted)) == len(minted)
    assert not auth.redeem(minted[0], 1.0)
    assert auth.redeem(minted[1], 1.0) == auth.redeem(minted[-1], 1.0) == {"stream"}


def test_expired_url_tokens_make_room() -> None:
    auth = Auth([], open_loopback=False)
    for _ in range(URL_TOKENS_HELD):
        auth.mint("stream", 0.0)
    young = auth.mint("enrol", URL_TOKEN_S)
    assert len(auth._url_tokens) == 1
    assert auth.redeem(young, URL_TOKEN_S + 1) == {"enrol"}


def test_no_secret_shows() -> None:
    known = token("one", "stream")
    auth = Auth([known], open_loopback=False)
    minted = auth.mint("stream", 0.0)
    shown = repr(known) + str(known) + repr(auth) + str(vars(auth))
    assert known.sha256 not in shown
    assert minted not in shown


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "anything:1"),
        ("http://localhost:8765", "localhost:8765"),
        ("http://LOCALHOST:8765", "LocalHost:8765"),
        ("http://127.0.0.1:8765", "127.0.0.1:8765"),
        ("http://[::1]:8765", "[::1]:8765"),
        ("https://192.0.2.7", "192.0.2.7"),
        ("https://192.0.2.7", "192.0.2.7:443"),
        ("https://voice.example.org", "voice.example.org"),
        ("https://voice.example.org:443", "inner:8765"),
        ("http://localhost:5173", "localhost:8765"),
    ],
)
def test_origins_that_may_connect(origin: str | None, host: str) -> None:
    allowed = ["https://voice.example.org", "http://localhost:5173"]
    assert origin_allowed(origin, host, allowed)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "localhost:8765"),
        ("", "localhost:8765"),
        ("https://evil.example", "localhost:8765"),
        ("http://evil.example:8765", "evil.example:8765"),  # its name leads here: rebinding
        ("http://localhost:8766", "localhost:8765"),
        ("http://voice.example.org", "localhost:8765"),  # allowed with https only
        ("https://voice.example.org.evil.example", "localhost"),
        ("https://voice.example.org@evil.example", "localhost"),
        ("https://localhost", "localhost:8765"),
        ("file://", "localhost"),
        ("http://localhost:port", "localhost:port"),
        ("http://[::1", "[::1"),
    ],
)
def test_origins_that_may_not(origin: str, host: str) -> None:
    assert not origin_allowed(origin, host, ["https://voice.example.org"])


@given(st.text(), st.text())
def test_any_origin_gets_an_answer(origin: str, host: str) -> None:
    assert origin_allowed(origin, host, []) in (True, False)
