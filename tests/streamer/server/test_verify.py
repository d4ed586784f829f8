"""`POST /v1/verify`: the verdict that a stream's `utterance` gives, and clear refusals."""

# Long: one request, and a test for each thing that it may hold and be answered with.

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import soundfile as sf
from msgspec import structs
from numpy.typing import NDArray
from sound_files import id3_tag, mp3_in_wav

from engine.audio.recording import Recording
from streamer.config import Config
from streamer.server import verify as verify_module
from streamer.server.auth import Token
from streamer.server.http import request, verification
from streamer.server.limits.shares import Shares
from streamer.server.server import Server
from streamer.server.verify import one_of
from voxwatch_client import ServerError, connect, sync, verify
from voxwatch_client.messages import Utterance

Float32 = NDArray[np.float32]
RATE_HZ = 16_000
DECIDE_S = 1.5


def file_of(
    samples: Float32 | NDArray[np.int16], kind: str = "WAV", subtype: str | None = None
) -> bytes:
    body = io.BytesIO()
    sf.write(body, samples, RATE_HZ, format=kind, subtype=subtype)
    return body.getvalue()


def quiet(seconds: float) -> Float32:
    rng = np.random.default_rng(3)
    return rng.normal(0, 1e-3, round(seconds * RATE_HZ)).astype(np.float32)


@pytest.fixture
def command(voice: Callable[..., Float32]) -> Float32:
    return np.concatenate([quiet(0.5), voice("anna", 2.5, seed=4), quiet(0.8)])


async def post(
    server: Server,
    body: bytes = b"",
    *,
    path: str = "/v1/verify",
    head: str = "",
    pieces: int = 1 << 20,
    **query: Any,
) -> tuple[int, Any, str]:
    """Status, decoded JSON and head of the answer; Content-Length unless ``head`` says another."""
    if query:
        path += "?" + urlencode(query)
    if "Transfer-Encoding" not in head and "Content-Length" not in head:
        head += f"Content-Length: {len(body)}\r\n"
    request = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode() + body
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(30):
            for at in range(0, len(request), pieces):
                writer.write(request[at : at + pieces])
                await writer.drain()
                if pieces < 100:
                    await asyncio.sleep(0)
            answer = await reader.read()
    finally:
        writer.transport.abort()
    told, _, rest = answer.decode().partition("\r\n\r\n")
    return int(told.split()[1]), json.loads(rest) if rest[:1] == "{" else rest, told


def places(server: Server) -> Shares:
    """Those of recordings that are being judged."""
    route, _ = server._plain._routes.find("POST", "/v1/verify")
    found: Shares = route.answer.__self__.places
    return found


async def utterances(server: Server, pcm: bytes, **options: Any) -> list[Utterance]:
    async with connect(server.url, **options) as stream:
        await stream.send(pcm)
        await stream.finalize()
        return [event async for event in stream if isinstance(event, Utterance)]


@pytest.mark.parametrize("claim", ["anna", "bert", ""])
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "raw"])
async def test_the_verdict_is_that_of_a_stream(
    server: Server, enrol: Any, command: Float32, claim: str, kind: str
) -> None:
    enrol(server, "anna")
    enrol(server, "bert")
    pcm = np.round(command * 32767).astype("<i2")
    asked = {"encoding": "pcm_s16le", "sample_rate": RATE_HZ} if kind == "raw" else {}
    body = pcm.tobytes() if kind == "raw" else file_of(pcm, kind, "PCM_16")
    (told,) = await utterances(server, pcm.tobytes(), claim=claim, false_accept=0.02)
    verdict = await verify(server.url, body, claim=claim, false_accept=0.02, **asked)
    assert verdict.state == ("mismatch" if claim == "bert" else "match")
    for name in Utterance.__struct_fields__:
        ours, theirs = getattr(verdict, name), getattr(told, name)
        if isinstance(theirs, float):
            assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3), name
        elif name not in ("seq", "at_time", "voice", "reason", "advice"):
            assert ours == theirs, name
    assert verdict.claims == ((claim,) if claim else ())
    assert verdict.bounds.false_accept == 0.02
    assert verdict.received_s == pytest.approx(len(command) / RATE_HZ, abs=0.01)
    assert verdict.model.name == server.context.model.name


async def test_opus_and_the_client_without_asyncio(
    server: Server, enrol: Any, command: Float32
) -> None:
    enrol(server, "anna")
    body = file_of(command, "OGG", "OPUS")
    verdict = await asyncio.to_thread(sync.verify, server.url, body, claim=["anna"])
    assert (verdict.state, verdict.speaker) == ("match", "anna")
    with pytest.raises(ServerError, match="eve") as caught:
        await verify(server.url, body, claim="eve")
    assert caught.value.code == "unknown-speaker"


async def test_a_channel_is_chosen(server: Server, enrol: Any, command: Float32) -> None:
    enrol(server, "anna")
    both = np.stack([quiet(len(command) / RATE_HZ), command], axis=1)
    body = file_of(both)
    assert (await verify(server.url, body, claim="anna", channel=1)).state == "match"
    status, told, _ = await post(server, body, claim="anna")
    assert (status, told["error"]["code"]) == (400, "bad-parameter")
    status, told, _ = await post(server, body, claim="anna", channel=0)
    assert (status, told["error"]["code"]) == (422, "no-speech")


@pytest.mark.parametrize("channels", [1, 2])
async def test_decoding_stops_when_nobody_waits_for_it(
    server: Server,
    command: Float32,
    monkeypatch: pytest.MonkeyPatch,
    channels: int,
) -> None:
    decoded, go_on, ended = [], threading.Event(), threading.Event()
    blocks = Recording.blocks

    def slow(self: Recording, frames: int) -> Iterator[Float32]:
        try:
            for block in blocks(self, frames):
                decoded.append(len(block))
                go_on.wait(10)
                yield block
        finally:
            ended.set()

    monkeypatch.setattr(Recording, "blocks", slow)
    monkeypatch.setattr(verify_module, "PATIENCE_S", 0.2)
    body = file_of(np.stack(channels * [command], axis=1))
    status, told, _ = await post(server, body)
    assert (status, told["error"]["code"]) == (503, "overloaded")
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 10)
    assert len(decoded) == 1


async def test_no_speech_in_sound_of_another_format_is_told_as_that(
    server: Server, enrol: Any, command: Float32
) -> None:
    enrol(server, "anna")
    declared = {"encoding": "pcm_s16le", "sample_rate": RATE_HZ}
    body = command.astype("<f4").tobytes()
    status, told, _ = await post(server, body, claim="anna", **declared)
    assert (status, told["error"]["code"]) == (415, "wrong-format")
    assert "encoding=pcm_f32le" in told["error"]["message"]


async def test_a_form_is_told_what_to_send_before_it_is_read(server: Server) -> None:
    form = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 999\r\n"
    status, told, _ = await post(server, head=form)
    assert (status, told["error"]["code"]) == (415, "wrong-format")
    assert "--data-binary @FILE" in told["error"]["message"]


async def test_who_speaks_first_lets_nobody_else_in(
    server: Server, enrol: Any, voice: Callable[..., Float32]
) -> None:
    enrol(server, "anna")
    enrol(server, "bert")
    anna, bert = voice("anna", 2.5, seed=4), voice("bert", 2.5, seed=6)
    for parts in ((anna, bert), (bert, anna)):
        body = file_of(np.concatenate([parts[0], quiet(1.5), parts[1], quiet(0.8)]))
        claimed = await verify(server.url, body, claim="anna")
        assert claimed.state != "match"
        assert "mismatch" in [turn.state for turn in claimed.turns]
        asked = await verify(server.url, body)
        assert asked.state != "match"
    pauses = [quiet(0.9) if i % 2 else voice("anna", 2.0, seed=i) for i in range(6)]
    verdict = await verify(server.url, file_of(np.concatenate(pauses)), claim="anna")
    assert [turn.state for turn in verdict.turns] == ["uncertain"] * 3  # each by itself
    assert (verdict.state, verdict.speaker) == ("match", "anna")
    assert isinstance(verdict.at_time, str)  # as a turn's: this verdict is on several
    assert verdict.speech_s == pytest.approx(sum(turn.speech_s for turn in verdict.turns))


async def test_what_is_wrong_with_a_file_is_told_with_its_verdict(
    server: Server, enrol: Any, command: Float32
) -> None:
    enrol(server, "anna")
    body = file_of(command)
    whole = await verify(server.url, body, claim="anna")
    twice = await verify(server.url, 2 * body, claim="anna")
    assert whole.warnings == ()
    (told,) = twice.warnings
    assert told == "the recording: holds 2 recordings, one after the other: all are read"


@pytest.mark.parametrize("kind", ["WAV", "AU"])  # one of them is decoded in a process of its own
async def test_both_channels_of_one_sound_are_told(
    server: Server, enrol: Any, command: Float32, kind: str
) -> None:
    enrol(server, "anna")
    verdict = await verify(server.url, file_of(np.stack([command] * 2, axis=1), kind), claim="anna")
    assert verdict.warnings == ("both channels hold the same sound, or one nothing: 0 is read",)


def turn(state: Any, speaker: str | None, evidence: float, start: float = 0.0) -> Utterance:
    return Utterance(
        t=9, start=start, end=start + 1, speech_s=2, state=state, speaker=speaker, llr=evidence,
        evidence=evidence,
    )  # fmt: skip


@pytest.mark.parametrize(("words", "state"), [(1, "uncertain"), (2, "uncertain"), (3, "mismatch")])
def test_a_word_that_is_unlike_its_speaker_leaves_a_recording_open(words: int, state: str) -> None:
    anna = structs.replace(turn("match", "anna", 8.0), speech_s=28.0)
    word = structs.replace(turn("mismatch", "anna", -5.6, 4.0), speech_s=0.5)
    told = one_of([anna, *([word] * words)], turn("match", "anna", 6.6), DECIDE_S)
    assert told.state == state
    assert told.reason.startswith("another voice from 4.0 to 5.0 s; " if words < 3 else "another")
    assert told.cause == ("another-voice" if words < 3 else None)


def test_one_verdict_on_several_turns() -> None:
    overall = turn("match", "anna", 9.0)
    anna, bert = turn("match", "anna", 8.0), turn("match", "bert", 7.0)
    doubt, stranger = turn("uncertain", None, 1.0), turn("mismatch", "anna", -7.0, 4.0)
    assert one_of([doubt], overall, DECIDE_S) == doubt
    assert one_of([anna, doubt], overall, DECIDE_S) == overall
    assert one_of([anna, bert], overall, DECIDE_S).state == "uncertain"
    assert one_of([anna, stranger], overall, DECIDE_S).state == "mismatch"
    assert one_of([anna, stranger], overall, DECIDE_S).start == 4.0
    assert one_of([anna, turn("unknown", None, -3)], overall, DECIDE_S).state == "unknown"
    assert one_of([anna, stranger], turn("uncertain", "anna", 2.0), DECIDE_S).state == "uncertain"


def open_turn(cause: Any, speaker: str | None = "anna", **fields: Any) -> Utterance:
    said = turn("uncertain", speaker, 3.5)
    return structs.replace(said, cause=cause, advice=f"it is {cause}", attainable_llr=3.6, **fields)


def test_doubt_about_several_voices_says_so_and_asks_for_no_other_enrolment() -> None:
    """What the calibration foresees of the sum of two voices is of nobody."""
    anna, stranger = turn("match", "anna", 7.0), turn("mismatch", "anna", -8.0, 7.8)
    mixed = one_of([anna, stranger], open_turn("near-bound"), DECIDE_S)
    assert (mixed.state, mixed.speaker, mixed.cause) == ("uncertain", "anna", "another-voice")
    assert mixed.advice == "another voice from 7.8 to 8.8 s: send what each says by itself"
    assert mixed.reason.startswith("another voice from 7.8 to 8.8 s; ")
    assert mixed.attainable_llr is None
    bert = turn("match", "bert", 7.0)
    for overall in (turn("match", "anna", 9.0), open_turn("like-voices", None)):
        several = one_of([anna, bert], overall, DECIDE_S)
        assert (several.state, several.speaker) == ("uncertain", None)
        assert several.cause == "another-voice"
        assert several.advice.startswith("several voices: ")
        assert "bert" in several.advice
    assert one_of([anna, anna], open_turn("near-bound"), DECIDE_S).cause == "near-bound"


def test_doubt_about_the_sound_of_a_turn_is_doubt_about_the_recording() -> None:
    poor = open_turn("noisy", problems=("noisy",))
    told = one_of([open_turn("more-speech"), poor], open_turn("saturated"), DECIDE_S)
    assert (told.cause, told.advice, told.problems) == ("noisy", "it is noisy", ("noisy",))
    sure = turn("match", "anna", 9.0)
    assert one_of([poor, poor], sure, DECIDE_S) == structs.replace(sure, problems=("noisy",))


def test_what_noise_lets_one_turn_come_to_is_not_said_of_the_recording() -> None:
    """Another turn may have been heard better, and all of them tell more than each."""
    foreseen = open_turn("noisy")
    for cause in ("more-speech", "short-enrolment", "near-bound"):
        assert (
            one_of([foreseen, open_turn("more-speech")], open_turn(cause), DECIDE_S).cause == cause
        )
    poor = open_turn("quiet", problems=("quiet",))
    assert one_of([foreseen, poor], open_turn("more-speech"), DECIDE_S).cause == "quiet"


RARER = ["AIFF", "CAF", "AU", "RF64", "W64", "NIST", "RIFX", "MP3 in WAV"]
CODECS = [("WAV", "MS_ADPCM"), ("WAV", "IMA_ADPCM"), ("AIFF", "IMA_ADPCM"), ("CAF", "ALAC_16")]
CODECS += [("WAV", "GSM610"), ("W64", "MS_ADPCM")]


@pytest.mark.parametrize("form", RARER)
async def test_what_commands_read_is_read_here(
    server: Server, enrol: Any, command: Float32, form: str
) -> None:
    enrol(server, "anna")
    if form == "RIFX":
        body = io.BytesIO()
        sf.write(body, command, RATE_HZ, "PCM_16", "BIG", "WAV")
        sent = body.getvalue()
    else:
        sent = mp3_in_wav(command) if form == "MP3 in WAV" else file_of(command, form)
    assert Recording(sent).frames == len(command) or form == "MP3 in WAV"
    told = await verify(server.url, sent, claim="anna")
    assert told.received_s == pytest.approx(len(command) / RATE_HZ, abs=0.15)
    # This little model knows voices by their spectrum, which codecs change.
    assert told.speaker == "anna"
    assert told.state == "match" or form == "MP3 in WAV"


@pytest.mark.parametrize(("form", "subtype"), CODECS)
async def test_encodings_that_commands_read_are_read_here(
    server: Server, enrol: Any, command: Float32, form: str, subtype: str
) -> None:
    enrol(server, "anna")
    told = await verify(server.url, file_of(command, form, subtype), claim="anna")
    assert told.received_s == pytest.approx(len(command) / RATE_HZ, abs=0.15)
    assert told.speaker == "anna"


@pytest.mark.parametrize("form", ["FLAC", "OGG"])
async def test_a_tag_in_front_is_no_mp3(
    server: Server, enrol: Any, command: Float32, form: str
) -> None:
    enrol(server, "anna")
    tag = id3_tag()
    told = await verify(server.url, tag + file_of(command, form), claim="anna")
    assert told.received_s == pytest.approx(len(command) / RATE_HZ, abs=0.15)


LONG = b"\0" * (61 * 2 * RATE_HZ)
REFUSED: list[tuple[bytes, dict[str, Any], int, str, str]] = [
    (b"", {}, 422, "bad-sound", "empty"),
    (b"FORM" + bytes(99), {}, 422, "bad-sound", "not a sound file"),
    (b"MThd" + bytes(99), {}, 415, "wrong-format", "a MIDI file"),
    (file_of(quiet(0.1), "AIFF"), {"sample_rate": 16000}, 415, "wrong-format", "is an AIFF file"),
    (file_of(quiet(0.1), "AIFF", "DWVW_16"), {}, 415, "wrong-format", "DWVW_16"),
    (b"hello", {}, 415, "wrong-format", "no WAV, FLAC or Ogg"),
    (b"RIFF\x24\0\0\0WAVEfmt ", {}, 422, "bad-sound", "not a sound file"),
    (b"OggS" + bytes(200), {}, 422, "bad-sound", "damaged"),
    (file_of(quiet(0.1)), {"sample_rate": 16000}, 415, "wrong-format", "is a WAV file"),
    (file_of(quiet(0.1), "WAV", "G721_32"), {}, 415, "wrong-format", "G721_32"),
    (file_of(quiet(1.0))[:-999], {}, 422, "bad-sound", "cut short"),
    (file_of(quiet(31)) + file_of(quiet(31)), {}, 413, "recording-too-long", "60 s"),
    (file_of(quiet(1.0)), {}, 422, "no-speech", "nobody speaks"),
    (LONG, {"sample_rate": 16000}, 413, "recording-too-long", "60 s"),
    (file_of(quiet(61), "FLAC"), {}, 413, "recording-too-long", "60 s"),
    (bytes(100), {"encoding": "mp3"}, 400, "unknown-encoding", "mp3"),
    (bytes(100), {"sample_rate": 1}, 400, "bad-rate", "8000"),
    (bytes(100), {"channels": 2, "channel": 2}, 400, "bad-parameter", "from 0 to 1"),
    (bytes(100), {"false_accept": 2}, 400, "bad-parameter", "false_accept"),
    (bytes(100), {"speaker": "anna"}, 400, "bad-parameter", "unknown in the address: 'speaker'"),
    (bytes(100), {"clam": "a", "Rate": 1}, 400, "bad-parameter", "'Rate', 'clam'; known are chan"),
    (bytes(100), {"claim": "eve"}, 404, "unknown-speaker", "eve"),
    (b"\0\0\x80\x7f" * 99, {"encoding": "pcm_f32le"}, 422, "bad-sound", "not finite"),
]


@pytest.mark.parametrize(("body", "query", "status", "code", "words"), REFUSED)
async def test_what_is_refused_is_named(
    server: Server, body: bytes, query: dict[str, Any], status: int, code: str, words: str
) -> None:
    answered, told, head = await post(server, body, **query)
    assert (answered, told["error"]["code"]) == (status, code)
    assert words in told["error"]["message"]
    assert "application/json" in head
    assert server.context.counts.errors[code] == 1
    assert not len(server.streams)


async def test_too_much_is_refused_whether_or_not_it_is_said_before(
    settings: Callable[..., Config],
) -> None:
    chunked = "Transfer-Encoding: chunked\r\n"
    async with Server(settings(limits={"verify_bytes": 50_000}), drain_s=1.0) as server:
        status, told, _ = await post(server, head="Content-Length: 50001\r\n")
        assert (status, told["error"]["code"]) == (413, "message-too-big")
        body = b"%x\r\n%s\r\n" % (30_000, bytes(30_000))
        status, told, _ = await post(server, 3 * body + b"0\r\n\r\n", head=chunked)
        assert (status, told["error"]["code"]) == (413, "message-too-big")
        status, told, _ = await post(server, body + b"0\r\n\r\n", head=chunked)
        assert (status, told["error"]["code"]) == (415, "wrong-format")


async def test_a_request_may_come_in_crumbs_and_wait_to_be_asked(
    server: Server, enrol: Any, command: Float32
) -> None:
    enrol(server, "anna")
    body = file_of(command[: 2 * RATE_HZ])
    status, told, _ = await post(server, body[:99], pieces=1)
    assert (status, told["error"]["code"]) == (422, "bad-sound")
    head = f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n"
    _, _, told_first = await post(server, body, head=head, claim="anna")
    assert told_first.startswith("HTTP/1.1 100 Continue")


async def test_it_needs_the_role_of_streams(
    settings: Callable[..., Config], enrol: Any, command: Float32, dial: Any
) -> None:
    def token(name: str, role: Any) -> Token:
        return Token(name=name, roles=(role,), sha256=hashlib.sha256(name.encode()).hexdigest())

    body = file_of(command)
    tokens = (token("streamer", "stream"), token("watcher", "monitor"))
    async with Server(settings(tokens=tokens), drain_s=1.0) as server:
        enrol(server, "anna")
        for head in ("", "Authorization: Bearer watcher\r\n", "Authorization: Bearer x\r\n"):
            status, told, _ = await post(server, body, head=head, claim="anna")
            assert (status, told["error"]["code"]) == (401, "unauthorised")
        assert (await verify(server.url, body, claim="anna", token="streamer")).state == "match"
        async with dial(server, "/v1/control") as wire:
            await wire.ask(type="authenticate", token="streamer")
            minted = await wire.ask(type="url_token", role="stream")
        for status in (200, 401):  # once
            told = await post(server, body, claim="anna", token=minted["token"])
            assert told[0] == status
    async with Server(settings(), drain_s=1.0) as server:
        status, told, _ = await post(server, body, head="Origin: https://evil.example\r\n")
        assert (status, told["error"]["code"]) == (403, "forbidden-origin")


async def test_others_wait_and_are_told_when_to_come_back(
    settings: Callable[..., Config],
    enrol: Any,
    command: Float32,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = file_of(command)
    async with Server(settings(limits={"verifications": 1}), drain_s=1.0) as server:
        enrol(server, "anna")
        verdicts = await asyncio.gather(*(verify(server.url, body, claim="anna") for _ in "123"))
        assert {verdict.state for verdict in verdicts} <= {"match"}
        monkeypatch.setattr(verification, "PLACE_S", 0.1)
        slow = await asyncio.open_connection("127.0.0.1", server.port)
        slow[1].write(b"POST /v1/verify HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        while not places(server).full:
            await asyncio.sleep(0.01)
        status, told, head = await post(server, body)
        assert (status, told["error"]["code"]) == (503, "overloaded")
        assert "Retry-After: 1" in head
        slow[1].transport.abort()
        while places(server).full:
            await asyncio.sleep(0.01)
        assert (await post(server, body))[0] == 200


async def test_who_holds_bodies_back_keeps_out_no_other(
    settings: Callable[..., Config], enrol: Any, command: Float32
) -> None:
    tokens = [
        Token(name=name, roles=("stream",), sha256=hashlib.sha256(name.encode()).hexdigest())
        for name in ("one", "two")
    ]
    held = b"POST /v1/verify HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer one\r\n"
    async with Server(settings(tokens=tokens, limits={"verifications": 4}), drain_s=0.1) as server:
        enrol(server, "anna")
        slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(8)]
        for _, writer in slow:
            writer.write(held + b"Content-Length: 9\r\n\r\n")
        while len(places(server)) < 3:
            await asyncio.sleep(0.01)
        head = "Authorization: Bearer two\r\n"
        assert (await post(server, file_of(command), head=head, claim="anna"))[0] == 200
        for _, writer in slow:
            writer.transport.abort()


async def test_a_body_that_does_not_come_is_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "BODY_S", 0.1)
    status, told, _ = await post(server, head="Content-Length: 9\r\n")
    assert (status, told["error"]["code"]) == (408, "idle")


async def test_a_server_that_stops_judges_what_it_has_and_takes_no_more(
    settings: Callable[..., Config], enrol: Any, command: Float32
) -> None:
    body = file_of(command)
    head = f"POST /v1/verify?claim=anna HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    async with Server(settings(), drain_s=60.0) as server:
        enrol(server, "anna")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head.encode() + body[:100])
        while not len(server._plain):
            await asyncio.sleep(0.01)
        ending = asyncio.create_task(server._drain())
        writer.write(body[100:])
        answer = await reader.read()
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["state"] == "match"
        writer.transport.abort()
        await ending
