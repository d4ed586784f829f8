"""`voxwatch serve`."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Sequence
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

log = logging.getLogger("voxwatch.serve")

YOUNG_OBJECTS = 20_000  # made before the collector looks: Python's 700 are a few messages


@dataclass(frozen=True, kw_only=True)
class ServeCommand:
    """Serve streams, enrolment and the dashboard.

    Prints the address once the model is ready. SIGTERM and Ctrl-C let open streams tell what
    they know, then it ends.

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
        from streamer.server.logs import log_to_stderr

        warnings: list[str] = []  # told once the server is ready, below what matters more
        settings = configured(self, warnings.append)
        log_to_stderr(self.log, as_json=self.log_json)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            interrupted = runner.run(_serve(settings, warnings))
        if interrupted:
            raise typer.Exit(EXIT_INTERRUPTED)


async def _serve(config: Config, warnings: Sequence[str]) -> bool:
    """Serve until a signal, after ``warnings``; whether that was Ctrl-C."""
    from streamer.server.server import Server

    stop, loop, seen = asyncio.Event(), asyncio.get_running_loop(), set[int]()

    def end(number: int) -> None:
        seen.add(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    async with Server(config) as server:
        _spare_collector()
        model = server.context.model
        typer.echo(f"{server.url} is ready: {model.name} {model.version} on {model.provider}")
        for warning in warnings:
            log.warning("%s", warning)
        await server.serve_until(stop)
        typer.echo("ending: open streams tell what they know", err=True)
    return signal.SIGINT in seen


def _spare_collector() -> None:
    """What lives as long as the server need not be looked through for garbage again and again."""
    from streamer.server.memory import keep_big_blocks_apart

    keep_big_blocks_apart()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where there is one: it is not on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
