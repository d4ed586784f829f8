"""Several workers on one port: real processes, which together look like one server."""

# Long: every test needs the processes of `Served` and the wire of `Wire`, which are a third of it.

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import resource
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from certificates import self_signed
from websockets.asyncio.client import connect as open_websocket

from engine.model.bundle import Bundle
from voxwatch_client import connect, control, enroll, verify

TOKEN = "a long random text"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
START_S = 120.0  # three processes that load everything, on a machine that does other things too
WAIT_S = 30.0


class Served:
    """`voxwatch serve --workers 2`, its address and its processes."""

    def __init__(self, folder: Path, bundle: Path, **settings: str) -> None:
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        roles = ["stream", "enrol", "monitor", "admin"]
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("VOXWATCH_")},
            "VOXWATCH_DATA_DIR": str(folder / "data"),
            "VOXWATCH_BUNDLE": str(bundle),
            "VOXWATCH_PORT": "0",
            "VOXWATCH_PROVIDER": "cpu",
            "VOXWATCH_THREADS": "2",
            "VOXWATCH_TOKENS": json.dumps([{"name": "t", "roles": roles, "sha256": digest}]),
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamer.cli", "serve", "--workers", "2"],
                env=env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.stdout = self.process.stdout
        self.first = self.stdout.readline()
        self.url = self.first.split(" ")[0]

    @property
    def workers(self) -> list[psutil.Process]:
        """The workers' processes."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def worker_of(self, wire: Wire) -> psutil.Process:
        """The process that a connection came to."""
        _, port = wire.connection.local_address
        (found,) = (
            worker
            for worker in self.workers
            if any(there.raddr[1:] == (port,) for there in worker.net_connections("tcp"))
        )
        return found

    async def settle(self) -> None:
        """Wait until the workers have no connection: how many they have decides who gets the next.

        A client that has closed is counted until its worker has noticed.
        """
        port = int(self.url.rpartition(":")[2].rstrip("/"))
        async with asyncio.timeout(WAIT_S):
            while any(
                there.laddr.port == port
                for worker in self.workers
                for there in worker.net_connections("tcp")
            ):
                await asyncio.sleep(0.02)

    def get(self, path: str) -> tuple[int, str]:
        request = urllib.request.Request(self.url + path, headers=BEARER)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def end(self) -> int:
        self.process.terminate()
        code = self.process.wait(timeout=WAIT_S)
        self.stdout.close()
        return code


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, spectral_bundle: Bundle) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("workers"), spectral_bundle.folder)
    try:
        assert "is ready: spectral 1 on cpu, 2 workers" in server.first, server.log.read_text()
        yield server
    finally:
        server.end()


@pytest.fixture
async def served(started: Served) -> Served:
    """The same for every test, without the connections of the one before."""
    await started.settle()
    return started


class Wire:
    """A WebSocket, and what is said on it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        while True:
            message = await self.hear()
            if message["type"] == kind and fields.items() <= message.items():
                return message


@contextlib.asynccontextmanager
async def dial(
    served: Served, path: str, headers: Any = BEARER, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Wire]:
    url = served.url.replace("http", "ws") + path
    async with open_websocket(
        url, additional_headers=headers, close_timeout=2, ssl=tls
    ) as connection:
        yield Wire(connection)


@contextlib.asynccontextmanager
async def streaming(served: Served, **start: Any) -> AsyncIterator[tuple[Wire, dict[str, Any]]]:
    async with dial(served, "/v1/stream") as wire:
        await wire.say(type="start", **start)
        ready = await wire.hear()
        assert ready["type"] == "ready", ready
        yield wire, ready


def worker_of(ready: dict[str, Any]) -> str:
    return str(ready["session"].partition(".")[0])


@contextlib.asynccontextmanager
async def one_each(served: Served, **start: Any) -> AsyncIterator[dict[str, Any]]:
    """A stream on each worker, by its number."""
    async with contextlib.AsyncExitStack() as stack:
        found = {}
        for _ in range(2):
            wire, ready = await stack.enter_async_context(streaming(served, **start))
            found[worker_of(ready)] = (wire, ready)
        assert sorted(found) == ["1", "2"], "the second goes to the one that has none"
        yield found


@pytest.fixture
async def anna(served: Served, pcm: Callable[..., bytes]) -> AsyncIterator[None]:
    """She is enrolled by one of the workers."""
    options = {"consent": "2026-11", "token": TOKEN}
    async with enroll(served.url, "anna", **options) as enrolment:
        await enrolment.send(pcm("anna", 14.0))
        await enrolment.finalize()
        told = [event async for event in enrolment]
    assert type(told[-1]).__name__ == "EnrolledAs", told[-1]
    yield
    async with control(served.url, token=TOKEN) as client:
        if [p for p in await client.request("profiles") if p["name"] == "anna"]:
            await client.request("delete", name="anna")


async def test_long_connections_are_shared_evenly(served: Served) -> None:
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(streaming(served)) for _ in range(6)]
        assert sorted(worker_of(ready) for _, ready in opened) == ["1"] * 3 + ["2"] * 3
        async with control(served.url, token=TOKEN) as client:
            listed = await client.request("streams")
            status = await client.request("status")
        ids = {ready["stream"] for _, ready in opened}
        assert {one["stream"] for one in listed} == ids
        assert status["streams"] == 6
        figures = await asyncio.to_thread(served.get, "/metrics")
        assert "voxwatch_streams 6.0" in figures[1]
        assert await asyncio.to_thread(served.get, "/readyz") == (200, "ready\n")
        assert (await asyncio.to_thread(served.get, "/peer"))[0] == 404  # for workers alone


async def test_those_that_follow_each_other_go_to_each_worker_in_turn(served: Served) -> None:
    reached = []
    for _ in range(4):
        async with streaming(served) as (_, ready):
            reached.append(worker_of(ready))
        await served.settle()
    assert reached in (["1", "2", "1", "2"], ["2", "1", "2", "1"])


async def test_monitors_see_the_streams_of_all_workers(
    served: Served, pcm: Callable[..., bytes]
) -> None:
    async with one_each(served, label="before") as before:
        async with dial(served, "/v1/monitor?levels=1") as wire:
            ready = await wire.hear()
            ids = {told["stream"] for _, told in before.values()}
            assert {one["stream"] for one in ready["streams"]} == ids
            async with one_each(served, label="after") as after:
                opened, seen = [], [ready]
                for talker, _ in after.values():
                    await talker.connection.send(pcm("anna", 3.0))
                    await talker.say(type="finalize")
                late = {told["stream"] for _, told in after.values()}
                spoke: set[str] = set()
                closed: set[str] = set()
                while not (late <= closed):
                    message = await wire.hear()
                    seen.append(message)
                    if message["type"] == "opened":
                        opened.append(message["label"])
                    elif message["type"] == "vad":
                        spoke.add(message["stream"])
                    elif message["type"] == "summary":
                        talker = next(
                            w for w, t in after.values() if t["stream"] == message["stream"]
                        )
                        await talker.connection.close()
                    elif message["type"] == "closed":
                        closed.add(message["stream"])
            assert opened == ["after"] * 2
            assert spoke >= late
            assert [m["seq"] for m in seen] == list(range(len(seen)))
        only = next(iter(ids))
        async with dial(served, f"/v1/monitor?stream={only}") as wire:
            assert [one["stream"] for one in (await wire.hear())["streams"]] == [only]


async def test_incidents_and_acts_of_all_workers_reach_every_desk(
    served: Served, pcm: Callable[..., bytes]
) -> None:
    async with (
        dial(served, "/v1/monitor") as one,
        dial(served, "/v1/monitor") as other,
        control(served.url, token=TOKEN) as desk,
        one_each(served, live=False) as streams,
    ):
        names = {ready["stream"] for _, ready in streams.values()}
        for wire, _ in streams.values():
            await wire.connection.send(pcm("anna", 5.0) * 3)
        for monitor in (one, other):
            told: dict[str, str] = {}
            while told.keys() != names:
                found = await monitor.until("incident")
                told[found["stream"]] = found["id"]
        for stream in names:
            await desk.request("act", stream=stream, act="acknowledge", incident=told[stream])
        for monitor in (one, other):
            acts = [await monitor.until("act") for _ in names]
            assert {act["stream"] for act in acts} == names
        listed = {row["stream"]: row for row in await desk.request("incidents")}
        assert listed.keys() == names
        assert all(row["acknowledged_at"] for row in listed.values())
        for wire, _ in streams.values():
            await wire.say(type="close")
            await wire.until("summary")
            await wire.connection.close()
        for stream in names:
            (row,) = await desk.request("incidents", stream=stream)
            assert row["acknowledged_at"] == listed[stream]["acknowledged_at"]


async def test_a_candidate_has_one_stream_whichever_worker_has_it(
    served: Served, anna: None
) -> None:
    async with control(served.url, token=TOKEN) as desk:
        ends_at = time.time() + 3600
        exam = (await desk.request("exam-create", name="Algebra", ends_at=ends_at))["exam"]
        line = {"candidate": "4711", "name": "Anna K", "voiceprint": "anna"}
        await desk.request("roster", exam=exam, add=[line])
        sits = {"exam": exam, "candidate": "4711"}
        async with one_each(served, **sits) as streams:
            began = {n: r["stream"] for n, (_, r) in streams.items()}
            over = {n: asyncio.create_task(w.until("error")) for n, (w, _) in streams.items()}
            done, _ = await asyncio.wait(over.values(), return_when=asyncio.FIRST_COMPLETED)
            assert [task.result()["code"] for task in done] == ["taken-over"]
            (stays,) = [n for n, task in over.items() if not task.done()]
            async with asyncio.timeout(WAIT_S):  # the other worker is told of the end after that
                while [row["stream"] for row in await desk.request("streams")] != [began[stays]]:
                    await asyncio.sleep(0.02)
            for task in over.values():
                task.cancel()
        async with asyncio.timeout(WAIT_S):  # it is written behind
            ended: set[str] = set()
            while ended != set(began.values()):
                ended = {row["stream"] for row in await desk.request("recorded", exam=exam)}


async def test_a_session_is_found_wherever_its_client_comes_back(
    served: Served, anna: None, pcm: Callable[..., bytes]
) -> None:
    sound = pcm("anna", 6.0)
    async with streaming(served, claim="anna") as (whole, _):
        await whole.connection.send(sound)
        await whole.say(type="finalize")
        verdict = await whole.until("utterance")
    async with streaming(served, claim="anna") as (first, ready):
        await first.connection.send(sound[: len(sound) // 2])
        told = await first.until("decision")
        start = {"session": ready["session"], "resume_from": told["seq"] + 1}
        # The other worker has fewer connections: this one comes to it, and is passed on.
        async with streaming(served, **start) as (second, again):
            assert again["session"] == ready["session"]
            assert again["resumed"]
            assert (await first.until("error"))["code"] == "taken-over"
            await second.connection.send(sound[again["received_bytes"] :])
            await second.say(type="finalize")
            resumed = await second.until("utterance")
            await second.until("summary")
            with contextlib.suppress(Exception):
                await second.hear()
            assert second.connection.close_code == 1000
    assert resumed["llr"] == pytest.approx(verdict["llr"], abs=1e-3)
    unknown = {"session": "2.no-such-session", "resume_from": 1}
    for _ in range(2):  # on its own worker, and passed on to it
        async with dial(served, "/v1/stream") as wire:
            await wire.say(type="start", **unknown)
            assert (await wire.hear())["code"] == "unknown-session"


async def test_a_relayed_client_that_is_lost_may_come_back(
    served: Served, pcm: Callable[..., bytes]
) -> None:
    async with streaming(served) as (first, ready), dial(served, "/v1/stream") as other:
        start = {"session": ready["session"], "resume_from": 1}
        await other.say(type="start", **start)
        assert (await other.hear())["resumed"]
        await first.until("error")
        other.connection.transport.abort()
        async with streaming(served, **start) as (third, again):
            assert again["resumed"]
            await third.connection.send(pcm("anna", 1.0))
            await third.until("vad")


async def test_who_is_enrolled_or_deleted_by_one_is_so_for_all(
    served: Served, anna: None, pcm: Callable[..., bytes]
) -> None:
    async with one_each(served, claim="anna") as claiming, one_each(served) as asking:
        async with control(served.url, token=TOKEN) as client:
            await client.request("delete", name="anna")
            # It has returned: nobody compares with her any more.
            streams = {one["stream"]: one for one in await client.request("streams")}
        for wire, ready in claiming.values():
            assert streams[ready["stream"]]["mode"] == "changes"
            assert (await wire.until("error"))["code"] == "claim-ended"
        for wire, _ in asking.values():
            assert (await wire.until("configured"))["mode"] == "changes"


async def test_a_token_for_an_address_works_once_wherever_it_is_shown(served: Served) -> None:
    async with one_each(served), dial(served, "/v1/control") as wire:
        tokens = []
        for number in range(4):
            await wire.say(id=number, type="url_token", role="stream")
            tokens.append((await wire.hear())["result"]["token"])
        async with contextlib.AsyncExitStack() as stack:
            reached = set()
            for token in tokens:
                path = f"/v1/stream?token={token}&label=x"
                opened = await stack.enter_async_context(dial(served, path, headers=None))
                reached.add(worker_of(await opened.hear()))
                with pytest.raises(Exception, match="401"):
                    async with dial(served, path, headers=None):
                        pass
            assert reached == {"1", "2"}


async def test_recordings_are_judged_by_any(
    served: Served, anna: None, pcm: Callable[..., bytes]
) -> None:
    for _ in range(3):
        verdict = await verify(
            served.url, pcm("anna", 4.0), claim="anna", sample_rate=16_000, token=TOKEN
        )
        assert verdict.state == "match"


async def test_a_worker_that_dies_is_started_again_and_the_others_go_on(
    served: Served, pcm: Callable[..., bytes]
) -> None:
    async with one_each(served) as streams, dial(served, "/v1/monitor") as monitor:
        await monitor.until("ready")
        survivor = served.worker_of(monitor)
        (victim,) = (worker for worker in served.workers if worker != survivor)
        victim.kill()
        lost = await monitor.until("closed")
        assert lost["code"] == 1006
        number = next(n for n, (_, r) in streams.items() if r["stream"] == lost["stream"])
        (left,) = (wire for n, (wire, _) in streams.items() if n != number)
        await left.connection.send(pcm("anna", 2.0))
        await left.until("vad")
        until = time.monotonic() + START_S
        while (await asyncio.to_thread(served.get, "/readyz"))[0] != 200:
            assert time.monotonic() < until
            await asyncio.sleep(0.2)
        assert f"worker {number} died (SIGKILL)" in served.log.read_text()
        assert survivor.is_running()
        assert len(served.workers) == 2
        # The one that lives has the more connections, so that the next comes to the other.
        async with streaming(served, label="again") as (_, ready):
            assert worker_of(ready) == number
            opened = await monitor.until("opened", label="again")
            assert opened["stream"] == ready["stream"]
        async with dial(served, "/v1/stream") as wire:
            await wire.say(type="start", session=streams[number][1]["session"], resume_from=1)
            assert (await wire.hear())["code"] == "unknown-session"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_all_workers_drain(
    tmp_path: Path, spectral_bundle: Bundle, pcm: Callable[..., bytes], number: int
) -> None:
    """With TLS, which each worker speaks itself on the connections that it is given."""
    certificate, key = self_signed(tmp_path)
    settings = {"VOXWATCH_TLS_CERT": str(certificate), "VOXWATCH_TLS_KEY": str(key)}
    tls = ssl.create_default_context(cafile=certificate)
    served = await asyncio.to_thread(lambda: Served(tmp_path, spectral_bundle.folder, **settings))
    workers = served.workers
    try:
        async with contextlib.AsyncExitStack() as stack:
            options = {"token": TOKEN, "tls": tls}
            streams = [
                await stack.enter_async_context(connect(served.url, **options)) for _ in range(3)
            ]
            for stream in streams:
                await stream.send(pcm("anna", 2.0))
                await anext(stream)
            # The last goes on over the other worker, to which the fourth connection comes.
            wire = await stack.enter_async_context(dial(served, "/v1/stream", tls=tls))
            await wire.say(type="start", session=streams[-1].ready.session, resume_from=1)
            assert (await wire.hear())["resumed"]
            served.process.send_signal(number)
            for stream in streams[:-1]:
                told = [type(event).__name__ async for event in stream]
                assert told[-1] == "Summary"
            await wire.until("summary")
    finally:
        code = await asyncio.to_thread(served.process.wait, WAIT_S)
        served.stdout.close()
    assert code == (0 if number == signal.SIGTERM else 130)
    assert not [worker for worker in workers if worker.is_running()]


async def test_a_server_ends_well_while_it_waits_to_start_a_worker_again(
    tmp_path: Path, spectral_bundle: Bundle
) -> None:
    served = Served(tmp_path, spectral_bundle.folder)
    try:
        served.workers[0].kill()
        async with asyncio.timeout(WAIT_S):
            while "it is started again" not in served.log.read_text():
                await asyncio.sleep(0.02)
    finally:
        code = served.end()
    assert code == 0
    assert "Traceback" not in served.log.read_text()


@pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="limits of another process are Linux's"
)
async def test_a_worker_that_the_system_has_no_room_for_is_started_later(
    tmp_path: Path, spectral_bundle: Bundle
) -> None:
    served = await asyncio.to_thread(Served, tmp_path, spectral_bundle.folder)
    try:
        process, kind = served.process.pid, resource.RLIMIT_NOFILE
        before = resource.prlimit(process, kind)
        resource.prlimit(process, kind, (4, before[1]))  # no descriptor is left for another
        served.workers[1].kill()
        async with asyncio.timeout(WAIT_S):
            while served.log.read_text().count("cannot be started (OSError: [Errno 24]") < 2:
                await asyncio.sleep(0.05)
        assert len(served.workers) == 1
        resource.prlimit(process, kind, before)
        async with asyncio.timeout(START_S):
            while "serves again" not in served.log.read_text():
                await asyncio.sleep(0.05)
        async with one_each(served) as streams:
            assert sorted(streams) == ["1", "2"]
    finally:
        code = await asyncio.to_thread(served.end)
    assert code == 0
    assert "Traceback" not in served.log.read_text()


async def test_workers_do_not_outlive_their_parent(tmp_path: Path, spectral_bundle: Bundle) -> None:
    served = await asyncio.to_thread(Served, tmp_path, spectral_bundle.folder)
    workers = served.workers
    assert len(workers) == 2
    served.process.kill()
    served.process.wait()
    served.stdout.close()
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, WAIT_S)
    assert not alive


@pytest.mark.parametrize("fault", ["port", "bundle"])
async def test_what_keeps_it_from_starting_is_one_line(
    tmp_path: Path, spectral_bundle: Bundle, fault: str
) -> None:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    taken = {"VOXWATCH_PORT": str(server.sockets[0].getsockname()[1])}
    bundle = spectral_bundle.folder if fault == "port" else tmp_path
    async with server:
        settings = taken if fault == "port" else {}
        served = await asyncio.to_thread(lambda: Served(tmp_path, bundle, **settings))
        assert await asyncio.to_thread(served.process.wait, WAIT_S) == 2
        served.stdout.close()
    assert served.first == ""
    errors = [line for line in served.log.read_text().splitlines() if line.startswith("error:")]
    assert len(errors) >= 1
    assert ("cannot listen" if fault == "port" else str(tmp_path)) in errors[0]
