"""LTI at one server: the tool, what platforms are told, and who is known by a launch.

Only a server with platforms in its configuration loads this, and with it PyLTI1p3.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time

from engine.errors import VoxwatchError
from streamer.lti.book import LtiBook
from streamer.lti.control import ControlService
from streamer.lti.courier import RECORDED_S, Courier
from streamer.lti.http import PublicKeys, Session
from streamer.lti.keys import OwnKeys
from streamer.lti.tool import Tool
from streamer.lti.visits import Visits
from streamer.server.auth import Grant
from streamer.server.context import Context
from streamer.server.exam_requests import PAGE
from streamer.store.errors import UnknownSpeaker
from streamer.store.store import Store
from streamer.wire.messages import Incident

log = logging.getLogger("voxwatch.server")

HOLDER = "lti"  # as whom platforms and those who come from them stand in logs
LOOK_S = 2.0  # between two looks at what is to be told
FOLLOWED = 4096  # incidents that may wait to be looked at; the end of an attempt finds all others


class LtiService:
    """The tool at a server; ``visits`` are the cookies of those who came by a launch."""

    def __init__(self, context: Context, tool: Tool, courier: Courier, visits: Visits) -> None:
        self._context, self._courier = context, courier
        self.tool, self.visits = tool, visits

    def grant(self, issuer: str) -> Grant:
        """As whom a platform is counted and logged; it has none of the roles of tokens."""
        return Grant(holder=HOLDER, digest=hashlib.sha256(issuer.encode()).digest())

    async def deliver(self) -> None:
        """Tell platforms what is due, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(self._courier.deliver, time.time())
            except VoxwatchError as error:
                log.warning("attempts of LTI cannot be read just now: %s", error)

    async def follow(self) -> None:
        """Have attempts looked at soon after something has happened in them, for ever."""
        while True:
            with self._context.hub.follow(kinds=(Incident,), limit=FOLLOWED) as following:
                while not following.outbox.slow:
                    await following.outbox.wait()
                    streams = {sent.message.stream for sent in following.outbox.take()}
                    try:
                        await asyncio.to_thread(self._look_at, streams)
                    except VoxwatchError as error:
                        log.warning("attempts of LTI cannot be noted just now: %s", error)

    def _look_at(self, streams: set[str]) -> None:
        for stream in streams:
            candidate = self.tool.record.facts(stream).candidate
            if candidate is not None:
                self.tool.book.look_at(candidate, time.time() + RECORDED_S)


def open_lti(context: Context) -> LtiService | None:
    """The service, if there is one by the configuration. Raises :class:`VoxwatchError`."""
    record = context.book
    if record is None:
        return None
    secret = record.journal.secret
    book = LtiBook(record.journal.engine, secret)
    base = (context.config.public_url or "").rstrip("/")
    session = Session()
    tool = Tool(
        platforms=context.config.lti,
        book=book,
        exams=context.exams,
        record=record,
        keys=OwnKeys(book),
        public_keys=PublicKeys(session),
        base=base,
        address=lambda token: f"{base}{PAGE}{token}",
        enrolled_at=lambda name: _enrolled_at(context.store, name),
    )
    courier = Courier(tool, ControlService(session), record.incidents)
    return LtiService(context, tool, courier, Visits(secret.key_for(b"lti visits")))


def _enrolled_at(store: Store, name: str) -> float | None:
    try:
        return store.profile(name, store.now()).created_at
    except UnknownSpeaker:
        return None
