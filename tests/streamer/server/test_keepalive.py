"""When a connection is pinged, by a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.protocol import OPEN

from streamer.server import keepalive
from streamer.server.keepalive import PingedConnection

PING_S, END_S = 20.0, 300.0


class Ended(Exception):
    """The time is over."""


class Line:
    """A connection to a client that answers pings, or does not, and sends at some times."""

    def __init__(self, *, answers: bool = True, sends_every_s: float | None = None) -> None:
        self.now, self.pings, self.cut = 0.0, list[float](), False
        self._answers, self._sends_every_s = answers, sends_every_s
        self.side: Any = SimpleNamespace(
            ping_interval=PING_S,
            ping_timeout=PING_S,
            loop=SimpleNamespace(time=lambda: self.now),
            heard_at=0.0,
            state=OPEN,
            protocol=SimpleNamespace(send_ping=self._pinged),
            send_data=lambda: None,
            transport=SimpleNamespace(abort=self._abort),
            stopped=False,
        )

    def _pinged(self, _: bytes) -> None:
        self.pings.append(self.now)
        if self._answers:
            self.side.heard_at = self.now

    def _abort(self) -> None:
        self.cut = True
        raise Ended

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self._sends_every_s is not None:
            sent_at = self.now // self._sends_every_s * self._sends_every_s
            self.side.heard_at = max(self.side.heard_at, sent_at)
        if self.now > END_S:
            raise Ended

    async def run(self) -> None:
        with pytest.raises(Ended):
            await PingedConnection.keepalive(self.side)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Line]:
    def make(**options: Any) -> Line:
        found = Line(**options)
        stand_in = SimpleNamespace(**vars(asyncio) | {"sleep": found.sleep})
        monkeypatch.setattr(keepalive, "asyncio", stand_in)
        return found

    return make


async def test_no_silence_is_longer_than_the_interval(line: Callable[..., Line]) -> None:
    """Proxies cut off a connection on which nothing passes: the longest silence counts."""
    silent = line()
    await silent.run()
    assert silent.pings == [20.0 * n for n in range(1, 15 + 1)]


async def test_a_client_that_sends_costs_no_ping(line: Callable[..., Line]) -> None:
    busy = line(sends_every_s=5.0)
    await busy.run()
    assert busy.pings == []


async def test_a_client_that_sends_now_and_then_is_pinged_between(
    line: Callable[..., Line],
) -> None:
    slow = line(sends_every_s=90.0)
    await slow.run()
    assert not slow.cut
    assert slow.pings


async def test_a_client_that_is_gone_is_cut_off(line: Callable[..., Line]) -> None:
    gone = line(answers=False)
    await gone.run()
    assert (gone.cut, gone.pings, gone.now) == (True, [20.0], 40.0)
