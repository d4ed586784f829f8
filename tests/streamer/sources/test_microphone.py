"""The microphone on a stand-in for PortAudio, for devices that come and go."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from streamer.sources import microphone
from streamer.sources.microphone import (
    InputOverflow,
    Microphone,
    MicrophoneError,
    Reopened,
    devices,
    find_device,
)


class PortAudioError(Exception):
    pass


class FakePortAudio:
    """``plug`` and ``pull`` devices; open streams are called by ``speak``."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.channels = 1
        self.names: list[str] = []
        self.listed: list[str] = []
        self.streams: list[FakeStream] = []
        self.default = SimpleNamespace(device=(-1, -1))
        self.refuse = False

    def plug(self, *names: str) -> None:
        self.names = self.listed = list(names)

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "index": i,
                "name": name,
                "max_input_channels": 0 if name == "speaker" else self.channels,
                "default_samplerate": 48_000.0,
            }
            for i, name in enumerate(self.listed)
        ]

    def _terminate(self) -> None:
        self.listed = []

    def _initialize(self) -> None:
        self.listed = list(self.names)

    def RawInputStream(self, **options: Any) -> FakeStream:
        if self.refuse:
            raise PortAudioError("Device unavailable [PaErrorCode -9985]\nmore")
        self.streams.append(FakeStream(options))
        return self.streams[-1]

    def speak(self, data: bytes, *, overflow: bool = False) -> None:
        """As PortAudio does: from a thread that is not the event loop's."""
        status = SimpleNamespace(input_overflow=overflow)
        call = self.streams[-1].options["callback"]
        thread = threading.Thread(target=call, args=(data, len(data) // 2, None, status))
        thread.start()
        thread.join()


class FakeStream:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.started = self.closed = False

    @property
    def active(self) -> bool:
        if self.closed:
            raise PortAudioError("Invalid stream pointer [PaErrorCode -9988]")
        return self.started

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.closed = True
        self.options["finished_callback"]()
        time.sleep(0.02)  # the event loop runs on meanwhile


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio()
    monkeypatch.setattr(microphone, "_portaudio", lambda: fake)
    return fake


def test_a_device_is_chosen_by_number_or_part_of_its_name(portaudio: FakePortAudio) -> None:
    portaudio.plug("speaker", "Built-in", "USB headset", "USB")
    assert [d.name for d in devices()] == ["Built-in", "USB headset", "USB"]
    assert find_device(2).name == find_device("2").name == "USB headset"
    assert find_device("head").name == "USB headset"
    assert find_device("usb").name == "USB"
    assert find_device(None).name == "Built-in"
    portaudio.default.device = (3, 0)
    assert find_device(None).name == "USB"
    for wanted in ("line in", 0, 9):
        with pytest.raises(MicrophoneError, match=r"no microphone fits.*1: Built-in"):
            find_device(wanted)
    with pytest.raises(MicrophoneError, match=r"several microphones fit 'us'.*2: USB headset"):
        find_device("us")


def test_no_input_at_all(portaudio: FakePortAudio) -> None:
    portaudio.plug("speaker")
    with pytest.raises(MicrophoneError, match="no microphone: connect one"):
        find_device(None)


async def test_a_device_that_another_program_has(portaudio: FakePortAudio) -> None:
    portaudio.plug("USB")
    portaudio.refuse = True
    with pytest.raises(MicrophoneError, match=r"'USB' cannot be opened: .*-9985\];"):
        async with Microphone():
            pass


@pytest.mark.parametrize(
    ("channels", "channel", "opened"),
    [(1, None, 1), (1, 3, 1), (2, None, 2), (6, 0, 6), (32, None, 2), (32, 5, 6)],
)
async def test_the_devices_own_channels_are_opened(
    portaudio: FakePortAudio, channels: int, channel: int | None, opened: int
) -> None:
    portaudio.channels = channels
    portaudio.plug("USB")
    async with Microphone(channel=channel):
        assert portaudio.streams[-1].options["channels"] == opened


async def test_a_channel_that_is_not_there(portaudio: FakePortAudio) -> None:
    portaudio.channels = 6
    portaudio.plug("USB")
    with pytest.raises(MicrophoneError, match="no channel 6: choose one of 0 to 5"):
        async with Microphone(channel=6):
            pass


async def test_xruns_of_the_device_are_told_before_the_sound(portaudio: FakePortAudio) -> None:
    portaudio.plug("USB")
    async with Microphone() as opened:
        portaudio.speak(b"0123")
        portaudio.speak(b"4567", overflow=True)
        heard = [await anext(opened) for _ in range(3)]
    assert heard == [b"0123", InputOverflow(1, 0.0), b"4567"]
    assert opened.overflows == 1


async def test_a_device_that_falls_silent_is_an_error_that_names_it(
    portaudio: FakePortAudio,
) -> None:
    portaudio.plug("USB")
    async with Microphone(silent_s=0.05) as opened:
        portaudio.speak(b"0123")
        assert await anext(opened) == b"0123"
        with pytest.raises(MicrophoneError, match="'USB' stopped: is it still plugged in"):
            await anext(opened)


async def test_a_device_that_portaudio_gives_up_is_an_error_at_once(
    portaudio: FakePortAudio,
) -> None:
    portaudio.plug("USB")
    async with Microphone(silent_s=3600) as opened:
        waiting = asyncio.create_task(anext(opened))
        await asyncio.sleep(0.01)
        await asyncio.to_thread(portaudio.streams[-1].close)
        async with asyncio.timeout(10):
            with pytest.raises(MicrophoneError, match="'USB' stopped"):
                await waiting


async def test_closing_it_fails_nowhere(portaudio: FakePortAudio) -> None:
    failed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    portaudio.plug("USB")
    async with Microphone():
        pass
    await asyncio.sleep(0)
    assert not failed


async def test_a_device_that_comes_back_is_opened_again(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone, "FIRST_DELAY_S", 0.01)
    portaudio.plug("Built-in", "USB")
    async with Microphone("USB", reopen=True, silent_s=0.05) as opened:
        portaudio.plug("Built-in")
        waiting = asyncio.create_task(anext(opened))
        while portaudio.listed != ["Built-in"]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert not waiting.done()
        portaudio.names = ["USB", "Built-in"]  # it is known by its name: its number changed
        reopened = await waiting
        assert isinstance(reopened, Reopened)
        assert reopened.gone_s > 0
        assert opened.device.index == 0
        portaudio.speak(b"0123")
        assert await anext(opened) == b"0123"
