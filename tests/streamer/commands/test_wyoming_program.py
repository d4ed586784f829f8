"""The program `voxwatch wyoming`: its addresses, its port and its end."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest
from ports import free_port
from satellite import proxied, transcribed
from typer.testing import CliRunner

from streamer.cli import app
from streamer.server.server import Server
from voxwatch_client.errors import ClientError
from voxwatch_client.past_commands import ask
from voxwatch_client.wyoming import ProxySettings, serve


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
        ("tcp://127.0.0.1:{port}", "Address already in use"),
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


def test_a_sigterm_at_the_moment_that_it_says_so_ends_it_well_too() -> None:
    early = """
import os, signal, typer
from streamer.cli import main

def echo(line, **options):
    print(line, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

typer.echo = echo
main()
"""
    uri = f"tcp://127.0.0.1:{free_port()}"
    given = ["wyoming", "--upstream", "tcp://127.0.0.1:9", "--uri", uri]
    program = [sys.executable, "-c", early, *given]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    told = (f"listening at {uri}, before tcp://127.0.0.1:9\n", "")
    assert (done.returncode, done.stdout, done.stderr) == (0, *told)
