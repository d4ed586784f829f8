"""A server whose store is spoilt, read-only or full: claims go on, and it says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from enrolled_people import Disk

from streamer.config import Config
from streamer.database import shorten_log
from streamer.server import server as server_module
from streamer.server.server import Server
from streamer.store.keys import STORE_FILE

PAGE = 4096


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "WATCH_S", 0.05)
    monkeypatch.setattr(server_module, "CHECK_EVERY", 1)
    monkeypatch.setattr(server_module, "PURGE_S", 0.05)


@pytest.fixture
async def on_disk(settings: Callable[..., Config], disk: Disk) -> AsyncIterator[Server]:
    """A server whose data folder is a file system of its own."""
    config = settings()
    config.data_dir.symlink_to(disk.folder, target_is_directory=True)
    async with Server(config, drain_s=1.0) as running:
        yield running


async def ready(server: Server) -> int:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


async def until(server: Server, status: int) -> None:
    async with asyncio.timeout(20):
        while await ready(server) != status:
            await asyncio.sleep(0.05)


async def test_a_spoilt_store_is_not_ready_and_claims_go_on(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    path = server.context.config.data_dir / STORE_FILE
    async with dial(server, claim="anna") as client:
        await client.until("ready")
        assert await ready(server) == 200
        shorten_log(server.context.store.vault.engine, wait=True)
        whole = path.read_bytes()
        with path.open("r+b") as file:
            file.seek(PAGE)
            file.write(b"\x5a" * (len(whole) - PAGE))
        await until(server, 503)
        await client.sound(pcm("anna", 5.0))
        await client.until("decision", state="match")
        with path.open("r+b") as file:
            file.write(whole)
        await until(server, 200)
        await client.say(type="finalize")
        assert await client.rest() == 1000
    assert not [m for m in client.seen if m["type"] == "error"]


async def test_on_a_disk_that_became_read_only_claims_go_on_and_writes_fail_with_words(
    on_disk: Server, dial: Any, enrol: Any, pcm: Any, disk: Disk
) -> None:
    enrol(on_disk, "anna")
    async with (
        dial(on_disk, claim="anna") as client,
        dial(on_disk, "/v1/control") as control,
    ):
        await client.until("ready")
        disk.remount("abort")
        for _ in range(2):
            refused = await control.ask(type="delete", name="anna")
            assert refused["code"] == "store-failed"
            assert "cannot write" in refused["message"] or "Read-only" in refused["message"]
        assert [p["name"] for p in await control.ask(type="profiles")] == ["anna"]
        await asyncio.sleep(0.3)  # the watches go round
        await client.sound(pcm("anna", 5.0))
        await client.until("decision", state="match")
        await client.say(type="finalize")
        assert await client.rest() == 1000
    assert not [m for m in client.seen if m["type"] == "error"]


async def test_on_a_full_disk_a_deletion_is_one_and_streams_are_told(
    on_disk: Server, dial: Any, enrol: Any, disk: Disk
) -> None:
    enrol(on_disk, "anna")
    enrol(on_disk, "bert")
    async with (
        dial(on_disk, claim="anna") as client,
        dial(on_disk, "/v1/control") as control,
    ):
        await client.until("ready")
        disk.fill()
        assert await control.ask(type="delete", name="anna") == {}
        assert (await client.until("error"))["code"] == "claim-ended"
        assert [p["name"] for p in await control.ask(type="profiles")] == ["bert"]
        await until(on_disk, 200)


async def test_whose_time_runs_out_is_deleted_while_the_server_runs(
    server: Server, dial: Any, enrol: Any
) -> None:
    enrol(server, "anna")
    store = server.context.store
    with store.vault.writing() as people:
        people.extend("anna", server.context.model.sha256, store.now() + 0.2, ())
    async with dial(server, claim="anna") as client:
        await client.until("ready")
        assert (await client.until("error"))["code"] == "claim-ended"
    assert store.acts()[-1].who == "expiry"
