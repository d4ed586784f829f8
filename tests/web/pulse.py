"""A sound server of its own, whose microphones give a tone and can be plugged and unplugged."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = shutil.which("pulseaudio")
START_S = 30.0


class Devices:
    """The server's microphones. ``environment`` is for the programs that use them."""

    def __init__(self, folder: Path) -> None:
        places = dict.fromkeys(("PULSE_RUNTIME_PATH", "PULSE_STATE_PATH", "HOME"), str(folder))
        self.environment = os.environ | places | {"PULSE_SERVER": f"unix:{folder}/native"}
        self._plugged: list[str] = []

    def plug(self, name: str, rate_hz: int) -> None:
        """One more microphone; it is the default if it is the only one."""
        source = ("module-sine-source", f"source_name={name}", f"rate={rate_hz}")
        self._plugged.append(self.control("load-module", *source))

    def unplug_all(self) -> None:
        """No microphone any more."""
        for module in self._plugged:
            self.control("unload-module", module)
        self._plugged.clear()

    def control(self, *arguments: str) -> str:
        """What `pactl` answers."""
        command = ["pactl", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, check=True)
        return done.stdout.decode().strip()


@contextmanager
def devices(folder: Path) -> Iterator[Devices]:
    """The server, with an output that goes nowhere and no microphone."""
    assert PROGRAM is not None
    folder.chmod(0o700)
    found = Devices(folder)
    command = [PROGRAM, "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    command += ["-L", f"module-native-protocol-unix socket={folder}/native auth-anonymous=1"]
    command += ["-L", "module-null-sink sink_name=nowhere rate=48000"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=found.environment)
    try:
        until = time.monotonic() + START_S
        while not (folder / "native").exists():
            assert process.poll() is None, "the sound server ended"
            assert time.monotonic() < until, "the sound server did not start"
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(START_S)
