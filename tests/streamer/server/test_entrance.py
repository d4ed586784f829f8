"""Who may come in, under which name, through which proxy, how often, and with which headers."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from server_requests import bearer, get, token
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from streamer.config import Config, ConfigError, check_exposure
from streamer.server.server import Server

DESK = token("desk", "stream", "monitor", "admin")
PROTECTED = (
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Permissions-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
)


async def raw_status(server: Server, *headers: tuple[str, str], path: str = "/v1/stream") -> int:
    def request() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.putrequest("GET", path, skip_host=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status

    return await asyncio.to_thread(request)


@pytest.mark.parametrize("name", ["Host", "Origin", "Authorization"])
async def test_a_header_that_is_there_twice_is_refused(server: Server, name: str) -> None:
    headers = {"Host": "localhost", "Origin": "http://localhost", "Authorization": "Bearer x"}
    twice = [*headers.items(), (name, headers[name])]
    for path in ("/v1/stream", "/", "/metrics"):
        assert await raw_status(server, *twice, path=path) == 400


async def test_every_answer_has_the_headers_of_a_page(server: Server) -> None:
    for path in ("/", "/healthz", "/nothing", "/v1/stream", "/metrics", "/v1/enroll?x=%ff"):
        response = await get(server, path)
        assert all(response.headers[name] for name in PROTECTED), path
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["Strict-Transport-Security"] is None
    assert (await get(server, "/v1/stream")).status == 426


async def test_a_name_of_others_is_no_name_of_ours(server: Server) -> None:
    evil = {"Host": f"rebound.example:{server.port}"}
    for path in ("/", "/metrics", "/v1/stream", "/v1/control"):
        assert (await get(server, path, evil)).status == 403
    for path in ("/healthz", "/readyz"):  # asked for by whoever looks after the machine
        assert (await get(server, path, evil)).status == 200
    assert (await get(server, "/", {"Host": "localhost"})).status == 200


async def test_names_that_are_set_are_the_only_ones(settings: Callable[..., Config]) -> None:
    config = settings(tokens=(DESK,), hosts=("voice.example",))
    async with Server(config, drain_s=0.2) as server:
        assert (await get(server, "/", {"Host": "voice.example"})).status == 200
        assert (await get(server, "/", {"Host": "other.example"})).status == 403
    async with Server(settings(tokens=(DESK,)), drain_s=0.2) as server:
        assert (await get(server, "/", {"Host": "any.example"})).status == 200  # tokens protect it


async def test_behind_a_proxy_it_is_the_clients_address_and_the_public_name_that_count(
    settings: Callable[..., Config], dial: Any
) -> None:
    config = settings(
        tokens=(DESK,),
        forwarded=("127.0.0.1",),
        origins=("https://voice.example",),
        limits={"streams": 8},
    )
    async with Server(config, drain_s=0.2) as server, AsyncExitStack() as stack:
        told = []
        for address in 6 * ["192.0.2.1"] + 2 * ["192.0.2.2"]:
            headers = bearer("desk") | {
                "X-Forwarded-For": address,
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "voice.example",
                "Origin": "https://voice.example",
            }
            client = await stack.enter_async_context(dial(server, claim="", headers=headers))
            told.append((await client.hear())["type"])
        assert told[-2] == "ready"  # whatever the first address took
        assert "error" in told[:6]
        page = await get(server, "/", {"Forwarded": "for=192.0.2.1;proto=https;host=voice.example"})
        assert "wss://voice.example" in page.headers["Content-Security-Policy"]
        assert page.headers["Strict-Transport-Security"]


def test_who_trusts_a_proxy_needs_tokens(settings: Callable[..., Config]) -> None:
    with pytest.raises(ConfigError, match=r"through the proxies of `forwarded`.*tokens"):
        check_exposure(settings(forwarded=("127.0.0.1",)))
    check_exposure(settings(forwarded=("127.0.0.1",), tokens=(DESK,)))
    with pytest.raises(ValueError, match=r"forwarded: .proxy\.example. is not like"):
        settings(forwarded=("proxy.example",))


async def test_a_page_that_may_not_connect_is_told_what_to_set(server: Server) -> None:
    assert (await get(server, "/v1/origin?origin=https://voice.example")).text == (
        'origins = ["https://voice.example"]'
    )
    assert (await get(server, f"/v1/origin?origin=http://127.0.0.1:{server.port}")).text == ""


async def test_a_url_token_opens_one_connection_and_nothing_else(
    settings: Callable[..., Config], dial: Any
) -> None:
    async with Server(settings(tokens=(DESK,)), drain_s=0.2) as server:
        async with dial(server, "/v1/control", headers=bearer("desk")) as control:
            minted = [(await control.ask(type="url_token", role="stream"))["token"] for _ in "abc"]
            assert (await control.ask(type="url_token", role="admin"))["code"] == "unauthorised"
        with pytest.raises(InvalidStatus):
            async with dial(server, "/v1/monitor", token=minted[0]):
                pass
        with pytest.raises(InvalidStatus):  # it was shown at the wrong door, and is used up
            async with dial(server, claim="", token=minted[0]):
                pass
        async with dial(server, "/v1/control", token=minted[1]) as control:
            assert (await control.ask(type="status"))["roles"] == []
            assert (await control.ask(type="url_token", role="stream"))["code"] == "unauthorised"
        async with dial(server, claim="", token=minted[2]) as stream:
            assert (await stream.hear())["type"] == "ready"


async def test_who_comes_too_often_is_told_when_to_come_back(
    settings: Callable[..., Config], dial: Any
) -> None:
    config = settings(tokens=(DESK,), limits={"opens_per_minute": 2})
    async with Server(config, drain_s=0.2) as server:
        for _ in range(2):
            async with dial(server, claim="", headers=bearer("desk")) as client:
                await client.hear()
        response = await get(server, "/v1/stream", bearer("desk"))
        assert response.status == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 30
        assert (await get(server, "/v1/monitor", bearer("desk"))).status == 426  # another role


async def test_error_rates_have_a_ceiling_by_server_and_by_token(
    settings: Callable[..., Config], dial: Any
) -> None:
    tokens = (token("s", "stream"), token("strict", "stream", false_accept=0.001))
    async with Server(settings(tokens=tokens), drain_s=0.2) as server:
        for name, asked, allowed in (
            ("s", 0.49, False), ("s", 0.1, True), ("strict", 0.01, False), ("strict", 0.0001, True)
        ):  # fmt: skip
            query = {"false_accept": str(asked)}
            async with dial(server, headers=bearer(name), **query) as client:
                told = await client.hear()
            assert (told["type"] == "ready") is allowed
            if allowed:
                assert told["bounds"]["false_accept"] == asked
            else:
                assert told["code"] == "bad-parameter"
                assert "at most" in told["message"]
        async with dial(server, claim="", headers=bearer("strict")) as client:
            assert (await client.hear())["bounds"]["false_accept"] == 0.001
            await client.say(type="configure", false_accept=0.3)
            assert (await client.until("error"))["code"] == "bad-parameter"


async def test_a_token_without_scores_is_told_states_and_nothing_to_climb_by(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any
) -> None:
    tokens = (token("s", "stream", "monitor", scores=False), token("m", "monitor"))
    async with Server(settings(tokens=tokens), drain_s=0.2) as server:
        enrol(server, "anna")
        async with (
            dial(server, "/v1/monitor", headers=bearer("m")) as watching,
            dial(server, "/v1/monitor", headers=bearer("s")) as blind,
        ):
            async with dial(server, claim="anna", headers=bearer("s")) as client:
                await client.sound(pcm("anna", 5.0))
                await client.say(type="finalize")
                assert await client.rest() == 1000
            await watching.until("score")  # who watches sees them
            await blind.until("closed")
        for told in (client, blind):
            assert not told.of("score")
            assert told.of("decision")[-1]["state"] == "match"
            for message in told.of("decision") + told.of("utterance"):
                assert message["evidence"] is message["llr"] is None
            assert [m["seq"] for m in told.seen] == list(range(len(told.seen)))


@pytest.mark.parametrize(
    ("headers", "query", "says"),
    [
        ({}, "", "role stream, and none was shown"),
        (bearer("nobody"), "", "not known, or has expired"),
        (bearer("old"), "", "not known, or has expired"),
        (bearer("watch"), "", "role stream, which the one that was shown does not have"),
        ({"Authorization": "s"}, "", "shown as `Authorization: Bearer TOKEN`"),
        ({}, "?token=guessed", "the token in the address is not known"),
    ],
)
async def test_what_is_wrong_with_a_token_is_told(
    settings: Callable[..., Config], headers: dict[str, str], query: str, says: str
) -> None:
    expired = token("old", "stream", expires=datetime(2020, 1, 1, tzinfo=UTC))
    config = settings(tokens=(token("s", "stream"), token("watch", "monitor"), expired))
    async with Server(config, drain_s=0.2) as server:
        url = server.url.replace("http", "ws", 1) + "/v1/stream" + query
        with pytest.raises(InvalidStatus) as caught:
            async with connect(url, additional_headers=headers):
                pass
        response = caught.value.response
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert says in json.loads(response.body)["error"]["message"]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /healthz HTTP/1.0", 200),  # HAProxy's check, without a Host
        ("HEAD /healthz HTTP/1.1", 200),
        ("GET /healthz HTTP/1.1", 200),
        ("OPTIONS / HTTP/1.0", 405),  # its default
    ],
)
async def test_checks_of_a_load_balancer_are_answered_and_not_logged(
    server: Server, caplog: pytest.LogCaptureFixture, request_line: str, status: int
) -> None:
    caplog.set_level("INFO")
    for line in ("", request_line):  # a check by TCP says nothing
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        if line:
            host = "Host: 127.0.0.1\r\n" * line.endswith("1.1")
            writer.write(f"{line}\r\n{host}\r\n".encode())
            assert f" {status} " in (await reader.readline()).decode()
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.05)
    told = [one for one in caplog.records if one.levelname != "INFO" or "health" in one.message]
    assert told == []


async def test_a_stream_whose_token_is_taken_out_has_a_summary(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    config = settings(tokens=(token("s", "stream"), token("t", "stream")))
    tokens: list[Any] = []

    def read() -> Any:
        return tokens.pop() if tokens else None

    async with (
        Server(config, drain_s=0.2, tokens=read) as server,
        dial(server, claim="", headers=bearer("s")) as client,
    ):
        await client.sound(pcm("anna", 3.0))
        await client.until("vad")
        tokens.append((config.tokens[1],))
        assert await client.rest() == 1008
    assert [message["type"] for message in client.seen[-2:]] == ["summary", "error"]
    assert client.seen[-1]["code"] == "unauthorised"
    assert client.seen[-2]["received_s"] == 3.0
