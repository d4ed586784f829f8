"""Which names and addresses mean this machine alone."""

from __future__ import annotations

import pytest

from streamer.addresses import is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.3.2.1", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.5", "localhost.example.org", "127.0.0.1.example.org"]
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)
