"""`voxwatch listen`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamer.commands.options import (
    EXIT_INTERRUPTED,
    EXIT_NEGATIVE,
    AllowPoorOption,
    BundleOption,
    ChannelOption,
    ClaimOption,
    ConfigOption,
    DataOption,
    DeviceOption,
    EnrollOption,
    FalseAcceptOption,
    JsonOption,
    MissOption,
    PriorOption,
    ProviderOption,
    configured,
)

if TYPE_CHECKING:
    from engine.scoring.scorer import PreparedEmbeddings
    from streamer.config import Config
    from streamer.local.replay import Replay
    from streamer.sources.microphone import Microphone


@dataclass(frozen=True, kw_only=True)
class ListenCommand:
    """Listen to the microphone and say, several times a second, who speaks.

    Known are the voices of the local store and those of --enroll. Nothing is recorded. A
    microphone that is pulled out is waited for. Ctrl-C ends it, with a summary.

    \b
    Examples:
      voxwatch listen --claim alice
      voxwatch listen --device usb --enroll bob=bob.wav --json
    """

    claim: ClaimOption = None
    enroll: EnrollOption = None
    allow_poor: AllowPoorOption = False
    channel: ChannelOption = None
    device: DeviceOption = None
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="List the microphones and end.")
    ] = False
    prior: PriorOption = None
    false_accept: FalseAcceptOption = None
    miss: MissOption = None
    config: ConfigOption = None
    data_dir: DataOption = None
    bundle: BundleOption = None
    provider: ProviderOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Listen until Ctrl-C, or list the microphones."""
        if self.list_devices:
            _list()
            return
        settings = configured(self)
        from streamer.local.replay import Replay, chosen, parse_enrolment
        from streamer.local.voices import names_of, voices
        from streamer.sources.microphone import Microphone, find_device

        device = find_device(self.device).index
        microphone = Microphone(device, channel=self.channel, reopen=True)
        files = [parse_enrolment(text) for text in self.enroll or ()]
        names = names_of(self.claim)
        models = Replay(settings.bundle, settings.provider)
        named = models.enrol(files, channel=self.channel, allow_poor=self.allow_poor)
        enrolled = voices(models, settings, named, names)
        claimed = chosen(enrolled, names)
        asyncio.run(_listen(settings, models, microphone, claimed, enrolled, self.as_json))
        raise typer.Exit(EXIT_INTERRUPTED)  # nothing else ends it well


def _list() -> None:
    from streamer.sources.microphone import devices

    found = devices()
    if not found:
        typer.echo("no microphone is connected", err=True)
        raise typer.Exit(EXIT_NEGATIVE)
    for device in found:
        rate = f"{device.default_rate / 1000:g} kHz"
        typer.echo(f"{device.index:3d}  {rate:>8s}  {device.channels:3d} ch  {device.name}")


async def _listen(
    config: Config,
    models: Replay,
    microphone: Microphone,
    claimed: dict[str, PreparedEmbeddings],
    enrolled: dict[str, PreparedEmbeddings],
    as_json: bool,
) -> None:
    from engine.audio.pcm import PcmDecoder
    from engine.serving.config import EngineConfig
    from engine.serving.engine import Engine
    from engine.session import Session
    from streamer.session_config import session_config
    from streamer.tasks import beside

    async with (
        microphone,
        Engine(models.backend, models.vad, config=EngineConfig(threads=config.threads)) as engine,
    ):
        form = microphone.format
        session = Session(
            models.scorer,
            claimed or enrolled,
            decoder=PcmDecoder(form.encoding, form.sample_rate),
            config=session_config(config),
            claimed=bool(claimed),
            model=models.model,
        )
        stream = engine.open(session, live=True)
        with _shown(microphone.device.name, config, as_json) as show:
            await beside(_show(stream, show), _hear(microphone, stream, show))


async def _show(stream: Any, show: Any) -> None:
    async for event in stream:
        show.update(event)


async def _hear(microphone: Microphone, stream: Any, show: Any) -> None:
    """Sound to the engine until Ctrl-C or SIGTERM; then the end of it."""
    from streamer.tasks import beside

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await beside(stop.wait(), _pass_on(microphone, stream, show))
    await stream.finalize()


async def _pass_on(microphone: Microphone, stream: Any, show: Any) -> None:
    async for piece in microphone:
        if isinstance(piece, bytes):
            await stream.send(piece)
        else:
            show.update(_lag(piece, stream.conversation.received_s))


def _lag(notice: Any, t: float) -> Any:
    """A notice of the microphone as an event, outside of the numbers of the stream."""
    from engine.events import Lag
    from streamer.sources.microphone import Reopened

    lost_s = notice.gone_s if isinstance(notice, Reopened) else notice.lost_s
    return Lag(t=t, reason="input-overflow", behind_s=lost_s, hop_s=None, dropped=1)


def _shown(device: str, config: Config, as_json: bool) -> AbstractContextManager[Any]:
    from engine.decisions.config import DecisionConfig
    from streamer.commands.event_table import EventLines
    from streamer.local.live_table import LiveTable

    if as_json:
        return nullcontext(EventLines())
    bounds = DecisionConfig(false_accept=config.false_accept, miss=config.miss)
    return LiveTable(device, bounds)
