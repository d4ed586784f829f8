"""`voxwatch enroll`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamer.commands.options import (
    EXIT_NEGATIVE,
    BundleOption,
    CaOption,
    ChannelOption,
    ConfigOption,
    DataOption,
    JsonOption,
    ProviderOption,
    TokenOption,
    configured,
    trusting,
)

if TYPE_CHECKING:
    from engine.voiceprints import Prototype
    from streamer.config import Config
    from streamer.sources import Format

    Source = Any  # a FileSource or a Microphone: pieces of PCM, and their `format`


def enroll(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose voice it is.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Recordings; each is a prototype of its own."),
    ] = None,
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Listen to a microphone instead.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="Microphone, by number or part of its name.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="Enrol on this server [on this machine]."),
    ] = None,
    token: TokenOption = None,
    ca: CaOption = None,
    consent: Annotated[
        bool, typer.Option("--consent", help="The person has read the text and agreed.")
    ] = False,
    add: Annotated[
        bool, typer.Option("--add", help="Another prototype of somebody who is enrolled.")
    ] = False,
    ttl_days: Annotated[
        float | None, typer.Option(min=0, help="Days until the voiceprint is deleted.")
    ] = None,
    channel: ChannelOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    bundle: BundleOption = None,
    provider: ProviderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol a person: 20 s of speech, from recordings or the microphone.

    The person has to agree to the text that is shown; --consent says that they have. Sound
    that is too short, clipped, noisy or of several voices is refused, and nothing is stored.

    \b
    Exit status: 0 enrolled; 1 refused, or no consent; 2 error.

    \b
    Examples:
      voxwatch enroll alice alice1.wav alice2.wav
      voxwatch enroll alice --microphone --ttl-days 365
      voxwatch enroll alice alice.wav --consent --server ws://127.0.0.1:8765
    """
    if bool(files) == microphone:
        raise typer.BadParameter("give recordings or --microphone, one of them")
    settings = configured(config, data_dir=data, bundle=bundle, provider=provider)
    from streamer.profiles import clean_name
    from streamer.sources import FileSource

    name = clean_name(name)
    sources: list[Source] = [FileSource(file, channel) for file in files or ()]
    if microphone:
        from streamer.microphone import Microphone

        sources = [Microphone(device)]
    teller = Teller(as_json)
    if server is None:
        work = _here(settings, name, sources, consent, add, ttl_days, teller)
    else:
        options = {"token": token, "tls": trusting(ca)}
        work = _there(server, name, sources, consent, add, ttl_days, teller, options)
    if not asyncio.run(work):
        raise typer.Exit(EXIT_NEGATIVE)


class Teller:
    """Says how it goes: on stderr for people, as JSON lines for machines."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._percent = 0

    def tell(self, event: Any) -> None:
        """One event of an enrolment."""
        from streamer.client import as_line

        if self._json:
            typer.echo(as_line(event))
            return
        kind = type(event).__name__
        if kind == "Progress" and event.percent // 10 > self._percent // 10:
            self._percent = event.percent
            problems = f" ({', '.join(event.problems)})" if event.problems else ""
            typer.echo(f"{event.percent:3d} % of {event.needed_s:g} s{problems}", err=True)
        elif kind == "Refused":
            typer.echo(f"refused: {event.message} ({event.code})", err=True)
        elif kind == "Failure":
            typer.echo(f"{event.message} ({event.code})", err=True)

    def done(self, name: str, prototypes: int, net_speech_s: float) -> None:
        """The last word."""
        if not self._json:
            kept = "1 prototype" if prototypes == 1 else f"{prototypes} prototypes"
            typer.echo(f"{name} is enrolled: {kept} from {net_speech_s:.1f} s of speech")


def agreed(consent: bool, text: str) -> bool:
    """Whether the person agrees to ``text``. Raises where nobody can be asked."""
    if consent:
        return True
    if not sys.stdin.isatty():
        from engine.errors import VoxwatchError

        raise VoxwatchError("nobody can be asked for consent here: --consent says it was given")
    typer.echo(f"{text}\n", err=True)
    return typer.confirm("Do you agree?", err=True)


async def _here(
    config: Config,
    name: str,
    sources: list[Source],
    consent: bool,
    add: bool,
    ttl_days: float | None,
    teller: Teller,
) -> bool:
    """Into the store of this machine; whether it was."""
    from engine.bundle import MODEL_FILE
    from engine.service import Engine
    from streamer.keys import load_key
    from streamer.replay import Replay
    from streamer.store import Consent, NameTaken, Store

    with Store.open(config.store_path, load_key(config.data_dir, env=os.environ)) as store:
        taken = any(profile.name == name for profile in store.profiles(time.time()))
        if taken and not add:  # before anybody has spoken
            raise NameTaken(f"{name!r} is enrolled: --add gives another prototype")
        if not agreed(consent, config.consent.text):
            return False
        models = Replay(config.bundle, config.provider)
        prototypes: list[Prototype] = []
        async with Engine(models.backend, models.vad) as engine:
            for source in sources:
                found = await _prototypes(engine, models.scorer, source, teller)
                if not found:
                    return False
                prototypes += found
        manifest, now = models.bundle.manifest, time.time()
        profile = store.add(
            name,
            prototypes,
            consent=Consent(config.consent.version, now),
            model_name=manifest.name,
            model_sha256=manifest.sha256[MODEL_FILE],
            ttl_s=config.ttl_s(ttl_days),
            now=now,
            extend=taken,
        )
    teller.done(profile.name, profile.prototypes, profile.net_speech_s)
    return True


async def _prototypes(
    engine: Any, scorer: Any, source: Source, teller: Teller
) -> tuple[Prototype, ...]:
    """What one source gives; nothing where it is refused."""
    from engine.enrolment import Enrolment
    from engine.pcm import PcmDecoder
    from streamer.together import beside

    async with _open(source):
        form: Format = source.format
        decoder = PcmDecoder(form.encoding, form.sample_rate)
        enrolment = Enrolment(scorer, decoder=decoder)
        stream = engine.open(enrolment, live=False)
        await beside(_tell_all(stream, teller), _feed(source, stream.send, stream.finish, teller))
    return enrolment.prototypes


async def _there(
    server: str,
    name: str,
    sources: list[Source],
    consent: bool,
    add: bool,
    ttl_days: float | None,
    teller: Teller,
    options: dict[str, Any],
) -> bool:
    """Into the store of a server; whether it was."""
    from streamer.client import control, enroll
    from streamer.together import beside
    from streamer.wire import EnrolledAs

    async with control(server, **options) as client:
        text = (await client.request("status"))["consent"]
    if not agreed(consent, text["text"]):
        return False
    for number, source in enumerate(sources):
        async with (
            _open(source),
            enroll(
                server,
                name,
                consent=text["text_version"],
                ttl_days=ttl_days,
                add=add or number > 0,
                encoding=source.format.encoding,
                sample_rate=source.format.sample_rate,
                **options,
            ) as opened,
        ):
            feed = _feed(source, opened.send, opened.finalize, teller)
            last = await beside(_tell_all(opened, teller), feed)
        if not isinstance(last, EnrolledAs):
            return False
        teller.done(name, last.prototypes, last.net_speech_s)
    return True


def _open(source: Source) -> Any:
    """A microphone is opened and closed; a file has nothing to close."""
    from contextlib import nullcontext

    return source if hasattr(source, "__aenter__") else nullcontext()


async def _tell_all(events: AsyncIterator[Any], teller: Teller) -> Any:
    """Tell everything; the last event."""
    last = None
    async for last in events:
        teller.tell(last)
    return last


async def _feed(
    source: Source,
    send: Callable[[bytes], Awaitable[None]],
    finish: Callable[[], Awaitable[None]],
    teller: Teller,
) -> None:
    """All sound, until it ends or the enrolment is over."""
    from streamer.connection import ServerError

    try:
        async for piece in source:
            if isinstance(piece, bytes):
                await send(piece)
            else:
                typer.echo(f"some sound was lost: {piece}", err=True)
        await finish()
    except ServerError as error:
        if error.code != "ended":  # it has heard enough; what it says is told elsewhere
            raise
