"""`voxwatch wyoming`, and `voxwatch wyoming enroll`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import typer

from streamer.commands.enrolment_there import enrol_there
from streamer.commands.event_printer import EventPrinter
from streamer.commands.options import (
    EXIT_NEGATIVE,
    AddOption,
    CaOption,
    ConsentOption,
    FalseAcceptOption,
    JsonOption,
    KeptDaysOption,
    MissOption,
    ServerOption,
    TokenOption,
    trusting,
)

if TYPE_CHECKING:
    from streamer.sources.file import Format
    from voxwatch_client.past_commands import PastCommand
    from voxwatch_client.wyoming import ProxySettings

UnsureChoice = Literal["drop", "pass"]
UriOption = Annotated[str, typer.Option("--uri", metavar="URI", help="Where the proxy listens.")]
OWN_URI = "tcp://127.0.0.1:10301"
KEPT, MOST_KEPT, KEPT_MIN = 10, 20, 10  # commands, and minutes: as in voxwatch_client

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@app.callback()
@dataclass(frozen=True, kw_only=True)
class WyomingCommand:
    """Stand before a Wyoming speech-to-text service, as of Home Assistant, and gate the speaker.

    Satellites are given this address in place of the recogniser's. What somebody says who may not
    command comes out as an empty transcript. Voices are those that the server knows.

    \b
    Example:
      voxwatch wyoming --upstream tcp://whisper:10300 --claim alice,bob --discoverable
    """

    upstream: Annotated[
        str, typer.Option(metavar="URI", help="The recogniser, tcp://HOST:PORT.")
    ] = ""
    uri: UriOption = OWN_URI
    server: ServerOption = "ws://127.0.0.1:8765"
    token: TokenOption = None
    ca: CaOption = None
    claim: Annotated[
        str, typer.Option(metavar="NAMES", help="Who may command [anyone enrolled].")
    ] = ""
    false_accept: FalseAcceptOption = None
    miss: MissOption = None
    when_unsure: Annotated[
        UnsureChoice, typer.Option(help="What becomes of commands too short or too noisy to judge.")
    ] = "drop"
    wait_s: Annotated[
        float, typer.Option("--wait", min=0.1, max=30, help="Seconds for a verdict at most.")
    ] = 2.0
    prefix: Annotated[
        bool, typer.Option("--prefix", help="Put `[name]` before the words of a transcript.")
    ] = False
    label: Annotated[str, typer.Option(help="What monitors and MQTT see of it.")] = "wyoming"
    discoverable: Annotated[
        bool, typer.Option("--discoverable", help="Announce it, as Home Assistant looks for it.")
    ] = False

    keep: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_KEPT,
            help=f"Commands in memory, {KEPT_MIN} minutes each, for `wyoming enroll`; 0: none.",
        ),
    ] = KEPT

    def run(self) -> None:
        """Serve until interrupted or ended by SIGTERM."""
        from voxwatch_client.wyoming import ProxySettings

        if not self.upstream:
            raise typer.BadParameter("say where the recogniser is: --upstream tcp://HOST:PORT")
        _check_uri(self.uri, "--uri")
        _check_uri(self.upstream, "--upstream")
        if self.discoverable and not self.uri.startswith("tcp://"):
            raise typer.BadParameter("--discoverable announces a port: --uri tcp://HOST:PORT")
        settings = ProxySettings(
            upstream=self.upstream,
            server=self.server,
            claim=self.claim,
            token=self.token,
            when_unsure=self.when_unsure,
            wait_s=self.wait_s,
            prefix=self.prefix,
            label=self.label,
            keep=self.keep,
            options={
                "tls": trusting(self.ca),
                "false_accept": self.false_accept,
                "miss": self.miss,
            },
        )
        asyncio.run(self._serve(settings))

    async def _serve(self, settings: ProxySettings) -> None:
        from streamer.tasks import beside
        from voxwatch_client.wyoming import serve

        def listening() -> None:
            typer.echo(f"listening at {self.uri}, before {self.upstream}", err=True)

        ended = asyncio.Event()
        with contextlib.suppress(NotImplementedError):  # Windows has no such signal
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        proxy = serve(self.uri, settings, discoverable=self.discoverable, listening=listening)
        await beside(ended.wait(), proxy)


def _check_uri(uri: str, option: str) -> None:
    try:
        parts = urlsplit(uri)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
            return
        if parts.scheme == "unix" and parts.path:
            return
    except ValueError:  # of the port
        pass
    told = f"{uri!r} is not tcp://HOST:PORT or unix://PATH"
    raise typer.BadParameter(told, param_hint=option)


@app.command("enroll")
@dataclass(frozen=True, kw_only=True)
class EnrollCommandsCommand:
    """Enrol a person by what they last said to the proxy that runs on this machine.

    The proxy, which has to run as this user, gives the sound of its last commands, and the server
    is sent it; it wants 10 s of speech of one voice. Commands of others who are enrolled are left
    out. The person has to agree to the text that is shown; --consent says that they have.

    \b
    Exit status: 0 enrolled; 1 refused, or the person does not agree; 2 error.

    \b
    Example:
      voxwatch wyoming enroll alice --last 5
    """

    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose voice it is.")]
    last: Annotated[
        int, typer.Option(min=1, max=MOST_KEPT, help="How many commands, the last ones.")
    ] = KEPT
    uri: UriOption = OWN_URI
    server: ServerOption = "ws://127.0.0.1:8765"
    token: TokenOption = None
    ca: CaOption = None
    consent: ConsentOption = False
    add: AddOption = False
    kept_days: KeptDaysOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Enrol on the server."""
        if not asyncio.run(self._enrol()):
            raise typer.Exit(EXIT_NEGATIVE)

    async def _enrol(self) -> bool:
        from streamer.store.profile import clean_name
        from voxwatch_client.past_commands import ask

        name = clean_name(self.name)
        sound = CommandSound(await ask(self.uri, self.last), name)
        return await enrol_there(
            self.server,
            name,
            [sound],
            EventPrinter(self.as_json, watched=sys.stderr.isatty()),
            consent=self.consent,
            kept_days=self.kept_days,
            add=self.add,
            access={"token": self.token, "tls": trusting(self.ca)},
        )


class CommandSound:
    """Past commands as one recording of ``name``, and a line for each that says what becomes of it.

    Raises :class:`VoxwatchError` where none is left.
    """

    def __init__(self, commands: Sequence[PastCommand], name: str) -> None:
        from engine.errors import VoxwatchError
        from streamer.sources.file import Format

        rate = commands[-1].rate if commands else 0
        self._commands = []
        for command in commands:
            about = f"{max(0.0, time.time() - command.at):.0f} s ago, {command.seconds:.1f} s long"
            if command.speaker not in (None, name):
                typer.echo(f"left out: {about}, by {command.speaker}", err=True)
            elif command.rate != rate:
                typer.echo(f"left out: {about}, at {command.rate} Hz", err=True)
            else:
                typer.echo(f"used: {about}", err=True)
                self._commands.append(command)
        if not self._commands:
            minutes = f"within {KEPT_MIN} minutes"
            raise VoxwatchError(f"the proxy heard no command {minutes} that can be used: say some")
        self.format: Format = Format("pcm_s16le", rate)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for command in self._commands:
            yield command.mono
