"""`voxwatch stream`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import VoxwatchError
from streamer.commands.options import (
    CaOption,
    ChannelOption,
    ClaimOption,
    EncodingName,
    FalseAcceptOption,
    HopOption,
    JsonOption,
    MissOption,
    ServerOption,
    SpeedOption,
    TokenOption,
    WindowOption,
    parse_speed,
    trusting,
)

if TYPE_CHECKING:
    from streamer.sources.file import FileSource, StdinSource
    from voxwatch_client import VerifyStream

UNSURE_S = 0.5  # the server counts resampled sound, which differs by less than this


@dataclass(frozen=True, kw_only=True)
class StreamCommand:
    """Send a recording or raw PCM to a server and print what it says.

    On a terminal that is a table of decisions, turns and changes of voice; elsewhere, and with
    --json, every event as a line of JSON.

    A connection that breaks is resumed without a gap. The end of the input ends the stream;
    a server that stops before ends it too, after its summary, and that is an error.

    \b
    Examples:
      voxwatch stream call.wav --claim alice --speed max
      arecord -q -f S16_LE -r 16000 -t raw | voxwatch stream - --claim alice
    """

    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A recording, or - for raw PCM.")]
    server: ServerOption = "ws://127.0.0.1:8765"
    token: TokenOption = None
    ca: CaOption = None
    claim: ClaimOption = None
    speed: SpeedOption = "1"
    channel: ChannelOption = None
    encoding: Annotated[
        EncodingName, typer.Option(help="Of raw PCM; a recording tells itself.")
    ] = "pcm_s16le"
    rate: Annotated[
        int, typer.Option(min=8000, max=192_000, help="Samples a second of raw PCM.")
    ] = 16_000
    channels: Annotated[int, typer.Option(min=1, help="Channels of raw PCM.")] = 1
    window_s: WindowOption = None
    hop_s: HopOption = None
    false_accept: FalseAcceptOption = None
    miss: MissOption = None
    label: Annotated[str, typer.Option(help="What monitors see of this stream.")] = ""
    as_json: JsonOption = False

    def run(self) -> None:
        """Send, and print what comes back, until the stream is over."""
        from streamer.sources.file import FileSource, Format, StdinSource

        source: FileSource | StdinSource
        if self.file == "-":
            form = Format(self.encoding, self.rate, self.channels, self.channel or 0)
            source = StdinSource(form)
        else:
            source = FileSource(Path(self.file), self.channel)
        asyncio.run(self._stream(source, parse_speed(self.speed)))

    async def _stream(self, source: FileSource | StdinSource, speed: float | None) -> None:
        from streamer.tasks import beside
        from voxwatch_client import connect

        form = source.format
        async with connect(
            self.server,
            claim=self.claim or "",
            encoding=form.encoding,
            sample_rate=form.sample_rate,
            channels=form.channels,
            channel=form.channel,
            live=None if speed == 1 else False,
            window_s=self.window_s,
            hop_s=self.hop_s,
            false_accept=self.false_accept,
            miss=self.miss,
            label=self.label,
            token=self.token,
            tls=trusting(self.ca),
        ) as opened:
            sent = SentSound()
            heard_s = await beside(_print(opened, self.as_json), _send(opened, source, speed, sent))
        sent_s = sent.bytes / form.bytes_per_s
        if not sent.all or heard_s < sent_s - UNSURE_S:
            raise _cut(source, heard_s, sent_s if sent.all else None)


@dataclass
class SentSound:
    """What went out: so many bytes, and whether that was all there is."""

    bytes: int = 0
    all: bool = False


def _cut(source: Any, heard_s: float, sent_s: float | None) -> VoxwatchError:
    total_s = getattr(source, "duration_s", sent_s)  # of standard input nobody knows before
    of = "" if total_s is None else f" of {total_s:.1f} s"
    return VoxwatchError(
        f"the server ended the stream after {heard_s:.1f} s{of}: send it again when it is back"
    )


async def _print(opened: VerifyStream, as_json: bool) -> float:
    """Print the events; the seconds of sound that the summary counts."""
    from streamer.commands.event_table import printer
    from voxwatch_client.messages import Summary

    heard_s, show = 0.0, printer(as_json)
    async for event in opened:
        show.update(event)
        if isinstance(event, Summary):
            heard_s = event.received_s
    return heard_s


async def _send(
    opened: VerifyStream, source: FileSource | StdinSource, speed: float | None, sent: SentSound
) -> None:
    from streamer.sources.file import paced
    from voxwatch_client import ServerError

    try:
        async for piece in paced(aiter(source), source.format.bytes_per_s, speed):
            await opened.send(piece)
            sent.bytes += len(piece)
    except ServerError as error:
        if error.code != "ended":
            raise
        return  # what the server said last is still to be printed
    sent.all = True
    await opened.finalize()
