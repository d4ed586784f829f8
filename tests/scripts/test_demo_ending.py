"""How a demonstration ends."""

from __future__ import annotations

import asyncio

import pytest

from scripts.demo_ending import until_called_off
from voxwatch_client.errors import ConnectionFailed, ServerError


async def lost(*errors: Exception) -> int:
    async def raises(error: Exception) -> None:
        raise error

    async with asyncio.TaskGroup() as group:
        for error in errors:
            group.create_task(raises(error))
    return 0


async def test_one_that_ends_by_itself_has_its_status() -> None:
    async def done() -> int:
        return 7

    assert await until_called_off(done()) == 7


@pytest.mark.parametrize(
    "errors", [[ConnectionFailed("gone")], [ServerError("idle", "gone"), ConnectionFailed("gone")]]
)
async def test_a_server_that_has_gone_is_said_in_a_line(
    errors: list[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await until_called_off(lost(*errors)) == 1
    assert capsys.readouterr().err.splitlines() == [f"error: {errors[0]}"]


async def test_what_is_no_loss_of_the_server_is_not_hidden() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await until_called_off(lost(ConnectionFailed("gone"), ZeroDivisionError()))
    assert caught.group_contains(ZeroDivisionError)
