"""Sound on its way into an enrolment, on this machine or on a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from engine.scoring.voiceprints import Voiceprint
    from streamer.commands.bulk import Hearer
    from streamer.commands.event_printer import EventPrinter
    from streamer.local.replay import Replay
    from streamer.sources.file import Format

    Printer = EventPrinter | Hearer
    Source = Any  # a FileSource or a Microphone: pieces of PCM, and their `format`


async def heard(
    models: Replay,
    name: str,
    sources: list[Source],
    kept: Voiceprint | None,
    printer: Printer,
) -> Voiceprint | None:
    """``kept`` and a prototype of each source, all of one voice; None where one is refused."""
    from engine.audio.pcm import PcmDecoder
    from engine.enrolment import Enrolment
    from engine.scoring.voiceprints import Voiceprint
    from engine.serving.engine import Engine
    from streamer.tasks import beside

    async with Engine(models.backend, models.vad) as engine:
        for source in sources:
            printer.begin(source)
            async with hold_open(source):
                form: Format = source.format
                decoder = PcmDecoder(form.encoding, form.sample_rate)
                enrolment = Enrolment(models.scorer, decoder=decoder, kept=kept)
                stream = engine.open(enrolment, live=False)
                feeding = feed(source, stream.send, stream.finalize, printer)
                await beside(tell_all(stream, printer), feeding)
            if not enrolment.prototypes:
                return None
            kept = Voiceprint(name, (kept.prototypes if kept else ()) + enrolment.prototypes)
    return kept


def hold_open(source: Source) -> Any:
    """A microphone is opened and closed; a file has nothing to close."""
    from contextlib import nullcontext

    return source if hasattr(source, "__aenter__") else nullcontext()


def is_live(source: Source) -> bool | None:
    """False for a file, whose pace says nothing; of a microphone the server finds out itself."""
    return None if hasattr(source, "__aenter__") else False


async def tell_all(events: AsyncIterator[Any], printer: Printer) -> Any:
    """Tell everything; the last event."""
    last = None
    async for last in events:
        printer.tell(last)
    return last


async def feed(
    source: Source,
    send: Callable[[bytes], Awaitable[None]],
    finish: Callable[[], Awaitable[None]],
    printer: Printer,
) -> None:
    """All sound, until it ends or the enrolment is over."""
    from voxwatch_client import ServerError

    try:
        async for piece in source:
            if isinstance(piece, bytes):
                await send(piece)
            else:
                typer.echo(str(piece), err=True)
        await finish()
    except ServerError as error:
        if error.code != "ended":  # it has heard enough; what it says is told elsewhere
            raise
