"""The microphone, through PortAudio: pieces of PCM, and notices of what was lost.

    async with Microphone("usb") as microphone:
        async for piece in microphone:
            if isinstance(piece, bytes): ...

PortAudio calls from a thread of its own; that thread copies the sound and hands it to the
event loop. The package and its library are loaded when a microphone is used, and not before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from engine.audio.channel_choice import ChannelChoice
from engine.errors import VoxwatchError
from streamer.sources.file import Format

BLOCK_S = 0.02
HELD_S = 5.0  # sound that waits to be read; what comes beyond it is lost, and counted
SILENT_S = 3.0  # a device that works calls every BLOCK_S, in a silent room too
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 5.0
# A device with more channels is a sound server's, which makes as many as are asked for.
MOST_CHANNELS, SERVERS_CHANNELS = 16, 2


class MicrophoneError(VoxwatchError):
    """No microphone, or one that stopped; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Device:
    """A sound input. ``default_rate`` in Hz is the device's own."""

    index: int
    name: str
    channels: int
    default_rate: int


@dataclass(frozen=True, slots=True)
class InputOverflow:
    """Sound was lost before this piece: by the device (``xruns``), or as it was not read in time.

    ``lost_s`` is known of the latter only; how much a device lost it does not say.
    """

    xruns: int
    lost_s: float

    def __str__(self) -> str:
        if not self.lost_s:
            return "the microphone lost some sound"
        return f"{self.lost_s:.1f} s of sound were lost: this machine was too busy to read it"


@dataclass(frozen=True, slots=True)
class Reopened:
    """The device was gone for ``gone_s`` and is back; what was said meanwhile was not heard."""

    gone_s: float

    def __str__(self) -> str:
        return f"the microphone was gone for {self.gone_s:.1f} s, of which nothing was heard"


Heard = bytes | InputOverflow | Reopened


def devices() -> list[Device]:
    """All inputs. Raises :class:`MicrophoneError` without PortAudio."""
    sounddevice = _portaudio()
    try:
        found = list(sounddevice.query_devices())
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"the sound system does not answer: {_said(error)}") from error
    return [_device(d) for d in found if d["max_input_channels"] > 0]


def find_device(wanted: int | str | None) -> Device:
    """The input of that index or with that part in its name; None is the system's default.

    Raises :class:`MicrophoneError`, naming what there is.
    """
    inputs = devices()
    if not inputs:
        raise MicrophoneError("this machine has no microphone: connect one, or stream a file")
    if wanted is None:
        return _default(inputs)
    if isinstance(wanted, int) or wanted.isdecimal():
        matching = [d for d in inputs if d.index == int(wanted)]
    else:
        matching = [d for d in inputs if wanted.casefold() in d.name.casefold()]
        exact = [d for d in matching if d.name.casefold() == wanted.casefold()]
        matching = exact or matching
    if len(matching) != 1:
        many = "several microphones fit" if matching else "no microphone fits"
        known = ", ".join(f"{d.index}: {d.name}" for d in matching or inputs)
        raise MicrophoneError(f"{many} {wanted!r}; there are {known}")
    return matching[0]


class Microphone:
    """One channel of an open input, at the device's own rate. A context manager and iterator.

    ``channel`` counts from 0; without it the louder one is heard (:class:`ChannelChoice`). A device
    with one channel ignores it, as a recording does. With ``reopen`` a device that went away is
    waited for; without, that is an error.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        channel: int | None = None,
        reopen: bool = False,
        silent_s: float = SILENT_S,
    ) -> None:
        self._wanted, self._reopen, self._silent_s = device, reopen, silent_s
        self._channel, self._channels = channel, 1
        self._most = round(HELD_S / BLOCK_S)
        # Blocks that PortAudio's thread has posted, and that were read: each is written by one
        # thread only, and their difference bounds everything in between.
        self._posted = self._read = 0
        self._lost_frames = 0  # not posted since the last block that was
        self._blocks: deque[tuple[bytes, int, bool]] = deque()
        self._notices: deque[Heard] = deque()
        self._arrived = asyncio.Event()
        self._stream: Any = None
        self._stopped = False
        self._openings = 0  # a stream says that it has finished when another may be open already
        self.overflows = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.device = await asyncio.to_thread(find_device, self._wanted)
        self.format = Format("pcm_s16le", self.device.default_rate)
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._close)

    def __aiter__(self) -> AsyncIterator[Heard]:
        return self

    async def __anext__(self) -> Heard:
        while not self._notices:
            if self._blocks:
                self._take(*self._blocks.popleft())
            elif self._stopped or not await self._more():
                await self._gone()
        return self._notices.popleft()

    async def _more(self) -> bool:
        self._arrived.clear()
        try:
            async with asyncio.timeout(self._silent_s):
                return await self._arrived.wait()
        except TimeoutError:
            return False

    def _take(self, data: bytes, lost_frames: int, overflow: bool) -> None:
        self._read += 1
        if lost_frames or overflow:
            self.overflows += 1
            lost_s = lost_frames / self.format.sample_rate
            self._notices.append(InputOverflow(int(overflow), lost_s))
        self._notices.append(data if self._channels == 1 else self._one_channel(data))

    def _one_channel(self, data: bytes) -> bytes:
        samples = np.frombuffer(data, np.int16).reshape(-1, self._channels)
        if self._channel is not None:
            return samples[:, self._channel].tobytes()
        return self._choice.take(samples).tobytes()

    async def _gone(self) -> None:
        """Deal with a device that went away: wait until it is back, or raise."""
        name, begun = self.device.name, self._loop.time()
        await asyncio.to_thread(self._close)
        if not self._reopen:
            raise MicrophoneError(f"{name!r} stopped: is it still plugged in?")
        delay_s = FIRST_DELAY_S
        while True:
            await asyncio.sleep(delay_s)
            try:
                await asyncio.to_thread(self._find_again, name)
                break
            except MicrophoneError:
                delay_s = min(2 * delay_s, LONGEST_DELAY_S)
        self._notices.append(Reopened(self._loop.time() - begun))

    def _find_again(self, name: str) -> None:
        """Open the device of that name, at the rate it had: its number may be another now."""
        sounddevice = _portaudio()
        # PortAudio lists the devices when it starts, and never again.
        sounddevice._terminate()
        sounddevice._initialize()
        self.device = find_device(name)
        self._open()

    def _open(self) -> None:
        sounddevice = _portaudio()
        self._stopped = False
        self._openings += 1
        rate = self.format.sample_rate
        self._channels = _opened_channels(self.device, self._channel)
        self._choice = ChannelChoice(self._channels, rate)
        try:
            self._stream = sounddevice.RawInputStream(
                samplerate=rate,
                blocksize=round(BLOCK_S * rate),
                device=self.device.index,
                channels=self._channels,
                dtype="int16",
                callback=self._heard,
                finished_callback=partial(self._finished, self._openings),
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            self._close()
            raise MicrophoneError(
                f"{self.device.name!r} cannot be opened: {_said(error)}; does another program"
                " have it? choose another with --device"
            ) from error

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    # PortAudio's thread.

    def _heard(self, data: Any, frames: int, time: Any, status: Any) -> None:
        if self._posted - self._read >= self._most:
            self._lost_frames += frames
            return
        lost, self._lost_frames = self._lost_frames, 0
        self._posted += 1
        block = bytes(data), lost, bool(status.input_overflow)
        self._loop.call_soon_threadsafe(self._post, block)

    def _finished(self, opening: int) -> None:
        self._loop.call_soon_threadsafe(self._stop, opening)

    # The event loop, for PortAudio's thread.

    def _post(self, block: tuple[bytes, int, bool]) -> None:
        self._blocks.append(block)
        self._arrived.set()

    def _stop(self, opening: int) -> None:
        # PortAudio is not asked: another thread may be closing the stream at this moment.
        if opening == self._openings:
            self._stopped = True
            self._arrived.set()


def _portaudio() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, the library is not
        raise MicrophoneError(
            f"microphones need PortAudio ({_said(error)}): apt install libportaudio2,"
            " brew install portaudio"
        ) from error
    return sounddevice


def _device(found: Any) -> Device:
    return Device(
        found["index"],
        found["name"],
        found["max_input_channels"],
        round(found["default_samplerate"]),
    )


def _opened_channels(device: Device, wanted: int | None) -> int:
    """How many channels to open. Raises :class:`MicrophoneError` for one that is not there."""
    own = device.channels if device.channels <= MOST_CHANNELS else SERVERS_CHANNELS
    if wanted is None or device.channels == 1:
        return own
    if wanted >= device.channels:
        which = f"0 to {device.channels - 1}"
        raise MicrophoneError(f"{device.name!r} has no channel {wanted}: choose one of {which}")
    return max(own, wanted + 1)


def _default(inputs: list[Device]) -> Device:
    """The system's own choice, or the first where it has none."""
    chosen = _portaudio().default.device[0]
    return next((d for d in inputs if d.index == chosen), inputs[0])


def _said(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
