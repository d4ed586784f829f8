"""The SDK's own client over both transports, at a real server whose streams people speak in."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed")

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from scripted_server import Line

from streamer.server.server import Server
from voxwatch_client import VerifyStream, connect
from voxwatch_client.errors import ClientError
from voxwatch_client.mcp import Address, Settings, serve_http
from voxwatch_client.mcp.answers import CAVEAT
from voxwatch_client.mcp.subscriptions import WANTED

SILENCE = bytes(2 * 16_000)  # a second
NOWHERE = "ws://127.0.0.1:9"  # nobody listens there
KITCHEN = "voxwatch://streams/kitchen"
MODES = ("auto", "legacy")  # of the protocol: that of 2026, and those before


@asynccontextmanager
async def serving(url: str, address: Address | None = None, **settings: Any) -> AsyncIterator[str]:
    """The URL of an MCP server before the voxwatch server at ``url``."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    given = Settings(server=url, **settings)
    task = asyncio.create_task(
        serve_http(given, address or Address(port=0), listening.set_result), name="mcp"
    )
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield listening.result() if listening.done() else await task  # type: ignore[misc]
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def say(stream: VerifyStream, pcm: bytes, *, silence: int = 1) -> None:
    await stream.send(pcm + silence * SILENCE)


async def asked(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    (text,) = result.content
    assert json.loads(text.text) == result.structured_content
    assert result.structured_content["caveat"] == CAVEAT
    return dict(result.structured_content)


async def until(client: Client, tool: str, right: Callable[[Any], Any], **arguments: Any) -> Any:
    """The first answer that is ``right``; what was heard is told a moment later."""
    while not right(told := await asked(client, tool, **arguments)):
        await asyncio.sleep(0.02)
    return told


def kitchen(server: Server, **options: Any) -> Any:
    return connect(server.url, **{"claim": "anna", "label": "kitchen", **options})


def heard(speaker: str | None) -> Callable[[Any], bool]:
    return lambda told: told["speaker"] == speaker and not told["speaking"] and told["age_s"]


@pytest.mark.parametrize("mode", MODES)
async def test_who_speaks_is_told_with_evidence_age_and_caveat(
    server: Server, pcm: Any, mode: str
) -> None:
    async with kitchen(server) as stream, serving(server.url) as url:
        await say(stream, pcm("anna", 3.0))
        async with Client(url, mode=mode) as client:
            told = await until(client, "who_is_speaking", heard("anna"))
            assert (told["state"], told["stale"], told["label"]) == ("match", False, "kitchen")
            assert told["evidence"] > 0
            assert 0 <= told["age_s"] < 10
            await say(stream, pcm("bert", 3.0))
            told = await until(client, "who_is_speaking", lambda t: t["state"] == "mismatch")
            assert told["speaker"] is None


async def test_a_command_is_allowed_to_the_person_who_gave_it(server: Server, pcm: Any) -> None:
    async with (
        kitchen(server) as stream,
        serving(server.url) as url,
        Client(url) as client,
    ):
        told = await asked(client, "verify_speaker", name="anna")
        assert (told["allowed"], told["state"]) == (False, "insufficient")
        await say(stream, pcm("anna", 3.0))
        told = await until(client, "verify_speaker", lambda t: t["age_s"], name="anna")
        assert (told["allowed"], told["state"], told["speaker"]) == (True, "match", "anna")
        told = await asked(client, "verify_speaker", name="bert")
        assert (told["allowed"], told["state"]) == (False, "unavailable")
        assert "listens for anna" in told["reason"]
        await say(stream, pcm("bert", 3.0))
        bad = {"name": "anna", "wait_s": 10}
        told = await until(client, "verify_speaker", lambda t: t["state"] != "match", **bad)
        assert (told["allowed"], told["state"], told["speaker"]) == (False, "mismatch", None)


async def test_where_anybody_may_speak_another_name_is_a_mismatch(server: Server, pcm: Any) -> None:
    async with (
        kitchen(server, claim=()) as stream,
        serving(server.url) as url,
        Client(url) as client,
    ):
        await say(stream, pcm("anna", 3.0))
        told = await until(client, "verify_speaker", lambda t: t["age_s"], name="carla")
        assert (told["allowed"], told["state"]) == (False, "mismatch")
        assert told["reason"] == "the last turn was spoken by anna"


@pytest.mark.parametrize(("when_unsure", "allowed"), [("drop", False), ("pass", True)])
async def test_a_turn_that_does_not_end_in_time_gets_the_stated_default(
    server: Server, pcm: Any, when_unsure: Any, allowed: bool
) -> None:
    async with (
        kitchen(server, live=False) as stream,
        serving(server.url, when_unsure=when_unsure, wait_s=0.05) as url,
        Client(url) as client,
    ):
        await say(stream, pcm("anna", 3.0), silence=0)
        await until(client, "who_is_speaking", lambda told: told["speaking"])
        told = await asked(client, "verify_speaker", name="anna")
        assert (told["state"], told["allowed"], told["stale"]) == ("unavailable", allowed, True)
        assert "gone on for more than 0.05 s" in told["reason"]


@pytest.mark.parametrize(("when_unsure", "allowed"), [("drop", False), ("pass", True)])
async def test_a_server_that_is_away_is_told_and_the_stated_default_holds(
    when_unsure: Any, allowed: bool
) -> None:
    async with serving(NOWHERE, when_unsure=when_unsure) as url, Client(url) as client:
        told = await asked(client, "verify_speaker", name="anna")
        assert (told["state"], told["allowed"]) == ("unavailable", allowed)
        assert "no server answers" in told["reason"]
        told = await asked(client, "list_streams")
        assert (told["connected"], told["streams"]) == (False, [])


async def test_a_restart_in_the_middle_of_a_turn_is_survived(place: Any, pcm: Any) -> None:
    server = await place.start()
    async with serving(place.url, wait_s=30.0) as url, Client(url) as client:
        async with kitchen(server) as stream:
            await say(stream, pcm("anna", 3.0), silence=0)
            await until(client, "who_is_speaking", lambda told: told["speaker"] == "anna")
            asking = asyncio.create_task(asked(client, "verify_speaker", name="anna"))
            await asyncio.sleep(0)
            await place.stop()
            told = await asking  # who stops a server lets it judge what it has heard
            assert told["state"] in ("match", "unavailable")
            assert told["allowed"] is (told["state"] == "match")
            told = await asked(client, "who_is_speaking")
            assert (told["state"], told["speaker"], told["stale"]) == ("unavailable", None, True)
            assert not told["connected"]
        server = await place.start()
        told = await until(client, "list_streams", lambda told: told["connected"])
        assert told["streams"] == []
        told = await asked(client, "who_is_speaking")
        assert (told["state"], told["stream"]) == ("unavailable", None)
        async with kitchen(server) as stream:
            await say(stream, pcm("anna", 3.0))
            await until(client, "list_streams", lambda told: told["streams"])
            told = await until(client, "verify_speaker", lambda t: t["age_s"], name="anna")
            assert told["allowed"]


async def test_a_connection_that_breaks_is_told_and_opened_again(server: Server, pcm: Any) -> None:
    async with (
        Line(server.port).laid() as line,
        serving(line.url) as url,
        Client(url) as client,
        kitchen(server, live=False) as stream,  # of which no sound for a while says nothing
    ):
        await say(stream, pcm("anna", 3.0))
        await until(client, "who_is_speaking", heard("anna"))
        line.leads_to(9)  # where nobody is
        line.cut()
        told = await until(client, "who_is_speaking", lambda told: not told["connected"])
        assert (told["state"], told["speaker"], told["stale"]) == ("unavailable", None, True)
        assert told["age_s"] >= 0  # rounded
        assert "has not been heard" in told["reason"]
        line.leads_to(server.port)
        told = await until(client, "who_is_speaking", lambda told: told["connected"])
        assert (told["label"], told["state"], told["speaker"]) == ("kitchen", "match", "anna")


async def test_listeners_are_told_when_to_read_again(server: Server, pcm: Any) -> None:
    async with (
        serving(server.url) as url,
        Client(url) as client,
        client.listen(resource_subscriptions=[KITCHEN], resources_list_changed=True) as news,
        kitchen(server) as stream,
    ):
        assert type(await anext(news)).__name__ == "ResourcesListChanged"
        await say(stream, pcm("anna", 3.0))
        while True:
            event = await anext(news)
            if getattr(event, "uri", None) == KITCHEN:
                told = (await client.read_resource(KITCHEN)).contents[0]
                if heard("anna")(json.loads(told.text)):
                    break
        listed = (await client.list_resources()).resources
        assert [one.name for one in listed] == ["streams", "kitchen"]
        whole = json.loads((await client.read_resource("voxwatch://streams")).contents[0].text)
        assert [one["speaker"] for one in whole["streams"]] == ["anna"]
        with pytest.raises(MCPError, match="no stream 'attic' is open"):
            await client.read_resource("voxwatch://streams/attic")


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_subscribers_of_the_earlier_protocol_are_told_too(place: Any, pcm: Any) -> None:
    server = await place.start()
    news: asyncio.Queue[str] = asyncio.Queue()

    async def take(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            news.put_nowait(message.params.uri)

    async with (
        serving(place.url) as url,
        Client(url, mode="legacy", message_handler=take) as client,
    ):
        await client.subscribe_resource(KITCHEN)
        async with kitchen(server) as stream:
            await say(stream, pcm("anna", 3.0))
            while not heard("anna")(json.loads((await read(client, news)).text)):
                pass
            await place.stop()
            while json.loads((await read(client, news)).text)["connected"]:
                pass
        await client.unsubscribe_resource(KITCHEN)
        for number in range(WANTED):
            await client.subscribe_resource(f"{KITCHEN}/{number}")
        with pytest.raises(MCPError, match="no more than"):
            await client.subscribe_resource(KITCHEN)


async def read(client: Client, news: asyncio.Queue[str]) -> Any:
    uri = await news.get()
    return (await client.read_resource(uri)).contents[0]


async def test_over_standard_input_and_output(server: Server, pcm: Any) -> None:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "streamer.cli", "mcp", "--server", server.url],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    async with kitchen(server) as stream, Client(command) as client:
        async with client.listen(resource_subscriptions=[KITCHEN]) as news:
            await say(stream, pcm("anna", 3.0))
            assert (await anext(news)).uri == KITCHEN
        told = await until(client, "verify_speaker", lambda t: t["age_s"], name="anna")
        assert told["allowed"]
        told = await asked(client, "list_streams", label="KITCH")
        assert [one["speaker"] for one in told["streams"]] == ["anna"]


async def test_only_questions_can_be_asked_and_their_forms_are_told(server: Server) -> None:
    async with serving(server.url) as url, Client(url) as client:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == [
            "who_is_speaking",
            "verify_speaker",
            "list_streams",
        ]
        for tool in tools:
            assert tool.annotations.read_only_hint
            assert tool.input_schema["type"] == tool.output_schema["type"] == "object"
            assert "caveat" in tool.output_schema["properties"]
        assert tools[1].input_schema["required"] == ["name"]
        for tool, arguments, complaint in (
            ("who_is_speaking", {"stream": "attic"}, None),
            ("who_is_speaking", {"who": "anna"}, "unknown field `who`"),
            ("verify_speaker", {}, "missing required field `name`"),
            ("verify_speaker", {"name": "anna", "wait_s": 1e9}, "<= 30"),
        ):
            result = await client.call_tool(tool, arguments)
            assert result.is_error is (complaint is not None)
            assert (complaint or "no stream is open") in result.content[0].text
        with pytest.raises(MCPError, match="no tool"):
            await client.call_tool("delete_speaker", {"name": "anna"})


async def test_what_is_asked_for_is_not_repeated_at_length(server: Server) -> None:
    long = "attic " * 1000
    async with kitchen(server), serving(server.url) as url, Client(url) as client:
        for tool, arguments, complaint in (
            ("who_is_speaking", {"stream": long}, "no stream 'attic attic"),
            ("verify_speaker", {"name": "anna", "stream": long}, "no stream 'attic attic"),
            ("who_is_speaking", {long: "anna"}, "unknown field"),
        ):
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert complaint in result.content[0].text
            assert len(result.content[0].text) < 250
        told = await asked(client, "verify_speaker", name=long)
        assert told["reason"].startswith("this stream listens for anna, and not for attic")
        assert len(told["reason"]) < 250
        for ask in (client.call_tool(long, {}), client.read_resource(f"{KITCHEN}/{long}")):
            with pytest.raises(MCPError) as refused:
                await ask
            assert len(str(refused.value)) < 250


async def test_of_several_streams_one_has_to_be_named(server: Server) -> None:
    async with (
        kitchen(server),
        kitchen(server, label="hall"),
        serving(server.url) as url,
        Client(url) as client,
    ):
        result = await client.call_tool("who_is_speaking", {})
        assert result.is_error
        assert "several streams are open" in result.content[0].text
        assert (await asked(client, "who_is_speaking", stream="hall"))["label"] == "hall"
        result = await client.call_tool("who_is_speaking", {"stream": "attic"})
        assert "kitchen" in result.content[0].text


BEGIN = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),  # let in, and then not right as a request
        ({"Host": "evil.example:8770"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://chat.example"}, 400),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "secret"}, 401),
    ],
)
async def test_who_may_come_by_http(headers: Any, status: int) -> None:
    address = Address(port=0, token="secret", origins=("https://chat.example",))
    given = {"Authorization": "Bearer secret", "Accept": "application/json, text/event-stream"}
    async with serving(NOWHERE, address) as url, httpx2.AsyncClient() as client:
        answer = await client.post(url, json=BEGIN, headers={**given, **headers})
        assert answer.status_code == status


async def test_a_token_opens_and_a_request_that_is_too_long_is_refused() -> None:
    shown = {"Authorization": "Bearer secret"}
    async with (
        serving(NOWHERE, Address(port=0, token="secret")) as url,
        httpx2.AsyncClient(headers=shown) as http,
    ):
        async with Client(streamable_http_client(url, http_client=http)) as client:
            assert not (await asked(client, "list_streams"))["streams"]
        answer = await http.post(url, json={**BEGIN, "params": {"name": "x" * 100_000}})
        assert answer.status_code == 413


async def test_beyond_this_machine_a_token_is_needed() -> None:
    with pytest.raises(ClientError, match="VOXWATCH_MCP_TOKEN"):
        async with serving(NOWHERE, Address("0.0.0.0", 0)):
            pass
