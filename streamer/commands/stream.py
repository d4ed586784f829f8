"""`voxwatch stream`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from streamer.sources.file import FileSource, Format, StdinSource
    from voxwatch_client import VerifyStream

log = logging.getLogger("voxwatch.audio")

MOST_KEPT_S = 60.0  # that a server is told of
UNSURE_S = 0.5  # the server counts resampled sound, which differs by less than this


@dataclass(frozen=True, kw_only=True)
class StreamCommand:
    """Send a recording or raw PCM to a server and print what it says.

    On a terminal that is a table of decisions, turns and changes of voice; elsewhere, and with
    --json, every event as a line of JSON.

    A connection that breaks is resumed without a gap. Where the server was killed and is back,
    another stream begins with the sound that it had not yet judged, and that is said. The end of
    the input ends the stream; a server that stops before ends it too, after its summary, and that
    is an error.

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
        rate, live = source.format.bytes_per_s, None if speed == 1 else False
        async with contextlib.aclosing(Sending(source, speed)) as sending:
            while (heard_s := await self._through(sending, source.format, live=live)) is None:
                log.warning("warning: %s", _anew(sending.begun / rate))
        if not sending.all or heard_s < (sending.sent - sending.begun) / rate - UNSURE_S:
            total_s = sending.sent / rate if sending.all else None
            raise _cut(source, sending.begun / rate + heard_s, total_s)

    async def _through(self, sending: Sending, form: Format, *, live: bool | None) -> float | None:
        """The seconds of sound that one stream has heard; None where it is lost."""
        from streamer.tasks import beside
        from voxwatch_client import ServerError

        kept_s = None if live is False else sending.kept_s
        async with self._connect(form, live=live, kept_s=kept_s) as opened:
            try:
                return await beside(_print(opened, self.as_json), sending.to(opened))
            except ServerError as error:
                if error.code != "unknown-session":
                    raise
                sending.lost(opened)
        return None

    def _connect(
        self, form: Format, *, live: bool | None, kept_s: float | None
    ) -> AbstractAsyncContextManager[VerifyStream]:
        from voxwatch_client import connect

        return connect(
            self.server,
            claim=self.claim or "",
            encoding=form.encoding,
            sample_rate=form.sample_rate,
            channels=form.channels,
            channel=form.channel,
            live=live,
            kept_s=kept_s,
            window_s=self.window_s,
            hop_s=self.hop_s,
            false_accept=self.false_accept,
            miss=self.miss,
            label=self.label,
            token=self.token,
            tls=trusting(self.ca),
        )


class Sending:
    """The sound of ``source``, to one stream after the other, in bytes from its beginning.

    ``begun`` is where the present stream began, ``sent`` how far has been sent, and ``all``
    whether that was all there is.
    """

    def __init__(self, source: FileSource | StdinSource, speed: float | None) -> None:
        from streamer.sources.file import paced

        self._bytes_per_s = source.format.bytes_per_s
        self._pieces = paced(aiter(source), self._bytes_per_s, speed)
        self._next: asyncio.Task[bytes | None] | None = None
        self._piece = b""  # what is sent next, or is just being sent
        self.begun = self.sent = 0
        self.all = False

    @property
    def kept_s(self) -> float | None:
        """Seconds of sound that are there and have no stream yet, as the last one was lost."""
        return min(MOST_KEPT_S, len(self._piece) / self._bytes_per_s) or None

    async def to(self, opened: VerifyStream) -> None:
        """Send what there is, from ``begun`` on."""
        from voxwatch_client import ServerError

        try:
            while self._piece or await self._read():
                await opened.send(self._piece)
                self.sent += len(self._piece)
                self._piece = b""
        except ServerError as error:
            if error.code != "ended":
                raise
            return  # what the server said last is still to be printed
        self.all = True
        await opened.finalize()

    def lost(self, opened: VerifyStream) -> None:
        """The stream is lost: the next begins with what was sent and not known to be heard."""
        place, unheard = opened.unheard()
        added = self.begun + place + len(unheard) - self.sent  # of the piece that was being sent
        self.begun += place
        self.all = False
        self.sent, self._piece = self.begun, unheard + self._piece[added:]

    async def aclose(self) -> None:
        """Let go of the source. That it fails, too, nobody has to be told once a stream has."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._pieces.aclose()

    async def _read(self) -> bool:
        """Whether there is another piece. One that is waited for is not lost with a stream."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._pieces, None))
        await asyncio.wait([self._next])
        found, self._next = self._next, None
        self._piece = found.result() or b""
        return bool(self._piece)


def _anew(at_s: float) -> str:
    return (
        "the server does not know the stream any more (it was restarted, or away for too long), and"
        " what it would still have said of it is lost:"
        f" another stream begins at {at_s:.1f} s of the sound"
    )


def _cut(source: FileSource | StdinSource, heard_s: float, sent_s: float | None) -> VoxwatchError:
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
