"""The engine's session for a stream of a client, or for a recording."""

from __future__ import annotations

from collections.abc import Mapping

from engine.scoring.scorer import PreparedEmbeddings
from engine.session import Session
from streamer.server.context import Context
from streamer.server.sound import pcm_decoder
from streamer.session_config import session_config
from streamer.wire.requests import StartStream


def new_session(
    context: Context,
    start: StartStream,
    enrolled: Mapping[str, PreparedEmbeddings],
    *,
    claimed: bool,
) -> Session:
    """A session that compares with ``enrolled``, by what ``start`` asks for.

    Raises :class:`WireError` for sound that the server cannot decode.
    """
    return Session(
        context.scorer,
        enrolled,
        decoder=pcm_decoder(start),
        config=session_config(context.config, start),
        claimed=claimed,
        model=f"{context.model.name} {context.model.version}",
    )
