"""Who wants to know of which stream: notifications of both kinds that the protocol has.

Clients of protocol 2026-07-28 keep a request `subscriptions/listen` open, which the SDK serves from
a bus; those of earlier versions subscribe to one resource after another. What both are told is only
that a resource is worth reading again, so that of many changes at once one notification is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
)
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

CONNECTIONS = 256  # with `subscriptions/listen` at once
WAITING = 256  # events that wait for one of them: then its stream is ended, and it listens anew
WANTED = 256  # resources that one connection may subscribe to
URI_CHARS = 1024  # of one of them
Context = ServerRequestContext[Any, Any]


class Subscriptions:
    """Tells subscribers which resources have changed. Waits for none of them."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(
            self._bus, max_subscriptions=CONNECTIONS, max_buffered_events=WAITING
        )
        self._earlier: dict[Any, Subscriber] = {}  # by connection
        self._changed: dict[str | None, None] = {}  # that are to be told; None: the list
        self._wake = asyncio.Event()

    def change(self, uris: Iterable[str | None]) -> None:
        """These have changed; None is the list of them."""
        self._changed.update(dict.fromkeys(uris))
        self._wake.set()

    async def publish(self) -> None:
        """Tell of changes for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            changed, self._changed = self._changed, {}
            for uri in changed:
                if uri is not None:
                    for subscriber in self._earlier.values():
                        subscriber.change(uri)
                event = ResourcesListChanged() if uri is None else ResourceUpdated(uri)
                await self._bus.publish(event)

    async def subscribe(self, context: Context, asked: SubscribeRequestParams) -> EmptyResult:
        """`resources/subscribe`."""
        connection = _connection(context)
        if connection not in self._earlier:
            subscriber = self._earlier[connection] = Subscriber(context.session)
            connection.exit_stack.push_async_callback(self._forget, connection)
        subscriber = self._earlier[connection]
        if len(subscriber.wanted) >= WANTED or len(asked.uri) > URI_CHARS:
            raise MCPError(INVALID_PARAMS, f"no more than {WANTED} resources may be subscribed to")
        subscriber.wanted.add(asked.uri)
        return EmptyResult()

    async def unsubscribe(self, context: Context, asked: UnsubscribeRequestParams) -> EmptyResult:
        """`resources/unsubscribe`."""
        if subscriber := self._earlier.get(_connection(context)):
            subscriber.wanted.discard(asked.uri)
        return EmptyResult()

    async def _forget(self, connection: Any) -> None:
        await self._earlier.pop(connection).end()


def _connection(context: Context) -> Any:
    """Whose request this is: the SDK's own place for what ends with a connection.

    It documents `exit_stack` for that and gives handlers no other way to it.
    """
    return context.session._connection


class Subscriber:
    """A connection of an earlier protocol, told of each resource once until it has read so far."""

    def __init__(self, session: ServerSession) -> None:
        self.wanted: set[str] = set()
        self._session = session
        self._waiting: dict[str, None] = {}  # at most as many as are wanted
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._tell(), name="mcp subscriber")

    def change(self, uri: str) -> None:
        """This one has changed."""
        if uri in self.wanted:
            self._waiting[uri] = None
            self._wake.set()

    async def end(self) -> None:
        """The connection is gone."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _tell(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                uri = next(iter(self._waiting))
                del self._waiting[uri]
                if uri in self.wanted:
                    await self._session.send_resource_updated(uri)
