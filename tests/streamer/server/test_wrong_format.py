"""Files and other protocols sent as PCM, on streams and enrolments, and whole numbers."""

from __future__ import annotations

import base64
import io
import json
import secrets
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from streamer.server.server import Server

SAMPLES = np.round(np.sin(np.arange(160) / 9) * 5000).astype("<i2")
SOUND = base64.b64encode(SAMPLES.tobytes()).decode()
TWILIO = {"event": "media", "streamSid": "MZ", "media": {"payload": "//7+"}}


def wav(voice: Any) -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, voice("anna", 1.0), 16_000, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def quiet_sound() -> bytes:
    return np.full(320, 5, "<i2").tobytes()


async def test_a_file_as_sound_is_named_and_refused(server: Server, dial: Any, voice: Any) -> None:
    async with dial(server, claim="") as client:
        await client.sound(wav(voice))
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "wrong-format"
    assert "WAV file" in client.seen[-1]["message"]


async def test_a_file_as_an_enrolment_is_refused(server: Server, dial: Any, voice: Any) -> None:
    consent = {"given": True, "text_version": server.context.config.consent.version}
    async with dial(server, "/v1/enroll") as client:
        await client.say(type="start", name="anna", consent=consent, sample_rate=16000.0)
        await client.sound(wav(voice))
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "wrong-format"


@pytest.mark.parametrize("started", [False, True])
async def test_the_messages_of_twilio_are_named(server: Server, dial: Any, started: bool) -> None:
    async with dial(server, **({"claim": ""} if started else {})) as client:
        await client.say(**TWILIO)
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "wrong-format"
    assert "mulaw" in client.seen[-1]["message"]


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(
    "fields",
    [
        {"type": "input_audio_buffer.append", "audio": SOUND},
        {"message_type": "input_audio_chunk", "audio_base_64": SOUND},
        {"audio_data": SOUND},
    ],
)
async def test_sound_in_json_is_named(
    server: Server, dial: Any, fields: dict[str, str], started: bool
) -> None:
    async with dial(server, **({"claim": ""} if started else {})) as client:
        await client.say(**fields)
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "wrong-format"
    assert "binary messages" in client.seen[-1]["message"]


async def test_sound_as_text_is_named(server: Server, dial: Any) -> None:
    async with dial(server, claim="") as client:
        await client.connection.send(SOUND)
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "wrong-format"
    assert "base64" in client.seen[-1]["message"]


WORDS = [
    ({"eof": 1}, "finalize"),
    ({"type": "CloseStream"}, "finalize"),
    ({"message": "EndOfStream", "last_seq_no": 3}, "finalize"),
    ({"action": "stop"}, "finalize"),
    ({"terminate_session": True}, "finalize"),
    ({"type": "KeepAlive"}, "keepalive"),
    ({"type": "Finalize"}, "turn"),
    ({"type": "ForceEndpoint"}, "turn"),
]


@pytest.mark.parametrize(("fields", "ours"), WORDS)
async def test_another_services_word_is_told_ours(
    server: Server, dial: Any, fields: dict[str, Any], ours: str
) -> None:
    async with dial(server, claim="") as client:
        await client.say(**fields)
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "unknown-control"
    assert "finalize ends the sound" in client.seen[-1]["message"]
    assert f'say {{"type": "{ours}"}}' in client.seen[-1]["message"].replace("and {", "say {")


@pytest.mark.parametrize("kind", ["subscribe", "listen"])
async def test_a_field_is_no_word_of_another_service_beside_a_word(
    server: Server, dial: Any, kind: str
) -> None:
    async with dial(server, claim="") as client:
        await client.say(type=kind, start=5, stop=9)
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "unknown-control"
    assert "in place of" not in client.seen[-1]["message"]


@pytest.mark.parametrize("fields", [{"type": "Terminate"}, {"type": "KeepAlive"}, {"config": {}}])
async def test_another_services_first_word_is_told_ours(
    server: Server, dial: Any, fields: dict[str, Any]
) -> None:
    async with dial(server) as client:
        await client.say(**fields)
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "bad-start"
    assert "in place of" in client.seen[-1]["message"]


@pytest.mark.parametrize(
    ("word", "told"), [("EOS", "finalize"), ("", "empty"), ("ping", "keepalive")]
)
async def test_a_bare_word_is_told_ours(server: Server, dial: Any, word: str, told: str) -> None:
    async with dial(server, claim="") as client:
        await client.connection.send(word)
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "bad-message"
    assert told in client.seen[-1]["message"]


@pytest.mark.parametrize("fields", [{"type": "finalize"}, {"type": "configure", "claim": "anna"}])
@pytest.mark.parametrize("before", [0, 5])
async def test_a_control_in_a_binary_message_is_no_sound(
    server: Server, dial: Any, voice: Any, fields: dict[str, Any], before: int
) -> None:
    async with dial(server, claim="") as client:
        for _ in range(before):  # which wait at the server, and are joined there
            await client.connection.send(quiet_sound())
        await client.connection.send(json.dumps(fields).encode())
        assert await client.rest() == 1003
    assert client.seen[-1]["code"] == "wrong-frame"
    assert "text message" in client.seen[-1]["message"]


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/enroll"])
async def test_a_start_in_a_binary_message_is_told_so(server: Server, dial: Any, path: str) -> None:
    async with dial(server, path) as client:
        await client.connection.send(b'{"type": "start", "sample_rate": 16000}')
        assert await client.rest() == 1003
    assert client.seen[-1]["code"] == "wrong-frame"


async def test_a_file_before_the_start_is_named(server: Server, dial: Any, voice: Any) -> None:
    async with dial(server) as client:
        await client.sound(wav(voice))
        assert await client.rest() == 1003
    assert client.seen[-1]["code"] == "binary-before-start"
    assert "WAV file" in client.seen[-1]["message"]


async def test_samples_that_begin_as_json_are_samples(server: Server, dial: Any) -> None:
    async with dial(server, claim="") as client:
        for _ in range(4):
            await client.connection.send(b"{" + quiet_sound()[1:])
        await client.say(type="finalize")
        assert await client.rest() == 1000


@pytest.mark.parametrize("started", [False, True])
async def test_a_token_in_json_is_no_sound(server: Server, dial: Any, started: bool) -> None:
    async with dial(server, **({"claim": ""} if started else {})) as client:
        await client.say(type="auth", token=base64.b64encode(secrets.token_bytes(96)).decode())
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == ("unknown-control" if started else "bad-start")


@pytest.mark.parametrize("rate", [16000, 16000.0])
async def test_whole_numbers_may_have_a_point(server: Server, dial: Any, rate: float) -> None:
    async with dial(server) as client:
        await client.say(type="start", sample_rate=rate, channels=1.0, channel=0.0, label="7.0")
        assert (await client.hear())["type"] == "ready"
    async with dial(server, sample_rate=str(rate), label="16000.0") as client:
        assert (await client.hear())["type"] == "ready"
    async with dial(server) as client:
        await client.say(type="start", sample_rate=16000.5)
        assert await client.rest() == 1008
    assert client.seen[-1]["code"] == "bad-rate"


async def test_a_form_that_is_suspected_is_told_to_the_client(
    server: Server, dial: Any, enrol: Any, voice: Any
) -> None:
    enrol(server, "anna")
    async with dial(server, claim="anna") as client:
        await client.sound(voice("anna", 4.0).astype("<f4").tobytes())
        await client.say(type="finalize")
        assert await client.rest() == 1000
    assert {d["state"] for d in client.of("decision")} == {"insufficient"}
    assert client.of("decision")[-1]["cause"] == "format-suspect"
    assert all(turn["state"] == "insufficient" for turn in client.of("utterance"))
    assert client.of("quality")[0]["likely"] == "pcm_f32le"


@pytest.mark.parametrize("whole", [True, False])
async def test_floats_beyond_full_scale_say_nothing_against_anybody(
    server: Server, dial: Any, enrol: Any, voice: Any, whole: bool
) -> None:
    enrol(server, "anna")
    sound = np.concatenate([voice("anna", 3.0), np.zeros(24_000), voice("anna", 3.0)]) * 32768
    async with dial(server, claim="anna", encoding="pcm_f32le") as client:
        await client.sound((np.rint(sound) if whole else sound).astype("<f4").tobytes())
        await client.say(type="finalize")
        assert await client.rest() == 1000
    assert {d["state"] for d in client.of("decision")} == {"insufficient"}
    assert {turn["state"] for turn in client.of("utterance")} == {"insufficient"}
    assert "divide them by 32768" in client.of("decision")[-1]["advice"]


async def test_a_later_part_of_a_recording_is_told(server: Server, dial: Any, voice: Any) -> None:
    buffer = io.BytesIO()
    sf.write(buffer, np.tile(voice("anna", 4.0), 8), 48_000, format="OGG", subtype="OPUS")
    async with dial(server, claim="") as client:
        await client.sound(buffer.getvalue()[5001:])
        await client.say(type="finalize")
        assert await client.rest() == 1000
    assert client.of("quality")[0]["likely"] == "compressed"
    assert client.of("utterance") == []
