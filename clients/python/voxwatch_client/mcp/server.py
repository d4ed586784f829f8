"""The tools and resources, over whatever carries them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)

from voxwatch_client.mcp import answers
from voxwatch_client.mcp.subscriptions import Subscriptions
from voxwatch_client.verdicts import WhenUnsure
from voxwatch_client.watching import Watch, WatchedStream

STREAMS = "voxwatch://streams"
JSON = "application/json"
PAGE = 100  # resources in one answer
ERROR_CHARACTERS = 200  # of what is wrong with arguments
INSTRUCTIONS = (
    "voxwatch hears live streams of sound and says whose voice it is. Ask verify_speaker before you"
    " act on a command that only one person may give, and act only where `allowed` is true."
    " who_is_speaking tells who it is, without permission for anything. Heed `stale`, `age_s` and"
    " `caveat`. Nothing here changes or deletes anything. " + answers.CAVEAT
)
Context = ServerRequestContext[Any, Any]
Asked = PaginatedRequestParams | None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which server is asked, and how.

    ``when_unsure`` says whether what cannot be decided is allowed; a turn that goes on is waited
    for ``wait_s`` at most.
    """

    server: str
    token: str | None = None
    tls: ssl.SSLContext | None = None
    when_unsure: WhenUnsure = "drop"
    wait_s: float = 3.0


class SpeakerTools:
    """Answers the requests of language models from what a :class:`Watch` knows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.subscriptions = Subscriptions()
        self.watch = Watch(
            settings.server, token=settings.token, tls=settings.tls, changed=self._changed
        )
        self._tools: dict[str, tuple[Tool, type[msgspec.Struct], Answering]] = {}
        self._add("who_is_speaking", WHO, answers.Which, answers.Answer, self._who)
        self._add("verify_speaker", VERIFY, answers.Whether, answers.Verification, self._verify)
        self._add("list_streams", LIST, answers.Some, answers.Streams, self._list)

    def server(self) -> Server[Any]:
        """The protocol's server, which follows the streams while it runs."""
        return Server(
            "voxwatch",
            title="voxwatch: who is speaking",
            version=version("voxwatch-client"),
            instructions=INSTRUCTIONS,
            lifespan=self._running,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_subscribe_resource=self.subscriptions.subscribe,
            on_unsubscribe_resource=self.subscriptions.unsubscribe,
            on_subscriptions_listen=self.subscriptions.listen,
        )

    @asynccontextmanager
    async def _running(self, _: Server[Any]) -> AsyncIterator[None]:
        publishing = asyncio.create_task(self.subscriptions.publish(), name="mcp notifications")
        try:
            async with self.watch:
                yield
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    def _changed(self, stream: WatchedStream | None) -> None:
        uris = (STREAMS, None) if stream is None else (STREAMS, *uris_of(stream))
        self.subscriptions.change(uris)

    async def list_tools(self, _: Context, asked: Asked) -> ListToolsResult:
        """`tools/list`."""
        return ListToolsResult(tools=[tool for tool, _, _ in self._tools.values()])

    async def call_tool(self, context: Context, asked: CallToolRequestParams) -> CallToolResult:
        """`tools/call`. The model is told what is wrong with its arguments, and may mend them."""
        if asked.name not in self._tools:
            raise MCPError(INVALID_PARAMS, f"there is no tool {answers.cut(asked.name)!r}")
        _, kind, answer = self._tools[asked.name]
        try:
            found = await answer(msgspec.convert(asked.arguments or {}, kind))
        except msgspec.ValidationError as error:
            return _wrong(str(error)[:ERROR_CHARACTERS])  # it repeats an argument that is unknown
        except answers.NoSuchStream as error:
            return _wrong(str(error))
        text = TextContent(text=msgspec.json.encode(found).decode())
        return CallToolResult(content=[text], structured_content=msgspec.to_builtins(found))

    async def list_resources(self, _: Context, asked: Asked) -> ListResourcesResult:
        """`resources/list`: one that lists the streams, and one a stream."""
        streams = list(self.watch.streams.values())
        start = _place(asked.cursor if asked else None)
        shown = streams[start : start + PAGE]
        listed = [_resource(stream) for stream in shown]
        if start == 0:
            listed.insert(0, LIST_ITSELF)
        more = str(start + PAGE) if start + PAGE < len(streams) else None
        return ListResourcesResult(resources=listed, next_cursor=more)

    async def list_templates(self, _: Context, asked: Asked) -> ListResourceTemplatesResult:
        """`resources/templates/list`."""
        template = ResourceTemplate(
            uri_template=f"{STREAMS}/{{stream}}",
            name="stream",
            description="Who speaks in the stream with that label or id. A label outlasts a restart"
            " of the server.",
            mime_type=JSON,
        )
        return ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(
        self, context: Context, asked: ReadResourceRequestParams
    ) -> ReadResourceResult:
        """`resources/read`."""
        above, slash, named = asked.uri.partition(f"{STREAMS}/")
        try:
            if asked.uri == STREAMS:
                found: msgspec.Struct = answers.listed(self.watch)
            elif above or not slash:
                raise answers.NoSuchStream(f"there is no resource {answers.cut(asked.uri)!r}")
            else:
                found = await self._who(answers.Which(stream=unquote(named)))
        except answers.NoSuchStream as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        text = msgspec.json.encode(found).decode()
        contents = TextResourceContents(uri=asked.uri, mime_type=JSON, text=text)
        return ReadResourceResult(contents=[contents])

    def _add(
        self,
        name: str,
        what: str,
        kind: type[msgspec.Struct],
        result: type[msgspec.Struct],
        answer: Answering,
    ) -> None:
        tool = Tool(
            name=name,
            description=what,
            input_schema=answers.schema(kind),
            output_schema=answers.schema(result),
            annotations=ToolAnnotations(
                read_only_hint=True, destructive_hint=False, open_world_hint=False
            ),
        )
        self._tools[name] = (tool, kind, answer)

    async def _who(self, asked: answers.Which) -> answers.Answer:
        return answers.who(self.watch, answers.chosen(self.watch, asked.stream))

    async def _verify(self, asked: answers.Whether) -> answers.Verification:
        stream = answers.chosen(self.watch, asked.stream)
        wait_s = self._settings.wait_s if asked.wait_s is None else asked.wait_s
        return await answers.verify(self.watch, stream, asked, wait_s, self._settings.when_unsure)

    async def _list(self, asked: answers.Some) -> answers.Streams:
        return answers.listed(self.watch, asked.label)


Answering = Callable[[Any], Awaitable[msgspec.Struct]]
WHO = (
    "Who speaks in a stream just now, or spoke last, with the evidence and how old it is. It gives"
    " no permission: ask verify_speaker for that."
)
VERIFY = (
    "Whether the last turn in a stream was spoken by the person who may give the command. A turn"
    " that goes on is waited for. Act on the command only where `allowed` is true."
)
LIST = "The streams of sound that voxwatch hears, with who speaks in each."


LIST_ITSELF = Resource(
    uri=STREAMS,
    name="streams",
    description="Every stream that is open, with who speaks in it.",
    mime_type=JSON,
)


def uris_of(stream: WatchedStream) -> list[str]:
    """Under what a stream can be read: its id, and its label where it has one."""
    return [f"{STREAMS}/{quote(name, safe='')}" for name in (stream.id, stream.label) if name]


def _wrong(message: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=message)], is_error=True)


def _resource(stream: WatchedStream) -> Resource:
    claimed = f" It should be {' or '.join(stream.claims)}." if stream.claims else ""
    return Resource(
        uri=uris_of(stream)[0],
        name=stream.label or stream.id,
        description=f"Who speaks in the stream {stream.label or stream.id}.{claimed}",
        mime_type=JSON,
    )


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 9:
        raise MCPError(INVALID_PARAMS, "this cursor is none of ours")
    return int(cursor)
