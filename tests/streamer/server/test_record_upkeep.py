"""What leaves the record of a running server, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from recorded import started, whole
from server_record import WAIT_S, history

from streamer.config import Config
from streamer.records.entries import (
    Started,
)
from streamer.records.opening import open_book
from streamer.server.record_upkeep import shorten_audit, shorten_register
from streamer.server.server import Server
from streamer.store.audit import Entry
from streamer.store.keys import load_key
from streamer.store.store import Store


@pytest.mark.parametrize("mode", ["pseudonymise", "delete"])
async def test_a_person_who_is_deleted_goes_from_the_record_at_once(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any, mode: str
) -> None:
    async with Server(settings(records_on_deletion=mode), drain_s=1.0) as server:
        enrol(server, "anna")
        async with dial(server, claim="anna", label="anna's laptop") as client:
            ready = await client.hear()
            await client.sound(pcm("anna", 4.0))
            await client.say(type="finalize")
            await client.rest()
        await history(server, ready["stream"])
        book = server.context.book
        assert book is not None
        async with dial(server, "/v1/control") as desk:
            await desk.ask(type="delete", name="anna")
        left = [facts.stream for facts in await asyncio.to_thread(book.streams)]
        assert left == ([] if mode == "delete" else [ready["stream"]])
        if left:
            first = (await asyncio.to_thread(book.history, ready["stream"]))[0]
            assert isinstance(first, Started)
            assert first.claims[0].startswith("(deleted ")
            assert first.label == "(erased)"
        assert (await asyncio.to_thread(book.verify)).findings == ()


async def test_what_is_older_than_records_days_is_deleted(
    settings: Callable[..., Config], tmp_path: Any
) -> None:
    config = settings(records_days=30.0)
    async with Server(config):
        pass
    book = open_book(None, config.data_dir, load_key(config.data_dir, env={}))
    now = time.time()
    old, new = now - 31 * 86400.0, now - 29 * 86400.0
    for stream, at in (("old", old), ("new", new)):
        ended = msgspec.structs.replace(whole(stream)[-1], at=at)
        book.journal.write({stream: [started(stream, at=at, claims=(), voiceprints=()), ended]})
    async with Server(config), asyncio.timeout(WAIT_S):
        while len(left := await asyncio.to_thread(book.streams)) > 1:
            await asyncio.sleep(0.02)
    book.close()
    assert [facts.stream for facts in left] == ["new"]


@pytest.mark.parametrize(
    ("records_days", "register_days", "left"),
    [
        (30.0, 90.0, ["deleted", "restarted"]),
        (30.0, None, ["opened", "sealed", "deleted"]),
        (30.0, 101.0, ["opened", "sealed", "deleted"]),
        (99.5, 90.0, ["deleted", "restarted"]),
        (None, 90.0, ["opened", "sealed", "deleted"]),
    ],
)
async def test_the_register_forgets_after_its_own_days(
    settings: Callable[..., Config],
    records_days: float | None,
    register_days: float | None,
    left: list[str],
) -> None:
    """No sooner than records are deleted, whatever is said of it."""
    config = settings(records_days=records_days, register_days=register_days)
    async with Server(config):
        pass
    book = open_book(None, config.data_dir, load_key(config.data_dir, env={}))
    now = time.time()
    at = now - 100 * 86400.0
    ended = msgspec.structs.replace(whole("old")[-1], at=at)
    book.journal.write({"old": [started("old", at=at, claims=(), voiceprints=()), ended]})
    book.delete("old", "chief", "", now)
    async with Server(config) as server:
        await shorten_register(server.context)
    assert [one.act for one in book.register()] == left
    assert book.verify().findings == ()
    book.close()


@pytest.mark.parametrize(("days", "left"), [(730.0, ["shorten"]), (None, ["export"])])
async def test_the_audit_log_of_the_store_forgets_after_its_days(
    settings: Callable[..., Config], days: float | None, left: list[str]
) -> None:
    config = settings(audit_days=days, records=False)
    with Store.in_folder(config.data_dir, None, {}) as store:
        store.note(Entry(store.now() - 731 * 86400.0, "chief", "export"))
    async with Server(config) as server, asyncio.timeout(WAIT_S):
        while [act.act for act in server.context.store.acts()] != left:
            await asyncio.sleep(0.02)
        await shorten_audit(server.context)  # where nothing is forgotten, also not by another look
        assert [act.act for act in server.context.store.acts()] == left
