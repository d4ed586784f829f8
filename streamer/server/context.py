"""What the handlers of one server share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from engine.decisions.config import DecisionConfig
from engine.scoring.scorer import CalibratedScorer
from engine.serving.engine import Engine
from streamer.config import Config
from streamer.server.auth import Auth
from streamer.server.enrolled import EnrolledVoices
from streamer.server.hub import Hub
from streamer.server.quota import Quota
from streamer.store.store import Store
from streamer.wire import messages

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
class Context:
    """Made by the server, once; nothing in it belongs to a single connection."""

    config: Config
    server: str  # name and version
    model: messages.Model
    operating_points: Points | None
    scorer: CalibratedScorer
    engine: Engine
    store: Store
    enrolled: EnrolledVoices
    auth: Auth
    hub: Hub
    quota: Quota
    counts: Counts = field(default_factory=Counts)
    draining: bool = False

    @property
    def limits(self) -> messages.StreamLimits:
        """What clients are told to keep to."""
        limits = self.config.limits
        return messages.StreamLimits(
            message_bytes=limits.message_bytes,
            idle_s=limits.idle_s,
            stream_s=limits.stream_s,
            backlog_s=limits.backlog_s,
            resume_s=limits.resume_s,
        )


def bounds_of(decisions: DecisionConfig) -> messages.Bounds:
    """Error rates and the bounds that follow from them."""
    return messages.Bounds(
        false_accept=decisions.false_accept,
        miss=decisions.miss,
        accept_llr=decisions.accept_llr,
        reject_llr=decisions.reject_llr,
    )
