"""LTI at one server: the tool, what platforms are told, and who is known by a launch.

Only a server with platforms in its configuration loads this, and with it PyLTI1p3.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time

from engine.errors import VoxwatchError
from streamer.lti.book import LtiBook
from streamer.lti.control import ControlService
from streamer.lti.courier import Courier
from streamer.lti.http import PublicKeys, Session
from streamer.lti.keys import OwnKeys
from streamer.lti.tool import Tool
from streamer.lti.visits import Visits
from streamer.records.errors import RecordError
from streamer.server.auth import Grant
from streamer.server.context import Context
from streamer.server.exam_requests import PAGE
from streamer.store.errors import UnknownSpeaker
from streamer.store.store import Store
from streamer.wire.incidents import Incident

log = logging.getLogger("voxwatch.server")

HOLDER = "lti"  # as whom platforms and those who come from them stand in logs
LOOK_S = 2.0  # between two looks at what is to be told
FOLLOWED = 4096  # incidents that may wait to be looked at; the end of an attempt finds all others
UNRECORDED_S = 600.0  # after which the record is not waited for: it has a gap there


class LtiService:
    """The tool at a server; ``visits`` are the cookies of those who came by a launch."""

    def __init__(self, context: Context, tool: Tool, courier: Courier, visits: Visits) -> None:
        self._context, self._courier = context, courier
        self.tool, self.visits = tool, visits
        # By the id of an incident its stream, and when it was told (s since 1970).
        self._happened: dict[str, tuple[str, float]] = {}

    def grant(self, issuer: str) -> Grant:
        """As whom a platform is counted and logged; it has none of the roles of tokens."""
        return Grant(holder=HOLDER, digest=hashlib.sha256(issuer.encode()).digest())

    async def deliver(self) -> None:
        """Tell platforms what is due, for ever."""
        await asyncio.to_thread(self._look_at_all)
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(self._look_at, dict(self._happened))
                await asyncio.to_thread(self._courier.deliver, time.time())
            except VoxwatchError as error:
                log.warning("attempts of LTI cannot be read just now: %s", error)

    async def follow(self) -> None:
        """Note what happens, so that attempts are looked at as soon as the record has it."""
        while True:
            with self._context.hub.follow(kinds=(Incident,), limit=FOLLOWED) as following:
                while not following.outbox.slow:
                    await following.outbox.wait()
                    for told in (sent.message for sent in following.outbox.take()):
                        if isinstance(told.event, Incident) and len(self._happened) < FOLLOWED:
                            self._happened[told.event.id] = (told.stream, time.time())

    def _look_at_all(self) -> None:
        """What had happened when the server before this one ended was in its memory alone."""
        try:
            self.tool.book.look_at(None, time.time())
        except VoxwatchError as error:
            log.warning("attempts of LTI cannot be noted just now: %s", error)

    def _look_at(self, happened: dict[str, tuple[str, float]]) -> None:
        """Have attempts looked at whose incidents the record has by now; the others stay noted."""
        now = time.time()
        for incident, (stream, at) in happened.items():
            recorded = self._is_recorded(incident, stream)
            if recorded and (candidate := self.tool.record.facts(stream).candidate) is not None:
                self.tool.book.look_at(candidate, now)
            if recorded or now - at > UNRECORDED_S:
                self._happened.pop(incident, None)

    def _is_recorded(self, incident: str, stream: str) -> bool:
        with contextlib.suppress(RecordError):  # not a word of it as yet, or changed by somebody
            return incident in {one.id for one in self.tool.record.incidents(stream)}
        return False


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
