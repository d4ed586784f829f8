"""What the handlers of one server share, and how it is made from the configuration."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import math
import os
import ssl
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from engine.decisions.config import DecisionConfig
from engine.errors import VoxwatchError
from engine.model.backend import OnnxBackend
from engine.model.bundle import Bundle, load_bundle
from engine.scoring.scorer import CalibratedScorer
from engine.serving.config import EngineConfig
from engine.serving.engine import Engine
from engine.speech.vad import SileroVad
from streamer.addresses import is_loopback
from streamer.config import Config, Limits
from streamer.exams.book import Exams
from streamer.exams.opening import open_exams
from streamer.records.book import Book, Names
from streamer.records.clip_writer import ClipWriter
from streamer.records.opening import open_book
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
from streamer.store.keys import load_key
from streamer.store.store import Store
from streamer.wire import messages
from streamer.wire.errors import WireError

SHORTEST_HOP_S = 0.25  # that a stream may ask for
RECORD_END_S = 5.0  # for what waits to be recorded when the server stops
HELD_BYTES = 64 << 20  # of all clients' messages, beyond what the kernel holds
ATTEMPTS_RETRY_S = 600.0
PIECE_S = 4.0  # by which a backlog may go over its bound: a piece of G.711, a run of detection

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


async def assemble(config: Config, peers: Peers, stack: contextlib.AsyncExitStack) -> Context:
    """Load the model, open the store, start the engine; ``stack`` closes them.

    Raises :class:`VoxwatchError` for whatever is missing, damaged or not allowed.
    """
    scorer, backend, vad = await asyncio.to_thread(_load, config)
    store = stack.enter_context(await asyncio.to_thread(_open_store, config))
    await asyncio.to_thread(lambda: store.purge(store.now()))
    exams = stack.enter_context(open_exams(config.database, config.data_dir, store))
    seats = Seats(exams, store)
    await asyncio.to_thread(seats.refresh)
    engine = Engine(backend, vad, config=_engine_config(config))
    await stack.enter_async_context(engine)
    model = _model(backend)
    bounds = DecisionConfig(config.false_accept, config.miss)
    enrolled = VoiceprintCache(store, scorer, model.sha256, bounds.accept_llr)
    book, writer = await _open_record(config, lambda: {**enrolled.names(), **seats.names()}, stack)
    context = Context(
        config=config,
        server=f"voxwatch {importlib.metadata.version('voxwatch')}",
        model=model,
        operating_points=_operating_points(backend.bundle),
        scorer=scorer,
        engine=engine,
        store=store,
        enrolled=enrolled,
        seats=seats,
        auth=Auth(config.tokens, peers.secret, open_loopback=is_loopback(config.host), links=seats),
        hub=Hub(),
        quota=Quota(config.limits.audio_s_per_client_hour),
        crowd=Crowd(
            strangers=config.limits.strangers,
            members=config.limits.connections,
            held_bytes=HELD_BYTES,
        ),
        attempts=Attempts(config.limits.attempts_per_hour),
        requests=Rate(config.limits.requests_per_minute),
        peers=peers,
        book=book,
        writer=writer,
        clips=_clip_writer(config, book, stack),
    )
    stack.callback(context.book_threads.shutdown, wait=False)
    return context


def _engine_config(config: Config) -> EngineConfig:
    return EngineConfig(
        threads=config.threads,
        backlog_s=config.limits.backlog_s,
        capacity=_windows_in_line(config.limits),
        batching=config.batching,
    )


async def _open_record(
    config: Config, names: Names, stack: contextlib.AsyncExitStack
) -> tuple[Book | None, Writer | None]:
    if not config.records:
        return None, None
    key = await asyncio.to_thread(load_key, config.data_dir, env=os.environ)
    book = await asyncio.to_thread(open_book, config.database, config.data_dir, key, names)
    stack.callback(book.close)
    writer = Writer(book.journal.write)

    async def end() -> None:
        await asyncio.to_thread(writer.close, RECORD_END_S)

    stack.push_async_callback(end)
    return book, writer


def _clip_writer(
    config: Config, book: Book | None, stack: contextlib.AsyncExitStack
) -> ClipWriter | None:
    if book is None or not config.clips:
        return None
    writer = ClipWriter(book.journal)

    async def end() -> None:
        await asyncio.to_thread(writer.close, RECORD_END_S)

    stack.push_async_callback(end)
    return writer


def tls_context(config: Config) -> ssl.SSLContext | None:
    """What the server shows its callers, if it is to speak TLS. Raises :class:`VoxwatchError`."""
    if config.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        why = f"{config.tls_cert} and {config.tls_key} cannot be used for TLS"
        raise VoxwatchError(f"{why}: {error.strerror or error}") from error
    return context


def _windows_in_line(limits: Limits) -> int:
    """The whole backlog of all streams: files that are sent fast take no live window's place.

    They are views of sound that the streams hold anyway.
    """
    return limits.streams * math.ceil((limits.backlog_s + PIECE_S) / SHORTEST_HOP_S)


def _load(config: Config) -> tuple[CalibratedScorer, OnnxBackend, SileroVad]:
    bundle = load_bundle(config.bundle)
    scorer = CalibratedScorer(bundle)
    return scorer, OnnxBackend(bundle, config.provider), SileroVad()


def _open_store(config: Config) -> Store:
    return Store.in_folder(config.data_dir, config.database, os.environ)


def _model(backend: OnnxBackend) -> messages.Model:
    manifest = backend.bundle.manifest
    return messages.Model(
        name=manifest.name,
        version=manifest.version,
        sha256=manifest.model_sha256,
        provider=backend.provider,
    )


def _operating_points(bundle: Bundle) -> Points | None:
    """Rates by threshold, if whoever evaluated the bundle stated them."""
    try:
        return msgspec.convert(bundle.manifest.evaluation.get("operating_points"), Points | None)
    except msgspec.ValidationError:
        return None
