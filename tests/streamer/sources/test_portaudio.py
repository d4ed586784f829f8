"""The microphone through the real PortAudio, on ALSA's file plugin, and without any."""

from __future__ import annotations

import ctypes.util
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
