"""Reports as they are made for clients that are slow, or leave, and on a disk that is full."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import threading
import tracemalloc
import urllib.request
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from enrolled_people import enrol
from recorded_stream import seated, taken_over
from server_requests import get

from streamer.config import Config
from streamer.reports.spool import Out, Spool
from streamer.server.http import making, reports
from streamer.server.http import request as requests
from streamer.server.server import Server

PATH = "/v1/records/s-1/report.json"
MEGABYTE = bytes(1 << 20)
LARGE_BYTES = 64 << 20  # many times what a connection holds


class Spools(list[Spool]):
    """All that were opened."""

    @property
    def open(self) -> int:
        """How many are still."""
        return sum(not spool._file.closed for spool in self)


@pytest.fixture
def spools(monkeypatch: pytest.MonkeyPatch) -> Spools:
    opened = Spools()

    def open_one(folder: Any) -> Spool:
        opened.append(Spool(folder))
        return opened[-1]

    monkeypatch.setattr(making, "Spool", open_one)
    return opened


def record(server: Server) -> None:
    """A stream of Anna, who is enrolled."""
    store, book = server.context.store, server.context.book
    assert book is not None
    anna = enrol(store, "Anna", now=store.now())
    book.journal.write({"s-1": seated(taken_over(), anna.reference)})


@pytest.fixture
async def recorded(settings: Callable[..., Config]) -> AsyncIterator[Server]:
    """A server with the record of one stream."""
    async with Server(settings(), drain_s=1.0) as server:
        await asyncio.to_thread(record, server)
        yield server


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report of very many megabytes."""

    def write(report: Any, form: str, out: Out, *_: Any) -> None:
        for _ in range(LARGE_BYTES // len(MEGABYTE)):
            out.write(MEGABYTE)

    monkeypatch.setattr(making, "write", write)


@contextlib.asynccontextmanager
async def asking(
    server: Server,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client that has asked for a report."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 14)
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """The most memory that Python held since, in bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


async def test_a_slow_client_holds_a_file_and_no_memory(
    recorded: Server, large: None, spools: Spools, traced: Callable[[], int]
) -> None:
    async with asking(recorded) as (reader, _):
        head = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.5)  # it reads no further for a while
        assert spools.open == 1
        assert traced() < LARGE_BYTES // 4
        assert f"Content-Length: {LARGE_BYTES}".encode() in head
        got = 0
        while piece := await reader.read(1 << 20):
            got += len(piece)
    assert got == LARGE_BYTES
    await eventually(lambda: spools.open == 0)


async def test_who_reads_nothing_is_cut_off_and_the_file_is_gone(
    recorded: Server, large: None, spools: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "UNREAD_S", 0.2)
    async with asking(recorded) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        await eventually(lambda: spools.open == 0)


async def test_who_leaves_while_it_is_sent_leaves_no_file(
    recorded: Server, large: None, spools: Spools
) -> None:
    async with asking(recorded) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
    await eventually(lambda: spools.open == 0)


@pytest.mark.parametrize("shut", [True, False], ids=["closed", "reset"])
async def test_who_leaves_while_it_is_made_ends_the_making(
    recorded: Server, spools: Spools, monkeypatch: pytest.MonkeyPatch, shut: bool
) -> None:
    began, whole = threading.Event(), making.write

    def for_ever(report: Any, form: Any, out: Out, pdf: Callable[[str], bytes], *_: Any) -> None:
        began.set()
        while True:
            pdf("")

    monkeypatch.setattr(making, "write", for_ever)
    monkeypatch.setattr(making.Printer, "__call__", lambda *_: b"")
    async with asking(recorded) as (_, writer):
        await asyncio.to_thread(began.wait, 30)
        assert spools.open == 1
        if shut:
            writer.close()
    await eventually(lambda: spools.open == 0)
    monkeypatch.setattr(making, "write", whole)
    assert (await get(recorded, PATH)).status == 200  # the thread is free again


async def test_who_leaves_while_they_wait_takes_no_turn(
    recorded: Server, spools: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "PLACES", 2)
    go_on, whole, made = threading.Event(), making.write, []
    have_places, make = [], reports.Reports._make

    def wait(*arguments: Any) -> None:
        made.append(go_on.wait(30))
        whole(*arguments)

    async def noted(self: reports.Reports, one: making.Making, request: Any) -> None:
        have_places.append(request)
        await make(self, one, request)

    monkeypatch.setattr(making, "write", wait)
    monkeypatch.setattr(reports.Reports, "_make", noted)
    async with asking(recorded) as (first, _):
        await eventually(lambda: spools.open == 1)
        async with asking(recorded):
            await eventually(lambda: len(have_places) == 2)
            refused = await get(recorded, PATH)
        assert refused.status == 503
        assert json.loads(refused.text)["error"]["code"] == "overloaded"
        await eventually_free(recorded)
        go_on.set()
        assert (await first.readline()).startswith(b"HTTP/1.1 200")
    await eventually(lambda: spools.open == 0)
    assert len(made) == 1


async def eventually_free(server: Server) -> None:
    """Until there is a place: what is asked for is refused for another reason."""
    while (await get(server, "/v1/records/s-9/report.json?zone=Mars")).status == 503:
        await asyncio.sleep(0.01)


async def test_those_who_are_sent_a_file_are_bounded(
    recorded: Server, large: None, spools: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "PLACES", 1)
    async with asking(recorded) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        refused = await get(recorded, PATH)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    await eventually(lambda: spools.open == 0)
    assert (await get(recorded, PATH)).status == 200


async def test_a_full_disk_is_told_and_nothing_is_sent(
    recorded: Server, spools: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "write", full)
        answered = await get(recorded, PATH.replace("json", "zip"))
    told = json.loads(answered.text)["error"]
    assert (answered.status, told["code"]) == (500, "record-failed")
    assert "No space left on device" in told["message"]
    assert "room" in told["message"]
    await eventually(lambda: spools.open == 0)
    assert (await get(recorded, PATH)).status == 200


async def test_pdfs_for_which_there_is_no_time_are_named(
    recorded: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "PDFS_S", -1.0)
    path = PATH.replace("json", "zip")

    def fetched() -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{recorded.port}{path}") as response:
            return bytes(response.read())

    archive = zipfile.ZipFile(io.BytesIO(await asyncio.to_thread(fetched)))
    (line,) = archive.read("no-pdf.txt").decode().splitlines()
    assert line.startswith("voxwatch_Anna_2026-11-28.pdf: there was no time for it")


async def test_a_server_that_stops_ends_what_is_made(
    settings: Callable[..., Config], spools: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def for_ever(report: Any, form: Any, out: Out, pdf: Callable[[str], bytes], *_: Any) -> None:
        while True:
            pdf("")

    monkeypatch.setattr(making, "write", for_ever)
    monkeypatch.setattr(making.Printer, "__call__", lambda *_: b"")
    async with contextlib.AsyncExitStack() as client:
        async with Server(settings(), drain_s=0.2) as server:
            await asyncio.to_thread(record, server)
            await client.enter_async_context(asking(server))
            await eventually(lambda: spools.open == 1)
        await eventually(lambda: spools.open == 0)
