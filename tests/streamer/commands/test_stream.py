"""`stream`, and `enroll --server`: what a running server is sent, and what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from program import COMMAND, ROOT, Run, ended, lines, serving

from engine.errors import AudioError, VoxwatchError
from streamer.commands.stream import Sending, StreamCommand
from streamer.sources.file import Format
from voxwatch_client import ServerError
from voxwatch_client.messages import Summary


def test_streaming_and_enrolling_on_a_server(
    environment: dict[str, str], run: Run, recorded: Any
) -> None:
    with serving(environment) as (url, process):
        done = run("enroll", "anna", recorded("anna"), "--consent", "--server", url)
        assert done.stdout == "anna is enrolled: 1 prototype from 20.0 s of speech\n"
        # The store can be used while the server has it open.
        assert lines(run("profiles", "list", "--json").stdout)[0]["name"] == "anna"
        file = recorded("anna", 6.0, seed=6)
        asked = "--server", url, "--claim", "anna", "--speed", "max"
        told = lines(run("stream", file, *asked).stdout)
        assert told[-1]["type"] == "summary"
        here = lines(run("replay", file, "--claim", "anna").stdout)
        # A busy machine may score less often, and says so; what it says of a window stays the
        # same. Evidence adds up over the windows, so that it is compared where none is left out.
        scores = {e["t"]: {**e, "seq": 0} for e in here if e["type"] == "score"}
        served = [{**e, "seq": 0} for e in told if e["type"] == "score"]
        assert all(score.pop("at_time") for score in served)  # a recording has no time of day
        left_out = len(served) < len(scores)
        for score in served:
            expected = scores[score["t"]]
            assert score == (expected | {"evidence": score["evidence"]} if left_out else expected)
        assert not left_out or any(e["type"] == "lag" for e in told)
        states = [
            [e["state"] for e in events if e["type"] == "decision"] for events in (told, here)
        ]
        assert states[0][-1] == states[1][-1] == "match"

        raw = np.round(32767 * sf.read(file)[0]).astype("<i2").tobytes()
        piped = subprocess.run(
            [*COMMAND, "stream", "-", *asked],
            input=raw,
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        )
        assert lines(piped.stdout.decode())[-1]["received_s"] == 7.0

        with pytest.raises(ServerError, match=r"eve.*\(unknown-speaker\)"):
            run("stream", file, "--server", url, "--claim", "eve")
        with pytest.raises(ServerError, match=r"\(name-taken\)"):
            run("enroll", "anna", file, "--consent", "--server", url)
        refused = run("enroll", "bert", recorded("bert", 3.0), "--consent", "--server", url)
        assert refused.exit_code == 1
        assert "(too-short)" in refused.stderr
        log = ended(process, signal.SIGTERM, 0)
        assert "anna" not in log
        assert "bert" not in log


def test_a_server_that_stops_cuts_a_stream_short(
    environment: dict[str, str], voice: Any, tmp_path: Path
) -> None:
    sf.write(tmp_path / "long.wav", np.tile(voice("anna", 8.0), 15), 16_000)
    with serving(environment) as (url, process):
        command = ["stream", str(tmp_path / "long.wav"), "--server", url]
        with subprocess.Popen(
            [*COMMAND, *command],
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdout is not None
            first = client.stdout.readline()
            process.terminate()
            rest, said = client.communicate(timeout=60)
    assert lines(first + rest)[-1]["type"] == "summary"
    assert client.returncode == 2
    assert re.fullmatch(
        r"error: the server ended the stream after \d+\.\d s of 120\.0 s: .*\n", said
    )


@pytest.mark.parametrize("piped", [False, True])
def test_a_server_that_was_killed_and_is_back_gets_the_rest_as_another_stream(
    environment: dict[str, str], voice: Any, tmp_path: Path, piped: bool
) -> None:
    file, raw, sound = tmp_path / "long.wav", tmp_path / "long.raw", np.tile(voice("anna", 8.0), 6)
    sf.write(file, sound, 16_000)
    raw.write_bytes(np.round(32767 * sound).astype("<i2").tobytes())
    with contextlib.ExitStack() as stack:
        url, process = stack.enter_context(serving(environment))
        source = stack.enter_context(subprocess.Popen(["cat", raw], stdout=subprocess.PIPE))
        client = stack.enter_context(
            subprocess.Popen(
                [*COMMAND, "stream", "-" if piped else file, "--server", url, "--speed", "4"],
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                stdin=source.stdout,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        assert client.stdout is not None
        told_s = 0.0
        while told_s < 6:  # of sound
            told_s = json.loads(client.stdout.readline())["t"]
        process.kill()
        process.wait()
        stack.enter_context(serving(environment, "--port", url.rpartition(":")[2]))
        rest, said = client.communicate(timeout=60)
    assert client.returncode == 0, said
    found = re.fullmatch(r"warning: the server .* another stream begins at (\d+\.\d) s .*\n", said)
    assert found, said
    begun_s, whole_s = float(found[1]), len(sound) / 16_000
    assert begun_s >= told_s - 1
    summary = lines(rest)[-1]
    assert summary["type"] == "summary"
    assert summary["received_s"] == pytest.approx(whole_s - begun_s, abs=0.06)


class Bytes:
    """A source that gives its sound in pieces of seven bytes."""

    def __init__(self, sound: bytes) -> None:
        self.format, self._sound = Format("mulaw", 8000), sound

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._sound), 7):
            yield self._sound[start : start + 7]


class Lost:
    """A stream that takes so many bytes, of which it has heard some, and is lost."""

    def __init__(self, takes: int, hears: int) -> None:
        self.takes, self.hears, self.got = takes, hears, b""

    async def send(self, piece: bytes) -> None:
        self.got += piece
        if len(self.got) > self.takes:
            self.got = self.got[: self.takes]
            raise ServerError("unknown-session", "restarted")

    async def finalize(self) -> None:
        """All has come."""

    def unheard(self) -> tuple[int, bytes]:
        return self.hears, self.got[self.hears :]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4))
def test_whatever_of_it_was_heard_another_stream_begins_with_the_rest(
    losses: list[tuple[int, int]],
) -> None:
    sound = bytes(range(200))

    async def check() -> None:
        sending = Sending(Bytes(sound), None)
        for takes, hears in losses:
            stream = Lost(takes, min(takes, hears))
            with pytest.raises(ServerError):
                await sending.to(stream)
            sending.lost(stream)
        last = Lost(1000, 0)
        await sending.to(last)
        assert last.got == sound[sending.begun :]
        assert sending.begun == sum(min(one) for one in losses)
        assert (sending.sent, sending.all) == (len(sound), True)

    asyncio.run(check())


async def test_sound_that_went_to_a_stream_that_was_lost_is_not_all_sent() -> None:
    """The server was killed while it judged the end, and the next one takes nothing."""

    class Full(Lost):
        async def send(self, piece: bytes) -> None:
            raise ServerError("ended", "the server stops")

    sending, stream = Sending(Bytes(bytes(range(200))), None), Lost(1000, 150)
    await sending.to(stream)
    assert sending.all
    sending.lost(stream)
    await sending.to(Full(0, 0))
    assert (sending.begun, sending.sent, sending.all) == (150, 150, False)


class Heard(Lost):
    """A stream that hears all that it gets, and says so at the end; the first one is lost."""

    def __init__(self, takes: int) -> None:
        super().__init__(takes, takes)
        self._over = asyncio.Event()

    async def finalize(self) -> None:
        self._over.set()

    async def __aiter__(self) -> AsyncIterator[Any]:
        await self._over.wait()
        heard_s = len(self.got) / 8000
        yield Summary(
            seq=1,
            t=heard_s,
            received_s=heard_s,
            speech_s=0.0,
            match_s=0.0,
            decisions={},
            model="tiny 1",
        )


@pytest.mark.parametrize(("speed", "kept"), [(1.0, [None, 7 / 8000]), (None, [None, None])])
async def test_the_server_is_told_what_of_another_stream_was_said_before(
    monkeypatch: pytest.MonkeyPatch, speed: float | None, kept: list[float | None]
) -> None:
    """It took 98 bytes of mu-law and was gone with the next seven."""
    streams, told = iter([Heard(98), Heard(1000)]), list[float | None]()

    def connecting(_: StreamCommand, *__: object, kept_s: float | None, **___: object) -> Any:
        told.append(kept_s)
        return contextlib.nullcontext(next(streams))

    monkeypatch.setattr(StreamCommand, "_connect", connecting)
    await StreamCommand(file="-", as_json=True)._stream(Bytes(bytes(210)), speed)
    assert told == kept


class Waiting(Bytes):
    """A source of which nothing has come, and then it fails."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.asked, self.fails, self.closed = asyncio.Event(), asyncio.Event(), False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            self.asked.set()
            await self.fails.wait()
            raise AudioError("the microphone is gone")
            yield b""
        finally:
            self.closed = True


class Refusing(Lost):
    """A stream that fails once its source is waited for, which may do the same then."""

    def __init__(self, source: Waiting, *, both: bool) -> None:
        super().__init__(0, 0)
        self._source, self._both = source, both

    async def __aiter__(self) -> AsyncIterator[Any]:
        await self._source.asked.wait()
        if self._both:
            self._source.fails.set()
        raise ServerError("quota-exceeded", "no more today")
        yield


@pytest.mark.parametrize("both", [True, False])
async def test_a_source_that_fails_with_its_stream_is_let_go_without_a_word(
    monkeypatch: pytest.MonkeyPatch, both: bool
) -> None:
    said: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context))
    source = Waiting()
    refusing = contextlib.nullcontext(Refusing(source, both=both))
    monkeypatch.setattr(StreamCommand, "_connect", lambda *_, **__: refusing)
    with pytest.raises(ServerError, match="no more today"):
        await StreamCommand(file="-", as_json=True)._stream(source, None)
    assert source.closed
    gc.collect()
    assert said == []


async def test_a_source_that_fails_alone_is_told() -> None:
    source = Waiting()
    source.fails.set()
    async with contextlib.aclosing(Sending(source, None)) as sending:
        with pytest.raises(AudioError, match="the microphone is gone"):
            await sending.to(Lost(0, 0))


@pytest.mark.parametrize("damage", ["cut short", "in the middle"])
def test_a_file_that_was_not_heard_whole_is_an_error(
    environment: dict[str, str], voice: Any, tmp_path: Path, damage: str
) -> None:
    file = tmp_path / ("cut.wav" if damage == "cut short" else "hole.flac")
    sf.write(file, voice("anna", 8.0), 16_000)
    sound = bytearray(file.read_bytes())
    if damage == "cut short":
        del sound[len(sound) // 2 :]
    else:
        sound[len(sound) // 2 : len(sound) // 2 + 20_000] = bytes(20_000)
    file.write_bytes(sound)
    with serving(environment) as (url, _):
        done = subprocess.run(
            [*COMMAND, "stream", str(file), "--server", url, "--speed", "max"],
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert re.fullmatch(rf"error: {file}: damaged or cut short .*: copy it again\n", done.stderr)


def test_an_authority_that_cannot_be_read_is_named(run: Run, recorded: Any, tmp_path: Path) -> None:
    sound, missing, wrong = recorded("anna", 1.0), tmp_path / "nope.pem", tmp_path / "text.pem"
    wrong.write_text("no certificate")
    for file, why in ((missing, "No such file"), (wrong, "holds no certificate")):
        with pytest.raises(VoxwatchError, match=f"--ca {file}: {why}"):
            run("stream", sound, "--server", "wss://127.0.0.1:9", "--ca", file)


@pytest.mark.parametrize("option", ["--rate=4000", "--window=9", "--hop=0"])
def test_an_option_out_of_its_range_is_named(run: Run, option: str) -> None:
    done = run("stream", "-", option)
    assert done.exit_code == 2
    assert option.partition("=")[0] in done.stderr
