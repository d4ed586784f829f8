"""The JavaScript client in Node against a real server."""

from __future__ import annotations

import asyncio
import random
import wave
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoded import encoded
from scripted_server import Line, Scripted, serving

from streamer.server.server import Server
from tests.clients.js.conftest import Run, Serve, token_of

Said = Callable[..., str]


def of(kind: str, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in said if line["type"] == kind]


@pytest.mark.parametrize("sockets", ["ws", "own"])
async def test_a_stream_is_judged_and_summed_up(
    server: Server, run: Run, said: Said, sockets: str
) -> None:
    sound = said(("anna", 4.0), (None, 1.0))
    async with run("stream", server.url, sockets=sockets, file=sound, claim="anna") as program:
        told = await program.rest()
    assert told[0]["type"] == "begin"
    assert told[1]["type"] == "ready"
    numbers = [line["seq"] for line in told if "seq" in line]
    assert numbers == list(range(len(numbers)))
    (turn,) = of("utterance", told)
    assert (turn["state"], turn["speaker"]) == ("match", "anna")
    assert told[-1]["summary"]["received_s"] == pytest.approx(5.0)
    assert (told[-1]["reconnects"], told[-1]["lost_s"]) == (0, 0)


async def test_what_is_asked_for_holds_at_its_place(server: Server, run: Run, said: Said) -> None:
    sound = said(("anna", 3.0), ("bert", 3.0), ("anna", 3.0), (None, 1.0))
    marks = {
        30: [["mute", True]],
        60: [["mute", False], ["turn"]],
        0: [["configure", {"claim": ["anna"], "false_accept": 0.02}]],
    }
    async with run("stream", server.url, file=sound, claim="anna", live=False, marks=marks) as one:
        told = await one.rest()
    (configured,) = of("configured", told)
    assert configured["bounds"]["false_accept"] == 0.02
    assert any(line["at"] == pytest.approx(6.0, abs=0.05) for line in of("vad", told))
    turns = [(turn["state"], turn["start"] < 6.0) for turn in of("utterance", told)]
    assert ("mismatch", True) not in turns  # nobody heard Bert
    assert turns[-1] == ("match", False)


@pytest.mark.parametrize("cuts", [1, 4])
async def test_no_sample_and_no_message_is_lost_or_told_twice_on_a_line_that_breaks(
    run: Run, tmp_path: Path, cuts: int
) -> None:
    pcm = random.Random(cuts).randbytes(60 * 32_000)
    path = tmp_path / "sound.raw"
    path.write_bytes(pcm)
    scripted = Scripted()
    async with serving(scripted), Line(int(scripted.url.rpartition(":")[2])).laid() as line:
        asked = {"file": str(path), "piece_s": 0.7, "pace_ms": 10}
        async with run("stream", line.url, **asked) as program:
            for i in range(cuts):
                await program.until("quality", seq=20 + 140 * i)
                line.cut()
            told = await program.rest()
    assert scripted.only.received == pcm
    assert [line["seq"] for line in told if line["type"] == "quality"] == list(range(1, 601))
    # A line that is cut just as everything has come is not needed again.
    assert told[-1]["reconnects"] == line.connections - 1 >= 1
    assert told[-1]["summary"]["received_s"] == 60


@pytest.mark.parametrize("killed", [False, True])
async def test_a_server_that_restarts_in_the_middle_of_a_turn_judges_it_after_that(
    serve: Serve, run: Run, said: Said, killed: bool
) -> None:
    """It ends in order, or without a word: then nobody answers on the line's other end."""
    sound = said((None, 1.0), ("anna", 12.0), (None, 1.5), ("bert", 3.0), (None, 1.0))
    asked = {"file": sound, "claim": "anna", "live": False, "pace_ms": 30}
    async with AsyncExitStack() as first:
        server = await first.enter_async_context(serve())
        async with (
            Line(server.port).laid() as line,
            run("stream", line.url, **asked) as program,
        ):
            await program.until("vad", speech=True)
            if not killed:
                await first.aclose()
            async with serve(data="others") as other:
                line.leads_to(other.port)
                line.cut()
                again = await program.until("begin", why="gone")
                told = await program.rest()
    assert told[-1]["restarts"] == 1
    assert again["kept_s"] < 18.5
    since = told[told.index(again) :]
    assert [turn["state"] for turn in of("utterance", since)] == ["match", "mismatch"]
    assert told[-1]["lost_s"] == 0


@pytest.mark.parametrize("cut", [False, True])
async def test_opus_goes_on_over_a_lost_connection(
    server: Server, run: Run, voice: Callable[..., Any], tmp_path: Path, cut: bool
) -> None:
    sound = np.concatenate([voice("anna", 8.0, rate_hz=48_000), np.zeros(48_000, np.float32)])
    path = tmp_path / "sound.ogg"
    path.write_bytes(encoded("ogg", "libopus", sound))
    asked: dict[str, Any] = {"file": str(path), "claim": "anna", "encoding": "opus"}
    asked |= {"live": False, "piece_s": 0.05, "pace_ms": 10}
    async with Line(server.port).laid() as line, run("stream", line.url, **asked) as program:
        if cut:
            await program.until("received")
            line.cut()
        told = await program.rest()
    assert told[-1]["reconnects"] == cut
    assert told[-1]["summary"]["received_s"] == pytest.approx(9.0, abs=0.05)
    assert [turn["state"] for turn in of("utterance", told)] == ["match"]


async def test_a_token_of_the_configuration_opens_what_its_roles_allow(
    serve: Serve, run: Run, said: Said
) -> None:
    tokens = (token_of("speaks", "stream"), token_of("all", "stream", "enrol", "monitor", "admin"))
    async with serve(tokens=tokens) as server:
        sound = said(("anna", 1.0))
        async with run("stream", server.url, file=sound, token="speaks") as program:
            assert (await program.rest())[-1]["summary"]["received_s"] == 1
        async with run("stream", server.url, file=sound, token="guessed") as program:
            (failed,) = await program.rest()
        assert (failed["kind"], failed["code"]) == ("ServerError", "unauthorised")
        async with run("request", server.url, token="speaks", type="profiles") as program:
            (failed,) = await program.rest()
        assert failed["message"] == "this needs a token with the role admin or enrol"
        async with run("request", server.url, token="all", type="profiles") as program:
            (told,) = await program.rest()
        assert [one["name"] for one in told["result"]] == ["anna"]


async def test_without_a_token_it_fails_at_once_by_the_words_of_a_server_that_wants_one(
    serve: Serve, run: Run, said: Said
) -> None:
    async with serve(tokens=(token_of("speaks", "stream", "monitor", "enrol"),)) as server:
        person = {"name": "bert", "consent": "2026-11"}
        asking: list[tuple[str, str, dict[str, str]]] = [
            ("stream", "stream", {}),
            ("monitor", "monitor", {}),
            ("enroll", "enrol", person),
        ]
        for command, role, asked in asking:
            async with run(command, server.url, file=said(("anna", 1.0)), **asked) as program:
                (failed,) = await program.rest()
            assert (failed["kind"], failed["code"]) == ("ServerError", "unauthorised")
            assert failed["message"] == f"this needs a token with the role {role}"


async def test_a_function_gives_each_connection_a_token_of_its_own(
    serve: Serve, run: Run, said: Said
) -> None:
    tokens = (token_of("all", "stream", "monitor"),)
    async with serve(tokens=tokens) as server, Line(server.port).laid() as line:
        asked = {"admin": "all", "backend": server.url, "pace_ms": 20}
        async with run("stream", line.url, file=said(("anna", 6.0)), **asked) as program:
            await program.until("vad")
            line.cut()
            told = await program.rest()
        async with run("request", server.url, admin="all", type="status") as one:
            assert (await one.until("result"))["result"]["auth_required"] is True
    assert [line["role"] for line in of("token", told)] == ["stream", "stream"]
    assert told[-1]["reconnects"] == 1
    assert told[-1]["restarts"] == 0
    assert told[-1]["summary"]["received_s"] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("asked", "kind", "code", "words"),
    [
        ({"claim": "nobody"}, "ServerError", "unknown-speaker", "nobody"),
        ({"sample_rate": 12}, "ServerError", "bad-rate", "8000"),
        ({"url": "http://127.0.0.1:9", "patience_s": 0}, "ConnectionFailed", None, "is it running"),
        ({"sockets": "none"}, "ConnectionFailed", None, "npm install ws"),
        ({"url": "localhost"}, "ConnectionFailed", None, "write https://HOST:PORT"),
    ],
)
async def test_what_fails_says_what_to_do(
    server: Server, run: Run, said: Said, asked: dict[str, Any], kind: str, code: str, words: str
) -> None:
    url = asked.pop("url", server.url)
    async with run("stream", url, file=said(("anna", 1.0)), **asked) as program:
        failed = (await program.rest())[-1]
    assert (failed["type"], failed["kind"]) == ("failed", kind)
    assert failed["code"] == (code or "connection-failed")
    assert words in failed["message"]


async def test_a_voice_is_enrolled_and_known_from_then_on(
    server: Server, run: Run, said: Said
) -> None:
    consent = server.context.config.consent.version
    asked = {"name": "bert", "consent": consent}
    sound = said((None, 1.0), ("bert", 12.0), (None, 1.0), ("bert", 12.0), (None, 1.0))
    async with run("enroll", server.url, file=sound, **asked) as program:
        told = await program.rest()
    assert told[-1]["name"] == "bert"
    assert of("progress", told)
    short = {"name": "carl", "consent": consent}
    async with run("enroll", server.url, file=said(("bert", 3.0)), **short) as program:
        failed = (await program.rest())[-1]
    assert (failed["kind"], failed["code"]) == ("ServerError", "too-short")
    async with run("request", server.url, type="delete", name="bert") as program:
        await program.rest()
    async with run("request", server.url, type="profile", name="bert") as program:
        assert (await program.rest())[-1]["code"] == "unknown-speaker"


async def test_a_monitor_follows_the_streams_of_others(
    server: Server, run: Run, said: Said
) -> None:
    async with run("monitor", server.url, levels=True) as program:
        await program.until("ready", streams=[])
        sound = said(("anna", 3.0), (None, 1.0))
        async with run("stream", server.url, file=sound, label="desk 4", claim="anna") as one:
            ready = await one.until("ready")
            await one.rest()
        told = await program.rest()
    (opened,) = of("opened", told)
    assert (opened["label"], opened["stream"]) == ("desk 4", ready["stream"])
    assert of("level", told)
    assert [line["state"] for line in of("utterance", told)] == ["match"]


async def test_a_recording_gets_one_verdict(
    serve: Serve, run: Run, said: Said, tmp_path: Path
) -> None:
    path = tmp_path / "turn.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, 16_000, 0, "NONE", ""))
        wav.writeframes(Path(said(("anna", 6.0), (None, 1.0))).read_bytes())
    async with serve(tokens=(token_of("speaks", "stream"),)) as server:
        for shown in ({"token": "speaks"}, {"admin": "speaks"}):
            async with run("verify", server.url, file=str(path), claim="anna", **shown) as program:
                verdict = (await program.rest())[-1]
            assert (verdict["type"], verdict["state"]) == ("verdict", "match")
            assert [turn["state"] for turn in verdict["turns"]] == ["match"]
        async with run("verify", server.url, file=str(path), token="guessed") as program:
            (failed,) = await program.rest()
        assert (failed["kind"], failed["code"]) == ("ServerError", "unauthorised")


async def test_many_clients_wait_for_one_server(server: Server, run: Run, said: Said) -> None:
    sound = said(("anna", 5.0))

    async def received() -> float:
        async with run("stream", server.url, file=sound, claim="anna") as program:
            return float((await program.rest())[-1]["summary"]["received_s"])

    assert await asyncio.gather(*(received() for _ in range(3))) == [5.0, 5.0, 5.0]
