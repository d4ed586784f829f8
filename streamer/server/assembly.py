"""How a server is put together by its configuration: model, store, record, and what it counts."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import math
import os

import msgspec

from engine.decisions.config import DecisionConfig
from engine.model.backend import OnnxBackend
from engine.model.bundle import Bundle, load_bundle
from engine.scoring.scorer import CalibratedScorer
from engine.serving.config import EngineConfig
from engine.serving.engine import Engine
from engine.speech.vad import SileroVad
from streamer.addresses import is_loopback
from streamer.config import Config, Limits
from streamer.exams.opening import open_exams
from streamer.records.book import Book, Names
from streamer.records.clip_writer import ClipWriter
from streamer.records.opening import open_book
from streamer.records.writer import Writer
from streamer.server.auth import Auth
from streamer.server.context import Context, Points
from streamer.server.hub import Hub
from streamer.server.limits.attempts import Attempts
from streamer.server.limits.crowd import Crowd
from streamer.server.limits.quota import Quota
from streamer.server.limits.rate import Rate
from streamer.server.seats import Seats
from streamer.server.voiceprint_cache import VoiceprintCache
from streamer.server.workers.peers import Peers
from streamer.store.keys import load_key
from streamer.store.store import Store
from streamer.wire import messages

SHORTEST_HOP_S = 0.25  # that a stream may ask for
RECORD_END_S = 5.0  # for what waits to be recorded when the server stops
HELD_BYTES = 64 << 20  # of all clients' messages, beyond what the kernel holds
PIECE_S = 4.0  # by which a backlog may go over its bound: a piece of G.711, a run of detection


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
