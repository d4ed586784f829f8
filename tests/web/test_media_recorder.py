"""What Chromium's MediaRecorder makes of a microphone, over the socket to the real server.

The microphone plays flite's slt, who is enrolled by the same words as PCM.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf
from encoded import library
from ports import free_port

from tests.web.conftest import Open
from tests.web.test_live import serving
from voxwatch_client import sync

pytestmark = pytest.mark.slow

library()
if not shutil.which("flite"):
    pytest.skip("needs flite to synthesise voices", allow_module_level=True)

WORDS = (
    "The North Wind and the Sun were disputing which was the stronger, when a traveller came "
    "along wrapped in a warm cloak. They agreed that the one who first succeeded in making the "
    "traveller take his cloak off should be considered stronger than the other. Then the North "
    "Wind blew as hard as he could, but the more he blew the more closely did the traveller "
    "fold his cloak around him. And at last the North Wind gave up the attempt."
)

# Records for `seconds`, a piece every 100 ms; with `again` the recorder is stopped halfway, and one
# more follows on the same socket. Gives what the server said, and how many bytes went out.
RECORD = """async ({ query, seconds, again, type }) => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const socket = new WebSocket(`ws://${location.host}/v1/stream?${query}`);
    const told = [];
    const over = new Promise((done) => (socket.onclose = done));
    await new Promise((ready) => {
        socket.onmessage = ({ data }) => {
            told.push(JSON.parse(data));
            if (told.length === 1) ready();
        };
    });
    let sent = 0;
    for (let round = 0; round < (again ? 2 : 1); round++) {
        const recorder = new MediaRecorder(stream, { mimeType: type });
        let sending = Promise.resolve();
        recorder.ondataavailable = ({ data }) => {
            sending = sending.then(async () => {
                const bytes = await data.arrayBuffer();
                sent += bytes.byteLength;
                socket.send(bytes);
            });
        };
        const stopped = new Promise((done) => (recorder.onstop = done));
        recorder.start(100);
        await new Promise((done) => setTimeout(done, (1000 * seconds) / (again ? 2 : 1)));
        recorder.stop();
        await stopped;
        await sending;
    }
    socket.send(JSON.stringify({ type: "finalize" }));
    const { code } = await over;
    for (const track of stream.getTracks()) track.stop();
    return { told, sent, code };
}"""


@dataclass
class Place:
    """A server where Alice is enrolled, and the sound of her reading."""

    url: str
    reading: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("recorder")
    reading = folder / "reading.wav"
    subprocess.run(["flite", "-voice", "slt", "-t", WORDS, "-o", str(reading)], check=True)
    samples, rate_hz = sf.read(reading, dtype="int16")
    with serving(free_port(), folder / "data") as url:
        with sync.control(url) as control:
            version = control.request("status")["consent"]["text_version"]
            assert "opus" in control.request("status")["encodings"]
        with sync.enroll(url, "alice", consent=version, sample_rate=rate_hz) as enrolment:
            enrolment.send(samples.tobytes())
            enrolment.finalize()
            assert [one.__struct_config__.tag for one in enrolment][-1] == "enrolled"
        yield Place(url, reading)


def recorded(visit: Open, place: Place, **how: Any) -> dict[str, Any]:
    visitor = visit(place.url, sound=place.reading, bypass_csp=True)
    query = "claim=alice&encoding=opus"
    found: dict[str, Any] = visitor.page.evaluate(RECORD, {"query": query, "again": False} | how)
    return found


def test_a_browsers_recordings_are_heard_as_they_are_made(visit: Open, place: Place) -> None:
    found = recorded(visit, place, seconds=7, again=True, type="audio/webm;codecs=opus")
    told = found["told"]
    assert found["code"] == 1000, told[-1]
    of = {kind: [one for one in told if one["type"] == kind] for kind in {m["type"] for m in told}}
    assert [one["seq"] for one in told] == list(range(len(told)))
    assert of["summary"][0]["received_s"] == pytest.approx(7.0, abs=0.7)
    assert of["decision"][-1]["state"] == "match"
    assert "error" not in of
    problems = {problem for one in of["quality"] for problem in one["problems"]}
    assert not problems & {"format-suspect", "rate-suspect", "repeated"}
    assert "stalled" not in of
    assert 0 < of["received"][-1]["received_bytes"] <= found["sent"]


def test_a_recording_of_another_kind_is_refused_with_what_to_ask_for(
    visit: Open, place: Place
) -> None:
    found = recorded(visit, place, seconds=1, type="audio/webm;codecs=pcm")
    assert found["told"][-1]["code"] == "wrong-format"
    assert "A_PCM" in found["told"][-1]["message"]
    assert "audio/webm;codecs=opus" in found["told"][-1]["message"]
