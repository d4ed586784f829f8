"""What the handlers of one server share."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

from engine.decisions.config import DecisionConfig
from engine.scoring.scorer import CalibratedScorer
from engine.serving.engine import Engine
from streamer.config import Config
from streamer.exams.book import Exams
from streamer.records.book import Book
from streamer.records.clip_writer import ClipWriter
from streamer.records.writer import Writer
from streamer.server.auth import Auth
from streamer.server.caller import Caller
from streamer.server.hub import Hub
from streamer.server.limits.attempts import Attempts
from streamer.server.limits.crowd import Crowd
from streamer.server.limits.quota import Quota
from streamer.server.limits.rate import Rate
from streamer.server.seats import Seats
from streamer.server.seen import Viewings
from streamer.server.voiceprint_cache import VoiceprintCache
from streamer.server.wakefulness import Wakefulness
from streamer.server.workers.peers import Peers
from streamer.store.store import Store
from streamer.wire import messages
from streamer.wire.errors import WireError

ATTEMPTS_RETRY_S = 600.0

Points = tuple[tuple[float, float, float], ...]


@dataclass(slots=True)
class ServerCounts:
    """What is counted over the server's life, for `/metrics`."""

    connections: Counter[str] = field(default_factory=Counter)  # by path
    errors: Counter[str] = field(default_factory=Counter)  # by code
    messages: Counter[str] = field(default_factory=Counter)  # to streams, by type
    verdicts: Counter[str] = field(default_factory=Counter)  # on recordings, by state
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
    enrolled: VoiceprintCache
    seats: Seats
    auth: Auth
    hub: Hub
    quota: Quota
    crowd: Crowd
    peers: Peers
    attempts: Attempts
    requests: Rate  # on control connections
    book: Book | None = None  # the record; None where none is kept
    writer: Writer | None = None
    clips: ClipWriter | None = None  # None where no sound is kept
    # A disk that does not answer holds the threads that read the record, and no others.
    book_threads: Executor = field(default_factory=lambda: ThreadPoolExecutor(4, "book"))
    counts: ServerCounts = field(default_factory=ServerCounts)
    enrolments: int = 0  # under way
    draining: bool = False
    store_sound: bool = True  # whether the store could be read and was whole, when last tried
    wakefulness: Wakefulness = field(default_factory=Wakefulness)
    viewings: Viewings = field(default_factory=Viewings)  # looks at streams, to be noted
    used: set[str] = field(default_factory=set)  # names that were matched, to be noted as in use

    @property
    def exams(self) -> Exams:
        """Exams and rosters, which block."""
        return self.seats.exams

    def rate_of(self, caller: Caller, asked: float | None) -> float:
        """The false accepts that a stream decides by. Raises :class:`WireError` for too many."""
        config = self.config
        return caller.check_rate(asked, config.false_accept, config.most_false_accept)

    def tells_figures(self, caller: Caller) -> bool:
        """Whether the caller is told scores and evidence."""
        return self.config.scores and caller.grant.scores

    def check_quota(self, caller: Caller) -> None:
        """Raise :class:`WireError` when the caller has sent its sound for the hour."""
        if self.quota.exhausted(caller.client[0], time.monotonic()):
            limit_s = self.config.limits.audio_s_per_client_hour
            message = f"this client has sent its {limit_s:g} s of sound within an hour"
            raise WireError("audio-quota", f"{message} (limits.audio_s_per_client_hour)")

    def check_attempts(self, caller: Caller, names: Sequence[str]) -> None:
        """Raise :class:`WireError` when the caller has tried to be one of them too often.

        Where no token is needed whoever calls may do everything anyway; candidates are not told
        what is decided, so that there is nothing to be got by trying.
        """
        if self.attempts_left(caller, names) <= 0:
            message = "this claim was tried too often without a match (limits.attempts_per_hour)"
            raise WireError("too-many-attempts", message, retry_s=ATTEMPTS_RETRY_S)

    def attempts_left(self, caller: Caller, names: Sequence[str]) -> float:
        """How often the caller may still try to be one of them; without end if nobody counts."""
        if not self.auth.required or caller.grant.seat is not None:
            return math.inf
        return self.attempts.left(caller.client, names, time.monotonic())

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
            audio_s_per_client_hour=limits.audio_s_per_client_hour,
            attempts_per_hour=limits.attempts_per_hour,
        )


def bounds_of(decisions: DecisionConfig) -> messages.Bounds:
    """Error rates and the bounds that follow from them."""
    return messages.Bounds(
        false_accept=decisions.false_accept,
        miss=decisions.miss,
        accept_llr=decisions.accept_llr,
        reject_llr=decisions.reject_llr,
    )
