"""The server over real sockets: a stream from start to summary, control, roles, the log."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from server_requests import bearer, get, token
from websockets.exceptions import InvalidStatus
from wire_messages import decode

from engine.errors import BundleError, VoxwatchError
from engine.model.bundle import Bundle, write_bundle
from streamer.config import Config
from streamer.server.server import Server


async def test_a_model_without_calibration_is_refused_at_the_start(
    settings: Callable[..., Config], spectral_bundle: Bundle, tmp_path: Path
) -> None:
    manifest = msgspec.structs.replace(spectral_bundle.manifest, calibration=None)
    write_bundle(tmp_path / "bare", manifest, spectral_bundle.model_files())
    config = msgspec.structs.replace(settings(), bundle=tmp_path / "bare")
    with pytest.raises(BundleError, match="not calibrated: run `voxwatch calibrate`"):
        async with Server(config, drain_s=1.0):
            pass


async def test_a_claim_from_start_to_summary(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    async with dial(server, claim="anna", label="desk 3") as client:
        ready = await client.hear()
        assert decode(json.dumps(ready))
        assert (ready["type"], ready["seq"], ready["mode"]) == ("ready", 0, "verify")
        assert (ready["claims"], ready["received_bytes"], ready["resumed"]) == (["anna"], 0, False)
        assert ready["bounds"]["accept_llr"] > 0 > ready["bounds"]["reject_llr"]
        await client.sound(pcm("anna", 5.0) + pcm("bert", 6.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    for message in client.seen:
        decode(json.dumps(message))
    assert [m["seq"] for m in client.seen] == list(range(len(client.seen)))
    assert client.seen[-1]["type"] == "summary"
    assert client.seen[-1]["received_s"] == pytest.approx(11.0)
    states = [m["state"] for m in client.of("decision")]
    assert "match" in states
    assert states[-1] == "mismatch"
    assert {m["speaker"] for m in client.of("score")} == {"anna"}
    assert client.of("change")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (b"\0" * 640, "bad-message"),
        (b"", "bad-message"),
        ("no JSON", "bad-message"),
        ('{"type": "louder"}', "unknown-control"),
        ('{"type": "configure", "claim": "nobody"}', "unknown-speaker"),
    ],
)
async def test_what_comes_after_finalize_takes_no_verdict_away(
    server: Server, dial: Any, enrol: Any, pcm: Any, more: str | bytes, code: str
) -> None:
    enrol(server, "anna")
    async with dial(server, claim="anna") as client:
        await client.sound(pcm("anna", 5.0))
        await client.say(type="finalize")
        for _ in range(3):
            await client.connection.send(more)
        assert await client.rest() == 1008
    (turn,) = client.of("utterance")
    assert turn["state"] == "match"
    *_, summary, error = client.seen
    assert summary["type"] == "summary"
    assert summary["received_s"] == pytest.approx(5.0)
    assert summary["match_s"] > 0
    assert (error["type"], error["code"]) == ("error", code)


async def test_a_first_message_starts_as_well_and_nobody_enrolled_means_changes(
    server: Server, dial: Any, pcm: Any
) -> None:
    async with dial(server) as client:
        await client.say(type="start", encoding="pcm_s16le", sample_rate=16000)
        assert (await client.hear())["mode"] == "changes"
        await client.sound(pcm("anna", 3.0))
        await client.say(type="close")
        assert await client.rest() == 1000
    assert client.of("summary")
    assert not client.of("score")


async def test_who_is_it_names_the_best_and_tells_no_list(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    enrol(server, "bert")
    async with dial(server, encoding="pcm_s16le") as client:
        ready = await client.hear()
        assert (ready["mode"], ready["claims"]) == ("identify", [])
        await client.sound(pcm("bert", 5.0))
        await client.say(type="finalize")
        await client.rest()
    assert client.of("decision")[-1]["speaker"] == "bert"
    assert client.of("score")[-1]["runner_up"] == "anna"


async def test_bounds_and_claim_change_while_it_runs(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    enrol(server, "bert")
    async with dial(server, claim="anna") as client:
        before = (await client.hear())["bounds"]
        await client.say(type="configure", false_accept=0.001)
        told = await client.until("configured")
        assert told["bounds"]["accept_llr"] > before["accept_llr"]
        assert told["bounds"]["miss"] == before["miss"]
        await client.say(type="configure", claim="bert")
        told = await client.until("configured")
        assert (told["mode"], told["claims"]) == ("verify", ["bert"])
        await client.sound(pcm("bert", 4.0))
        await client.until("score", speaker="bert")
        await client.say(type="configure", claim="")
        assert (await client.until("configured"))["mode"] == "identify"


async def test_control_answers(server: Server, dial: Any, enrol: Any) -> None:
    enrol(server, "anna")
    async with dial(server, "/v1/control") as control, dial(server, claim="anna") as stream:
        ready = await stream.hear()
        status = await control.ask(type="status")
        assert status["auth_required"] is False
        assert status["consent"]["text_version"] == "2026-11"
        assert [how_long for _, how_long in status["consent"]["kept"]] == [
            "until it is deleted",
            "30 days",
        ]
        assert (status["streams"], status["stats"]["streams"]) == (1, 1)
        assert status["limits"]["idle_s"] == 60
        (profile,) = await control.ask(type="profiles")
        assert (profile["name"], profile["usable"], profile["prototypes"]) == ("anna", True, 1)
        found = await control.ask(type="profile", name="anna")
        assert found == profile | {"like_voices": []}
        assert (await control.ask(type="export", name="anna"))["prototypes"]
        (open_stream,) = await control.ask(type="streams")
        assert open_stream["stream"] == ready["stream"]
        assert ready["session"] not in json.dumps(open_stream)
        assert (await control.ask(type="profile", name="eve"))["code"] == "unknown-speaker"
        assert (await control.ask(type="sing"))["code"] == "unknown-control"
        await control.connection.send("not json")
        assert (await control.hear())["error"]["code"] == "bad-message"
        assert await control.ask(type="delete", name="anna") == {}
        assert await control.ask(type="profiles") == []


async def test_plain_http(server: Server) -> None:
    assert (await get(server, "/healthz")).text == "ok\n"
    assert (await get(server, "/readyz")).status == 200
    page = await get(server, "/")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert f"ws://127.0.0.1:{server.port}" in page.headers["Content-Security-Policy"]
    assert "'unsafe" not in page.headers["Content-Security-Policy"]
    assert (await get(server, "/v1/stream")).status == 426
    for path in ("/nothing", "/../../etc/passwd", "/%2e%2e/etc/passwd", "/%00", "/assets/"):
        assert (await get(server, path)).status == 404
    assert (await get(server, "/%ff")).status == 400
    foreign = {"Host": "evil.example:8765"}  # a page of that name which points here
    assert (await get(server, "/metrics", foreign)).status == 403
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"405"
    writer.close()


async def test_metrics_count_and_name_nobody(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    async with dial(server, claim="anna", label="secret-label") as client:
        await client.sound(pcm("anna", 3.0))
        await client.say(type="finalize")
        await client.rest()
    text = (await get(server, "/metrics")).text
    assert 'voxwatch_connections_total{path="/v1/stream"} 1.0' in text
    assert "voxwatch_sound_seconds_total 3.0" in text
    assert "voxwatch_windows_total" in text
    assert "anna" not in text
    assert "secret-label" not in text


async def test_roles(settings: Callable[..., Config], dial: Any, enrol: Any) -> None:
    tokens = (token("s", "stream"), token("e", "enrol"), token("m", "monitor"), token("a", "admin"))
    async with Server(settings(tokens=tokens), drain_s=1.0) as server:
        enrol(server, "anna")
        for path, name in (("/v1/stream", "e"), ("/v1/enroll", "s"), ("/v1/monitor", "s")):
            for headers in (None, bearer("wrong"), bearer(name)):
                with pytest.raises(InvalidStatus) as caught:
                    async with dial(server, path, headers=headers):
                        pass
                assert caught.value.response.status_code == 401
        assert (await get(server, "/metrics")).status == 401
        assert (await get(server, "/metrics", bearer("m"))).status == 200
        async with dial(server, headers=bearer("s"), claim="anna") as stream:
            assert (await stream.hear())["type"] == "ready"
        async with dial(server, "/v1/control") as control:
            status = await control.ask(type="status")
            assert status["auth_required"] is True
            assert "stats" not in status
            assert (await control.ask(type="profiles"))["code"] == "unauthorised"
            assert (await control.ask(type="authenticate", token="e"))["roles"] == ["enrol"]
            assert await control.ask(type="profiles")
            assert (await control.ask(type="delete", name="anna"))["code"] == "unauthorised"
            assert (await control.ask(type="url_token", role="stream"))["code"] == "unauthorised"
            assert (await control.ask(type="authenticate", token="s"))["roles"] == [
                "enrol",
                "stream",
            ]
            minted = await control.ask(type="url_token", role="stream")
        async with dial(server, claim="anna", token=minted["token"]) as stream:
            assert (await stream.hear())["type"] == "ready"
        with pytest.raises(InvalidStatus):
            async with dial(server, claim="anna", token=minted["token"]):
                pass
        async with dial(server, "/v1/control") as control:
            for _ in range(5):
                assert (await control.ask(type="authenticate", token="no"))["code"]
            assert await control.rest() == 1008


async def test_foreign_origins_are_refused(server: Server, dial: Any) -> None:
    own = f"http://127.0.0.1:{server.port}"
    async with dial(server, headers={"Origin": own}, claim="") as client:
        assert (await client.hear())["type"] == "ready"
    for origin in ("https://evil.example", "null"):
        with pytest.raises(InvalidStatus) as caught:
            async with dial(server, headers={"Origin": origin}):
                pass
        assert caught.value.response.status_code == 403


async def test_a_port_in_use_is_a_clear_error(
    server: Server, settings: Callable[..., Config], tmp_path: Any
) -> None:
    second = msgspec.structs.replace(settings(), port=server.port, data_dir=tmp_path / "second")
    with pytest.raises(VoxwatchError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        async with Server(second):
            pass


async def test_the_log_has_public_ids_and_nothing_personal(
    server: Server, dial: Any, enrol: Any, pcm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    enrol(server, "anna")
    async with dial(server, claim="anna", label="her phone", token="t0ken") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 3.0))
        await client.say(type="finalize")
        await client.rest()
    async with asyncio.timeout(10):
        await server.streams.empty()
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("voxwatch"))
    assert f"stream {ready['stream']} opened" in ours
    assert f"stream {ready['stream']} closed" in ours
    for secret in ("anna", "her phone", "t0ken", ready["session"], "127.0.0.1"):
        assert secret not in ours


def test_it_runs_on_uvloop(settings: Callable[..., Config], dial: Any, pcm: Any) -> None:
    """The loop of `voxwatch serve` where there is one; it differs from asyncio's in details."""
    uvloop = pytest.importorskip("uvloop", reason="there is no uvloop for Windows")

    async def stream() -> list[str]:
        async with Server(settings(), drain_s=1.0) as server, dial(server, claim="") as client:
            await client.sound(pcm("anna", 4.0))
            await client.say(type="finalize")
            assert await client.rest() == 1000
            return [message["type"] for message in client.seen]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        said = runner.run(stream())
    assert said[0] == "ready"
    assert said[-1] == "summary"


async def test_a_client_marks_turns_and_mutes_its_own_loudspeaker(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    async with dial(server, claim="anna") as client:
        await client.sound(pcm("anna", 2.0))
        await client.say(type="turn")
        await client.sound(pcm("anna", 2.0, seed=1))
        await client.say(type="mute", on=True)
        await client.sound(pcm("bert", 3.0))
        await client.say(type="mute", on=False)
        await client.say(type="reset")
        await client.sound(pcm("anna", 2.0, seed=2))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    turns = [(turn["start"], turn["end"]) for turn in client.of("utterance")]
    assert turns == [
        (pytest.approx(0.0, abs=0.2), 2.0),
        (2.0, 4.0),
        (7.0, pytest.approx(9.0, abs=0.2)),
    ]
    assert "the speaker so far was forgotten" in {d["reason"] for d in client.of("decision")}


async def test_a_stream_whose_time_cannot_pass_ends_and_the_others_go_on(
    server: Server, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dial(server, claim="") as good, dial(server, claim="") as bad:
        await good.hear()
        told = await bad.hear()
        (broken,) = (one for one in server.streams.all() if one.id == told["stream"])

        def fails(now: float) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(broken.record, "pass_time", fails)
        assert await bad.rest() == 1011
        assert bad.seen[-1]["code"] == "engine-failed"
        assert bad.of("summary")
        await good.say(type="finalize")
        assert await good.rest() == 1000
