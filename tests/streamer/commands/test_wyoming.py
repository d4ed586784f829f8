"""The proxy before a recogniser, with the real `wyoming` package on both its sides."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner
from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event, async_write_event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.server import AsyncEventHandler, AsyncServer

from streamer.cli import app
from streamer.config import Config
from streamer.server.server import Server
from voxwatch_client import past_commands
from voxwatch_client.errors import ClientError
from voxwatch_client.past_commands import PastCommand, PastCommands, ask, places
from voxwatch_client.wyoming import ProxySettings, serve

PIECE = 2048
WORDS = "open the door"


class Recogniser(AsyncEventHandler):
    """Says the same words of everything, and counts what it hears."""

    heard: int
    languages: list[str | None]

    async def handle_event(self, event: Event) -> bool:
        whose = type(self)
        if Describe.is_type(event.type):
            owner = Attribution("nobody", "http://localhost")
            model = AsrModel(
                name="m",
                attribution=owner,
                installed=True,
                description="",
                version="1",
                languages=["en"],
            )
            program = AsrProgram(
                name="whisper",
                attribution=owner,
                installed=True,
                description="It hears",
                version="1",
                models=[model],
                supports_transcript_streaming=True,
            )
            await self.write_event(Info(asr=[program]).event())
        elif Transcribe.is_type(event.type):
            whose.languages.append(Transcribe.from_event(event).language)
        elif AudioChunk.is_type(event.type):
            whose.heard += len(AudioChunk.from_event(event).audio)
        elif AudioStop.is_type(event.type):
            await self.write_event(TranscriptChunk(text=WORDS).event())
            await self.write_event(Transcript(text=WORDS).event())
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def recognise(uri: str) -> None:
    server = AsyncServer.from_uri(uri)
    try:
        await server.run(Recogniser)
    finally:
        await server.stop()
        while server._handlers:
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the proxy may be asked for its past commands."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / f"voxwatch-{os.getuid()}"


@asynccontextmanager
async def proxied(server: str, **settings: Any) -> AsyncIterator[str]:
    """The address of a proxy before a recogniser; both listen when this is entered."""
    Recogniser.heard, Recogniser.languages = 0, []
    upstream, own = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    given = ProxySettings(upstream=upstream, server=server, **{"wait_s": 10.0, **settings})
    listening = asyncio.Event()
    async with (
        running(recognise(upstream)),
        running(serve(own, given, listening=listening.set)),
    ):
        while True:
            with suppress(OSError):
                async with AsyncClient.from_uri(upstream):
                    break
            await asyncio.sleep(0.01)
        await listening.wait()
        yield own


async def transcribed(uri: str, pcm: bytes) -> list[Event]:
    """What a satellite is told of a command."""
    told = []
    async with AsyncClient.from_uri(uri, read_timeout=30) as satellite:
        await satellite.write_event(Transcribe(language="en").event())
        await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
        for start in range(0, len(pcm), PIECE):
            piece = pcm[start : start + PIECE]
            chunk = AudioChunk(rate=16_000, width=2, channels=1, audio=piece)
            await satellite.write_event(chunk.event())
        await satellite.write_event(AudioStop().event())
        while (event := await satellite.read_event()) is not None:
            told.append(event)
            if Transcript.is_type(event.type):
                break
    return told


@pytest.fixture
async def server(settings: Callable[..., Config], enrol: Any) -> AsyncIterator[Server]:
    async with Server(settings(), drain_s=0.2) as running_server:
        enrol(running_server, "anna")
        yield running_server


@pytest.mark.parametrize(
    ("who", "claim", "prefix", "text"),
    [
        ("anna", "anna", False, WORDS),
        ("anna", "anna", True, f"[anna] {WORDS}"),
        ("anna", "", True, f"[anna] {WORDS}"),  # anybody enrolled
        ("bert", "anna", False, ""),
        ("bert", "", False, ""),
    ],
)
async def test_words_come_through_for_who_may_command(
    server: Server, pcm: Any, who: str, claim: str, prefix: bool, text: str
) -> None:
    sound = pcm(who, 3.0)
    async with proxied(server.url, claim=claim, prefix=prefix) as uri:
        told = await transcribed(uri, sound)
    assert [event.type for event in told] == ["transcript"]  # nothing of it before the verdict
    assert Transcript.from_event(told[0]).text == text
    assert Recogniser.heard == len(sound)
    assert Recogniser.languages == ["en"]


@pytest.mark.parametrize(("when_unsure", "text"), [("drop", ""), ("pass", WORDS)])
async def test_what_cannot_be_judged_goes_as_the_setting_says(
    server: Server, when_unsure: Any, text: str
) -> None:
    async with proxied(server.url, claim="anna", when_unsure=when_unsure) as uri:
        (told,) = await transcribed(uri, bytes(32_000))
        assert Transcript.from_event(told).text == text
    async with proxied("ws://127.0.0.1:9", claim="anna", when_unsure=when_unsure) as uri:
        (told,) = await transcribed(uri, bytes(32_000))
        assert Transcript.from_event(told).text == text


async def test_several_commands_on_one_connection_are_judged_each(server: Server, pcm: Any) -> None:
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        texts = []
        for who in ("bert", "anna", "bert"):
            await satellite.write_event(Transcribe().event())
            await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
            chunk = AudioChunk(rate=16_000, width=2, channels=1, audio=pcm(who, 3.0))
            await satellite.write_event(chunk.event())
            await satellite.write_event(AudioStop().event())
            event = await satellite.read_event()
            assert event is not None
            texts.append(Transcript.from_event(event).text)
    assert texts == ["", WORDS, ""]


@pytest.mark.parametrize("stray", [False, True])
async def test_commands_sent_before_their_answers_are_judged_by_their_own_sound(
    server: Server, pcm: Any, stray: bool
) -> None:
    """Also where an end without a command comes before them, which is answered too."""
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        if stray:
            await satellite.write_event(AudioStop().event())
        for who in ("anna", "bert", "anna"):
            await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
            await satellite.write_event(chunk(pcm(who, 3.0)))
            await satellite.write_event(AudioStop().event())
        texts = []
        for _ in range(3 + stray):
            event = await satellite.read_event()
            assert event is not None
            texts.append(Transcript.from_event(event).text)
    assert texts == [""] * stray + [WORDS, "", WORDS]


async def test_a_command_that_begins_again_without_an_end_is_judged_by_all_of_its_sound(
    server: Server, pcm: Any
) -> None:
    """The recogniser has heard all of it, too."""
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        for who in ("bert", "anna"):
            await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
            await satellite.write_event(chunk(pcm(who, 3.0)))
        await satellite.write_event(AudioStop().event())
        event = await satellite.read_event()
    assert event is not None
    assert Transcript.from_event(event).text == ""


async def test_why_a_command_could_not_be_judged_is_in_the_log(
    server: Server, pcm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for settings, why in (
        ({"claim": "nobody"}, "'nobody' is not enrolled"),
        ({"claim": "anna", "wait_s": 0.0}, "no verdict came within 0 s"),
    ):
        async with proxied(server.url, **settings) as uri:
            (told,) = await transcribed(uri, pcm("anna", 3.0))
        assert Transcript.from_event(told).text == ""
        assert why in caplog.text


async def test_it_says_what_the_recogniser_is_under_a_name_of_its_own(server: Server) -> None:
    async with (
        proxied(server.url) as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        await satellite.write_event(Describe().event())
        event = await satellite.read_event()
    assert event is not None
    (program,) = Info.from_event(event).asr
    assert program.name == "whisper-voxwatch"
    assert program.models[0].languages == ["en"]
    assert not program.supports_transcript_streaming


async def test_samples_that_are_not_heard_count_as_not_judged(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        await satellite.write_event(AudioStart(rate=16_000, width=4, channels=1).event())
        await satellite.write_event(AudioStop().event())
        event = await satellite.read_event()
    assert event is not None
    assert Transcript.from_event(event).text == ""
    assert "not of 16 bit" in caplog.text


@pytest.mark.parametrize("again", [False, True])
async def test_sound_that_changes_its_format_is_not_judged(
    server: Server, pcm: Any, caplog: pytest.LogCaptureFixture, again: bool
) -> None:
    other = AudioStart(rate=8_000, width=2, channels=1)
    late = AudioChunk(rate=8_000, width=2, channels=1, audio=pcm("bert", 1.0))
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
        await satellite.write_event(chunk(pcm("anna", 3.0)))
        await satellite.write_event((other if again else late).event())
        await satellite.write_event(AudioStop().event())
        event = await satellite.read_event()
    assert event is not None
    assert Transcript.from_event(event).text == ""
    assert "its sound changes its format" in caplog.text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("--upstream tcp://nobody", "'tcp://nobody' is not tcp://HOST:PORT"),
        ("--upstream tcp://127.0.0.1:99999", "'tcp://127.0.0.1:99999' is not"),
        ("--upstream tcp://127.0.0.1:9 --uri tcp://127.0.0.1:asr", "'tcp://127.0.0.1:asr' is not"),
        ("--upstream tcp://127.0.0.1:9 --uri tcp://0.0.0.0", "'tcp://0.0.0.0' is not"),
        ("--upstream tcp://127.0.0.1:9 --uri unix://", "'unix://' is not"),
        ("--upstream tcp://127.0.0.1:9 --uri unix:///p --discoverable", "announces a port"),
        ("", "say where the recogniser is"),
    ],
)
def test_a_wrong_address_is_told_before_anything_is_opened(given: str, told: str) -> None:
    done = CliRunner().invoke(app, ["wyoming", *given.split()])
    assert done.exit_code == 2
    assert told in done.output


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("tcp://127.0.0.1:{port}", "address already in use"),
        ("unix:///nowhere/proxy.sock", "No such file or directory"),
    ],
)
def test_it_says_that_it_listens_when_it_does_and_not_before(uri: str, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = uri.format(port=taken.getsockname()[1])
        given = ["wyoming", "--upstream", "tcp://127.0.0.1:9", "--uri", uri]
        done = CliRunner().invoke(app, given)
    assert isinstance(done.exception, ClientError)
    assert str(done.exception) == f"{uri} cannot be listened at: {why}"
    assert "listening" not in done.output


async def test_a_port_that_another_proxy_has_leaves_that_its_past_commands(
    server: Server, pcm: Any
) -> None:
    async with proxied(server.url) as uri:
        with pytest.raises(ClientError, match="already in use"):
            await serve(uri, ProxySettings(upstream="tcp://127.0.0.1:9", server=server.url))
        await transcribed(uri, pcm("anna", 1.0))
        assert len(await ask(uri, 5)) == 1


def test_the_program_says_where_it_listens_and_ends_well_by_sigterm() -> None:
    uri = f"tcp://127.0.0.1:{free_port()}"
    given = ["wyoming", "--upstream", "tcp://127.0.0.1:9", "--uri", uri]
    with subprocess.Popen(
        [sys.executable, "-m", "streamer.cli", *given], stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stderr is not None
        line = program.stderr.readline()
        program.terminate()
        rest = program.stderr.read()
    assert (line, rest) == (f"listening at {uri}, before tcp://127.0.0.1:9\n", "")
    assert program.returncode == 0


async def test_a_satellite_that_is_cut_off_leaves_no_traceback(
    server: Server, pcm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with proxied(server.url, claim="anna") as uri:
        port = int(uri.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        await async_write_event(AudioStart(rate=16_000, width=2, channels=1).event(), writer)
        while not server.streams.all():
            await asyncio.sleep(0.01)
        writer.transport.abort()  # a reset, by the time of lingering
        while server.streams.all():
            await asyncio.sleep(0.01)
        gc.collect()
    assert not [one for one in caplog.records if one.name == "asyncio"]


@pytest.mark.parametrize("asked", [Describe(), AudioStart(rate=16_000, width=2, channels=1)])
async def test_a_recogniser_that_is_away_is_told_in_one_line(
    server: Server, caplog: pytest.LogCaptureFixture, asked: Any
) -> None:
    own, away = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    async with running(serve(own, ProxySettings(upstream=away, server=server.url))):
        while True:
            with suppress(OSError):
                async with AsyncClient.from_uri(own, read_timeout=30) as satellite:
                    await satellite.write_event(asked.event())
                    assert await satellite.read_event() is None
                    break
            await asyncio.sleep(0.01)
    (line,) = [one for one in caplog.records if one.name == "voxwatch_client"]
    assert line.message.startswith("the recogniser cannot be reached: ")
    assert not [one for one in caplog.records if one.name == "asyncio"]


@pytest.mark.parametrize("killed", [False, True])
async def test_a_server_that_restarts_in_the_middle_of_a_command_still_judges_it(
    settings: Callable[..., Config], enrol: Any, pcm: Any, killed: bool
) -> None:
    """Of the whole command, sent again, and of the next one."""
    config = msgspec.structs.replace(settings(), port=free_port())
    sound = pcm("anna", 3.0)
    half = len(sound) // 2
    async with AsyncExitStack() as stack:
        async with Server(config, drain_s=0.2) as server:
            enrol(server, "anna")
            uri = await stack.enter_async_context(proxied(server.url, claim="anna"))
            satellite = await stack.enter_async_context(AsyncClient.from_uri(uri, read_timeout=30))
            await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
            await satellite.write_event(chunk(sound[:half]))
            while not any(stream.intake.received_bytes >= half for stream in server.streams.all()):
                await asyncio.sleep(0.01)
            if killed:
                for connection in server._listener.all_connections:
                    connection.transport.abort()
        async with Server(config, drain_s=0.2):
            await satellite.write_event(chunk(sound[half:]))
            await satellite.write_event(AudioStop().event())
            event = await satellite.read_event()
            assert event is not None
            assert Transcript.from_event(event).text == WORDS
            (told,) = await transcribed(uri, pcm("bert", 3.0))
            assert Transcript.from_event(told).text == ""


def chunk(pcm: bytes) -> Event:
    return AudioChunk(rate=16_000, width=2, channels=1, audio=pcm).event()


async def test_a_command_too_long_to_be_held_is_still_heard_and_judged(
    server: Server, pcm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxwatch_client.spoken_command.HELD_S", 1.0)
    sound = pcm("anna", 3.0)
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
        for start in range(0, len(sound), PIECE):
            await satellite.write_event(chunk(sound[start : start + PIECE]))
            await asyncio.sleep(0.01)
        await satellite.write_event(AudioStop().event())
        event = await satellite.read_event()
        assert event is not None
        assert Transcript.from_event(event).text == WORDS
        assert await ask(uri, 1) == []  # not all of it is there any more


async def enrolled_by_command(uri: str, server: Server, *more: str) -> Any:
    given = ["wyoming", "enroll", "bert", "--uri", uri, "--server", server.url, *more]
    return await asyncio.to_thread(CliRunner().invoke, app, given)


async def test_a_person_is_enrolled_by_what_they_said_before(server: Server, pcm: Any) -> None:
    async with proxied(server.url, when_unsure="drop") as uri:
        for seed in range(4):
            quiet = bytes(16_000)
            (told,) = await transcribed(uri, quiet + pcm("bert", 5.0, seed=seed) + quiet)
            assert Transcript.from_event(told).text == ""
        await transcribed(uri, pcm("anna", 3.0))
        done = await enrolled_by_command(uri, server, "--last", "5", "--consent")
        assert done.exit_code == 0, done.output
        assert done.output.count("used: ") == 4
        assert done.output.count("by anna") == 1
        assert "bert is enrolled" in done.output
    enrolled = server.context.store.profiles(0.0)
    assert {profile.name: profile.prototypes for profile in enrolled} == {"anna": 1, "bert": 1}


async def test_what_the_server_refuses_is_told_and_nobody_is_enrolled(
    server: Server, pcm: Any
) -> None:
    async with proxied(server.url) as uri:
        await transcribed(uri, pcm("bert", 3.0))
        done = await enrolled_by_command(uri, server, "--consent")
        assert done.exit_code == 1
        assert "too-short" in done.output
        done = await enrolled_by_command(uri, server)
        assert "nobody can be asked for consent here" in str(done.exception)
    assert [one.name for one in server.context.store.profiles(0.0)] == ["anna"]


async def test_only_this_user_can_ask_and_nothing_is_left_behind(
    server: Server, own_folder: Path
) -> None:
    async with proxied(server.url) as uri:
        (socket_there,) = own_folder.iterdir()
        assert stat.S_ISSOCK(socket_there.stat().st_mode)
        assert stat.S_IMODE(own_folder.stat().st_mode) == 0o700
        assert await ask(uri, 5) == []
    assert list(own_folder.iterdir()) == []
    with pytest.raises(ClientError, match="no proxy of this user"):
        await ask(uri, 5)


async def test_nothing_is_kept_where_that_is_asked_or_the_folder_is_open_to_others(
    server: Server, pcm: Any, own_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with proxied(server.url, keep=0) as uri:
        await transcribed(uri, pcm("bert", 1.0))
        with pytest.raises(ClientError, match="no proxy of this user"):
            await ask(uri, 5)
    own_folder.mkdir(exist_ok=True)
    own_folder.chmod(0o755)
    async with proxied(server.url) as uri:
        await transcribed(uri, pcm("bert", 1.0))
        with pytest.raises(ClientError, match="not a folder of this user alone"):
            places(uri)
    assert any("no commands are kept" in record.getMessage() for record in caplog.records)


async def test_commands_are_forgotten_by_number_and_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_commands, "KEPT_S", 0.05)
    past = PastCommands(2)
    for number in range(3):
        past.add(PastCommand(at=number, rate=16_000, channels=1, speaker=None, pcm=b""))
    assert [command.at for command in past.last(5)] == [1, 2]
    assert [command.at for command in past.last(1)] == [2]
    async with asyncio.timeout(10):
        while past.last(5):
            await asyncio.sleep(0.01)


def test_the_first_channel_is_the_one_that_counts() -> None:
    stereo = PastCommand(at=0, rate=2, channels=2, speaker=None, pcm=b"aaAAbbBBcc")
    assert stereo.mono == b"aabb"
    assert stereo.seconds == 1.25
