"""`listen`, through real PortAudio."""

from __future__ import annotations

import ctypes.util
import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from program import COMMAND, ROOT, Run, lines


def test_no_microphone_to_list_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.sources.microphone.devices", list)
    done = run("listen", "--list-devices")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "no microphone is connected\n"


def test_listening_says_who_speaks_until_it_is_interrupted(
    environment: dict[str, str], recorded: Any, voice: Any, tmp_path: Path
) -> None:
    if ctypes.util.find_library("portaudio") is None or ctypes.util.find_library("asound") is None:
        pytest.skip("PortAudio with ALSA is not installed here (apt install libportaudio2)")
    sound = voice("anna", 8.0, seed=6, rate_hz=44_100)  # the rate that ALSA tells of its plugin
    sound = np.repeat(np.tile(sound, 20), 2)  # on both channels of the device
    (tmp_path / "voice.raw").write_bytes(np.round(32767 * sound).astype("<i2").tobytes())
    (tmp_path / ".asoundrc").write_text(
        f'pcm.fakemic {{ type file slave.pcm null file /dev/null infile "{tmp_path}/voice.raw"'
        " format raw }\npcm.null { type null }\n"
    )
    env = {**os.environ, **environment, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    listed = subprocess.run(
        [*COMMAND, "listen", "--list-devices"], env=env, capture_output=True, text=True, check=True
    )
    assert re.search(r"44\.1 kHz +\d+ ch  fakemic$", listed.stdout, re.MULTILINE)
    wrong = subprocess.run(
        [*COMMAND, "listen", "--device", "usb"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: no microphone fits 'usb'; there are ")
    # It plays as fast as it is read: what the engine cannot take is lost, and said to be.
    command = ["listen", "--json", "--claim", "anna", "--enroll", f"anna={recorded('anna')}"]
    with subprocess.Popen(
        [*COMMAND, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = []
        never = threading.Timer(60, process.kill)  # the sound has no end
        never.start()
        for line in process.stdout:
            told.append(json.loads(line))
            if told[-1]["type"] == "score":
                process.send_signal(signal.SIGINT)
                break
        never.cancel()
        rest, errors = process.communicate(timeout=60)
    told += lines(rest)
    assert process.returncode == 130, errors
    assert {e["speaker"] for e in told if e["type"] == "score"} == {"anna"}
    assert told[-1]["type"] == "summary"
    assert "Traceback" not in errors
