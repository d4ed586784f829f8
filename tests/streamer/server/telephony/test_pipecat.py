"""Our calls are those that Pipecat reads, and what Pipecat writes is a call to us."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peer_environments import environment
from phone_line import Followed, dialled, heard, of, send, verdicts
from telephone import Plivo, Telnyx, Twilio, encoded

from streamer.server.server import Server

PROGRAM = Path(__file__).with_name("pipecat_program.py")
ADDRESSES = {"twilio": Twilio, "telnyx": Telnyx, "plivo": Plivo}


@pytest.fixture(scope="module")
def tried(voice: Any) -> Any:
    """What Pipecat made of a call of each system, and the sound of it."""
    sound = np.round(voice("anna", 3.0, seed=7) * 32767).astype("<i2").tobytes()
    messages = {}
    for name, kind in ADDRESSES.items():
        call = kind(claim="anna")
        *before, stop = call.whole(encoded(sound))
        messages[name] = [json.dumps(one) for one in (*before, call.dtmf("5"), stop)]
    done = subprocess.run(
        [environment("pipecat"), PROGRAM],
        input=json.dumps({"pcm": base64.b64encode(sound).decode(), "messages": messages}),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), sound


@pytest.mark.parametrize("name", ADDRESSES)
def test_pipecat_takes_our_calls_for_those_of_the_system(tried: Any, name: str) -> None:
    told, sound = tried[0][name], np.frombuffer(tried[1], "<i2").astype(float)
    assert told["kind"] == name
    assert told["call"] == ADDRESSES[name]().call
    assert told["digits"] == "5"
    read = np.frombuffer(base64.b64decode(told["read"]), "<i2").astype(float)
    assert 0 <= len(sound) - len(read) < 1600  # its resampler keeps what is not whole yet
    spectra = [np.abs(np.fft.rfft(one[: len(read)]))[: len(read) // 4] for one in (read, sound)]
    assert np.corrcoef(*spectra)[0, 1] > 0.9  # below 4 kHz it is the same sound


@pytest.mark.parametrize("name", ADDRESSES)
async def test_what_pipecat_writes_is_a_call_to_us(
    guarded: Server, desk: Followed, enrolled: None, tried: Any, name: str
) -> None:
    call = ADDRESSES[name](claim="anna", token="phone-secret")
    written = tried[0][name]["written"]
    if name == "plivo":  # which plays what it is sent, and sends the same as `media`
        written = [{**one, "event": "media"} for one in written]
    async with dialled(guarded, f"/v1/{name}") as phone:
        await send(phone, [call.start(), *written, call.stop()])
        assert await heard(phone) == ([], 1000, "")
    told = await desk.closed()
    assert of(told, "summary")[0]["received_s"] == pytest.approx(3.0, abs=0.2)
    assert verdicts(told) == ["match"]
