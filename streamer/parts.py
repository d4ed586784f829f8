"""What the handlers of one server share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from engine.decisions import DecisionConfig
from engine.scores import Scorer
from engine.service import Engine
from streamer import wire
from streamer.auth import Auth
from streamer.config import Config
from streamer.hub import Hub
from streamer.quota import Quota
from streamer.speakers import Speakers
from streamer.store import Store

Points = tuple[tuple[float, float, float], ...]


@dataclass(slots=True)
class Counts:
    """What is counted over the server's life, for `/metrics`."""

    connections: Counter[str] = field(default_factory=Counter)  # by path
    errors: Counter[str] = field(default_factory=Counter)  # by code
    messages: Counter[str] = field(default_factory=Counter)  # to streams, by type
    sound_s: float = 0.0
    resumed: int = 0
    coalesced: int = 0


@dataclass(slots=True)
class Parts:
    """Made by the server, once; nothing in it belongs to a single connection."""

    config: Config
    server: str  # name and version
    model: wire.Model
    operating_points: Points | None
    scorer: Scorer
    engine: Engine
    store: Store
    speakers: Speakers
    auth: Auth
    hub: Hub
    quota: Quota
    counts: Counts = field(default_factory=Counts)
    draining: bool = False

    @property
    def limits(self) -> wire.StreamLimits:
        """What clients are told to keep to."""
        limits = self.config.limits
        return wire.StreamLimits(
            message_bytes=limits.message_bytes,
            idle_s=limits.idle_s,
            stream_s=limits.stream_s,
            backlog_s=limits.backlog_s,
            resume_s=limits.resume_s,
        )


def bounds_of(decisions: DecisionConfig) -> wire.Bounds:
    """Error rates and the bounds that follow from them."""
    return wire.Bounds(
        false_accept=decisions.false_accept,
        miss=decisions.miss,
        accept_llr=decisions.accept_llr,
        reject_llr=decisions.reject_llr,
    )
