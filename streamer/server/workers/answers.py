"""What a worker answers the others."""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec

from streamer.records.entries import Acted
from streamer.server.connection import Connection
from streamer.server.context import Context
from streamer.server.descriptions import state
from streamer.server.desk import Desk
from streamer.server.streams import Streams
from streamer.server.totals import figures

Kind = Literal["streams", "figures", "ready", "renew", "redeem", "incidents", "acted", "moved"]


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A question; ``token`` is one to be redeemed, ``acted`` what somebody did about ``stream``.

    ``candidate`` has opened ``stream`` at ``opened_at`` (s since 1970).
    """

    type: Kind
    token: str = ""
    stream: str | None = None
    exam: str | None = None
    acted: Acted | None = None
    candidate: str = ""
    opened_at: float = 0.0


async def answer_peer(context: Context, streams: Streams, connection: Connection) -> None:
    """One connection of another worker. Raises ``ConnectionClosed``."""
    while True:
        asked = msgspec.json.decode(await connection.hear(), type=Asked)
        await connection.say([msgspec.json.encode(await _answer(context, streams, asked))])


async def _answer(context: Context, streams: Streams, asked: Asked) -> Any:
    match asked.type:
        case "streams":
            return [state(stream) for stream in streams.all()]
        case "figures":
            return figures(context, len(streams))
        case "ready":
            return not context.draining and context.store_sound
        case "renew":
            await context.seats.refreshed()
            await streams.follow_seats(time.time())
            await streams.renew()
            return True
        case "incidents":
            return Desk(context, streams).here(asked.stream, asked.exam)
        case "acted":
            assert asked.stream is not None
            assert asked.acted is not None
            return Desk(context, streams).act_here(asked.stream, asked.acted)
        case "moved":
            assert asked.stream is not None
            return streams.make_way(asked.candidate, asked.opened_at, asked.stream)
        case "redeem":
            return context.auth.redeem(asked.token, time.monotonic()).telling()
