"""The engine's session for a stream of a client, or for a recording."""

from __future__ import annotations

from collections.abc import Mapping

from engine.audio.pcm import PcmDecoder
from engine.scoring.scorer import PreparedEmbeddings
from engine.session import Session
from streamer.server.context import Context
from streamer.session_config import session_config
from streamer.wire.requests import StartStream


def new_session(
    context: Context,
    start: StartStream,
    enrolled: Mapping[str, PreparedEmbeddings],
    *,
    claimed: bool,
) -> Session:
    """A session that compares with ``enrolled``, by what ``start`` asks for."""
    decoder = PcmDecoder(
        start.encoding, start.sample_rate, channels=start.channels, channel=start.channel
    )
    return Session(
        context.scorer,
        enrolled,
        decoder=decoder,
        config=session_config(context.config, start),
        claimed=claimed,
        model=f"{context.model.name} {context.model.version}",
    )
