"""Turns: who has used up the allowance waits in a line, and each in it comes up in order."""

from __future__ import annotations

import asyncio

from streamer.server.limits.turns import RATE, SAVED_S, TURN_S, Allowance, Turns


def test_an_allowance_is_spent_and_comes_back() -> None:
    allowance = Allowance(10.0)
    assert allowance.any_left(10.0)
    allowance.spend(2 * SAVED_S)
    assert not allowance.any_left(10.0)
    assert not allowance.any_left(10.0 + 0.9 * SAVED_S / RATE)
    assert allowance.any_left(10.0 + 1.1 * SAVED_S / RATE)
    allowance.spend(SAVED_S)  # what was not used for an hour is not saved up
    assert not allowance.any_left(10.0 + SAVED_S / RATE)


class Talker:
    def __init__(self, name: str, slices: int, order: list[str]) -> None:
        self._name, self._slices, self._order = name, slices, order

    def take_turn(self) -> float:
        if not self._slices:
            return 0.0
        self._slices -= 1
        self._order.append(self._name)
        return TURN_S


async def test_those_in_line_alternate_whatever_each_has_sent() -> None:
    order: list[str] = []
    turns = Turns()
    turns.wait(Talker("flood", 1000, order))
    turns.wait(Talker("small", 3, order))
    while order.count("small") < 3:
        await asyncio.sleep(0.001)
    assert order.count("flood") <= 4


async def test_the_line_is_empty_once_nobody_has_anything() -> None:
    order: list[str] = []
    turns = Turns()
    turns.wait(Talker("small", 2, order))
    while len(turns):
        await asyncio.sleep(0.001)
    assert order == ["small", "small"]
