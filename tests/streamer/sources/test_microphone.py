"""The microphone: real PortAudio on ALSA's file plugin, and a stand-in for what it cannot show."""

from __future__ import annotations

import asyncio
import ctypes.util
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
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

ROOT = Path(__file__).parents[3]
ASOUNDRC = """
pcm.fakemic {{ type file  slave.pcm null  file /dev/null  infile "{sound}"  format raw }}
pcm.null {{ type null }}
"""
RAMP = 30_000  # the sample's value tells its place, up to this many samples

needs_portaudio = pytest.mark.skipif(
    ctypes.util.find_library("portaudio") is None or ctypes.util.find_library("asound") is None,
    reason="PortAudio with ALSA is not installed here (apt install libportaudio2)",
)


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Any]:
    """Runs code in a process whose only sound input is a file, which plays as fast as it is read.

    ``microphone`` is open on it, with ``options``; what the code prints is JSON. ``gains`` are
    those of the ramp on its channels, which are as many as are asked for.
    """
    ramp = np.arange(5_000_000) % RAMP
    (tmp_path / ".asoundrc").write_text(ASOUNDRC.format(sound=tmp_path / "ramp.raw"))

    def run(code: str, *gains: float, options: str = "") -> Any:
        channels = np.round(np.multiply.outer(ramp, gains or (1, 1)))
        (tmp_path / "ramp.raw").write_bytes(channels.astype("<i2").tobytes())
        script = textwrap.dedent("""
            import asyncio, json
            from streamer.sources.microphone import *
            async def main():
                async with Microphone("fakemic", {options}) as microphone:
            {code}
            asyncio.run(main())
        """).format(code=textwrap.indent(textwrap.dedent(code), 8 * " "), options=options)
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


HEAR = """
    sound = b""
    async for piece in microphone:
        if isinstance(piece, bytes):
            sound += piece
        if len(sound) > 40_000:
            break
    device = microphone.device.name, microphone.format.sample_rate
    print(json.dumps([device, list(memoryview(sound).cast("h"))]))
"""


@needs_portaudio
def test_sound_comes_through_portaudio_unchanged(record: Callable[..., Any]) -> None:
    (name, rate), samples = record(HEAR)
    assert (name, rate) == ("fakemic", 44_100)
    assert samples == list(range(samples[0], samples[0] + len(samples)))


@needs_portaudio
@pytest.mark.parametrize(
    ("gains", "options", "gain"),
    [
        ((0, 1), "", 1),  # nothing is plugged into the first
        ((0.1, -1), "", -1),
        ((1, -1), "", 1),  # of opposite phase: their sum would be silence
        ((1, 0.5), "channel=1", 0.5),
        ((1, 0, 1, -0.5), "channel=3", -0.5),
    ],
)
def test_one_channel_of_several_is_heard(
    record: Callable[..., Any], gains: tuple[float, ...], options: str, gain: float
) -> None:
    _, samples = record(HEAR, *gains, options=options)
    heard = np.array(samples[len(samples) // 2 :])  # by then the louder one is known
    ramp = np.arange(heard[0] / gain, heard[0] / gain + len(heard)) % RAMP
    assert np.abs(heard - gain * ramp).max() <= 1
    assert np.ptp(heard) > 1000


@needs_portaudio
def test_sound_that_is_not_read_is_counted_to_the_sample(record: Callable[..., Any]) -> None:
    told = record("""
        import time
        found = []
        async for piece in microphone:
            if not found:
                while microphone._posted - microphone._read < 250 or not microphone._lost_frames:
                    await asyncio.sleep(0.01)
            if isinstance(piece, bytes):
                samples = list(memoryview(piece).cast("h"))
                found.append(["sound", samples[0], len(samples)])
            else:
                found.append(["lost", round(piece.lost_s * microphone.format.sample_rate), 0])
            if len(found) > 300 and any(kind == "lost" for kind, _, _ in found):
                break
        print(json.dumps([microphone.overflows, found]))
    """)
    overflows, found = told
    assert overflows == sum(kind == "lost" for kind, _, _ in found) >= 1
    place = found[0][1]
    for kind, value, length in found:
        if kind == "lost":
            assert value > 0
            place += value
        else:
            assert value == place % RAMP
            place += length


@needs_portaudio
def test_a_machine_without_any_input(tmp_path: Path) -> None:
    code = "from streamer.sources.microphone import find_device; find_device(None)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        pytest.skip("this machine has a microphone")
    assert "MicrophoneError: this machine has no microphone" in done.stderr


# A stand-in for PortAudio, for devices that come and go.


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


def test_without_portaudio_one_line_says_what_to_install() -> None:
    code = textwrap.dedent("""
        import ctypes.util
        ctypes.util.find_library = lambda name: None
        from streamer.sources.microphone import devices
        devices()
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stderr.splitlines()[-1].startswith(
        "streamer.sources.microphone.MicrophoneError: microphones need PortAudio"
        " (PortAudio library not"
    )
    assert "apt install libportaudio2" in done.stderr
