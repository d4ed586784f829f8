"""Open edX at one server: its back end, the client that it is, and what is told to it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Mapping

from engine.errors import VoxwatchError
from streamer.config import ConfigError, OpenEdx
from streamer.edx.backend import Backend, learner_of
from streamer.edx.book import EdxBook
from streamer.edx.client import EdxClient
from streamer.edx.courier import LOOK_S, Courier
from streamer.edx.lms import Lms
from streamer.records.book import Book
from streamer.server.auth import Grant
from streamer.server.context import Context
from streamer.server.exam_requests import PAGE, withdraw
from streamer.server.record_upkeep import forget_the_deleted
from streamer.server.streams import Streams
from streamer.store.errors import UnknownSpeaker
from streamer.store.store import Store

log = logging.getLogger("voxwatch.server")

HOLDER = "openedx"  # as whom Open edX stands in logs
SECRET_CHARACTERS = 32  # at least: whoever has a link of a course team can try secrets at home


class EdxService:
    """``courier`` is None where Open edX is not told of attempts."""

    def __init__(
        self,
        context: Context,
        streams: Streams,
        client: EdxClient,
        backend: Backend,
        courier: Courier | None,
    ) -> None:
        self._context, self._streams, self._courier = context, streams, courier
        self.client, self.backend = client, backend
        digest = hashlib.sha256(client.id.encode()).digest()
        # As whom Open edX is counted and logged; it has none of the roles of tokens.
        self.grant = Grant(holder=HOLDER, digest=digest)

    async def retire(self, user: str) -> bool:
        """Forget a learner: voiceprint, lines of rosters, and records as they are set to be."""
        name = learner_of(self.client.id, user)
        try:
            await asyncio.to_thread(self._forget, name)
        finally:
            await self._context.seats.refreshed()
            await self._streams.renew()
            await self._context.peers.ask("renew")
        await forget_the_deleted(self._context)
        return True

    def _forget(self, name: str) -> None:
        who = self.grant.who
        withdraw(self._context, name, who)
        self._context.exams.forget_voiceprint(name, who, time.time())

    def streams_of(self, exam: str, attempt: str) -> list[str]:
        """The streams of an attempt's learner in their exam. Blocks."""
        found = self.backend.book.attempt(exam, attempt)
        assert self._context.book is not None
        streams = self._context.book.streams(found.exam, found.candidate)
        return [one.stream for one in streams]

    async def deliver(self) -> None:
        """Tell Open edX what is due, for ever."""
        while self._courier is not None:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(self._courier.deliver, time.time())
            except VoxwatchError as error:
                log.warning("Open edX's attempts cannot be read just now: %s", error)


def open_edx(
    context: Context, streams: Streams, env: Mapping[str, str] = os.environ
) -> EdxService | None:
    """The service, if there is one by the configuration. Raises :class:`VoxwatchError`."""
    config, record = context.config.openedx, context.book
    if config is None or record is None:
        return None
    client = EdxClient(config.client_id, _secret(config.secret_env, "secret_env", env))
    book = EdxBook(record.journal.engine)
    base = (context.config.public_url or "").rstrip("/")
    backend = Backend(
        book=book,
        exams=context.exams,
        address=lambda token: f"{base}{PAGE}{token}",
        enrolled=lambda name: _enrolled(context.store, name),
        client=config.client_id,
        onboarding=config.onboarding,
    )
    courier = _courier(config, book, record, env)
    return EdxService(context, streams, client, backend, courier)


def _courier(
    config: OpenEdx, book: EdxBook, record: Book, env: Mapping[str, str]
) -> Courier | None:
    if config.lms_url is None or config.lms_client_id is None or config.lms_secret_env is None:
        return None
    secret = env.get(config.lms_secret_env, "")
    if not secret:
        raise _unset("lms_secret_env", config.lms_secret_env)
    lms = Lms(config.lms_url, config.lms_client_id, secret)
    return Courier(book, record, record.incidents, lms)


def _secret(variable: str, key: str, env: Mapping[str, str]) -> str:
    secret = env.get(variable, "")
    if not secret:
        raise _unset(key, variable)
    if len(secret) < SECRET_CHARACTERS:
        least = f"has fewer than {SECRET_CHARACTERS} characters: openssl rand -hex 32"
        raise ConfigError(f"openedx.{key}: the secret in {variable} {least}")
    return secret


def _unset(key: str, variable: str) -> ConfigError:
    return ConfigError(f"openedx.{key}: the environment variable {variable} is not set")


def _enrolled(store: Store, name: str) -> bool:
    try:
        store.profile(name, store.now())
    except UnknownSpeaker:
        return False
    return True
