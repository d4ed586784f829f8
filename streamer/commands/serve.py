"""`voxwatch serve`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamer.commands.options import (
    EXIT_INTERRUPTED,
    BundleOption,
    ConfigOption,
    DataOption,
    FalseAcceptOption,
    HopOption,
    MissOption,
    PriorOption,
    ProviderOption,
    ThreadsOption,
    WindowOption,
    configured,
)

if TYPE_CHECKING:
    from streamer.config import Config
    from streamer.config_sources import TokenFile

log = logging.getLogger("voxwatch.serve")
ENDING = "ending: open streams tell what they know"


@dataclass(frozen=True, kw_only=True)
class ServeCommand:
    """Serve streams, enrolment and the dashboard.

    Prints the address once the model is ready. SIGTERM, SIGHUP and Ctrl-C let open streams tell
    what they know, then it ends. Tokens that the configuration file gets or loses hold at once.

    \b
    Examples:
      voxwatch serve
      voxwatch serve --port 9000 --provider cpu
      VOXWATCH_PORT=9000 voxwatch serve --config voxwatch.toml
    """

    config: ConfigOption = None
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond this machine needs tokens.")
    ] = None
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 is any free one.")] = None
    data_dir: DataOption = None
    bundle: BundleOption = None
    provider: ProviderOption = None
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the port [1].")
    ] = None
    threads: ThreadsOption = None
    window_s: WindowOption = None
    hop_s: HopOption = None
    false_accept: FalseAcceptOption = None
    miss: MissOption = None
    prior: PriorOption = None
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate chain, PEM.")
    ] = None
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, PEM.")] = None
    allow_plaintext: Annotated[
        bool | None,
        typer.Option("--allow-plaintext", help="Listen beyond this machine without TLS."),
    ] = None
    log: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="What goes to stderr.")
    ] = "info"
    log_json: Annotated[bool, typer.Option("--log-json", help="The log as JSON lines.")] = False

    def run(self) -> None:
        """Serve until a signal."""
        from streamer.config_sources import TokenFile, find_config
        from streamer.server.logs import log_to_stderr
        from streamer.server.runtime import new_loop

        warnings: list[str] = []  # told once the server is ready, below what matters more
        settings = configured(self, warnings.append)
        tokens = TokenFile(self.config or find_config(os.environ))
        log_to_stderr(self.log, as_json=self.log_json)
        with asyncio.Runner(loop_factory=new_loop()) as runner:
            if settings.workers == 1:
                work = _serve(settings, tokens, warnings)
            else:
                work = _supervise(settings, tokens, warnings, self.log, self.log_json)
            interrupted = runner.run(work)
        if interrupted:
            raise typer.Exit(EXIT_INTERRUPTED)


async def _serve(config: Config, tokens: TokenFile, warnings: Sequence[str]) -> bool:
    """Serve until a signal, after ``warnings``; whether that was Ctrl-C."""
    from streamer.server.runtime import spare_collector
    from streamer.server.server import Server

    async with _signals() as (stop, seen), Server(config, tokens=tokens) as server:
        spare_collector()
        model = server.context.model
        _tell_ready(server.url, f"{model.name} {model.version} on {model.provider}", warnings)
        await server.serve_until(stop)
        typer.echo(ENDING, err=True)
    return signal.SIGINT in seen


async def _supervise(
    config: Config, tokens: TokenFile, warnings: Sequence[str], level: str, as_json: bool
) -> bool:
    """The same with several processes."""
    from streamer.config import check_exposure
    from streamer.server.workers.supervisor import Supervisor
    from streamer.server.workers.worker import LogSettings

    check_exposure(config)
    logs = LogSettings(level, as_json)
    async with _signals() as (stop, seen), Supervisor(config, logs, tokens) as all_:
        _tell_ready(all_.url, f"{all_.model}, {config.workers} workers", warnings)
        await stop.wait()
        typer.echo(ENDING, err=True)
    return signal.SIGINT in seen


def _tell_ready(url: str, what: str, warnings: Sequence[str]) -> None:
    typer.echo(f"{url} is ready: {what}")
    for warning in warnings:
        log.warning("%s", warning)


@asynccontextmanager
async def _signals() -> AsyncIterator[tuple[asyncio.Event, set[int]]]:
    """An event that is set by a signal to end, and the signals that came."""
    stop, loop, seen = asyncio.Event(), asyncio.get_running_loop(), set[int]()

    def end(number: int) -> None:
        seen.add(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    yield stop, seen
