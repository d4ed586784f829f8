"""Which pages may connect, and under which names the server may be asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.server.origins import host_allowed, hosts_of, origin_allowed


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


@pytest.mark.parametrize(
    "host", ["", "localhost:8765", "127.0.0.1", "[::1]:8765", "voice.home:1", "desk:8765"]
)
def test_names_that_are_known_or_cannot_be_rebound_are_ours(host: str) -> None:
    assert host_allowed(host, hosts_of(["https://voice.home:8443"]))


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8765", "voice.home.", "a@b", "x/y"]
)
def test_any_other_name_is_not(host: str) -> None:
    assert not host_allowed(host, hosts_of(["https://voice.home:8443"]))
