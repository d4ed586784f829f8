"""Sound around the incidents of live streams, kept where it is set and agreed to."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import VoxwatchError
from streamer.exams.consents import clips_allowed
from streamer.records.clip_writer import ClipWriter, Permission
from streamer.records.sound import RING_SAMPLES, span_of
from streamer.server.exam_consents import who_allows_clips
from streamer.wire.incidents import Incident

if TYPE_CHECKING:
    from streamer.server.live_stream import LiveStream

MOST_OF_STREAM = 100  # clips, 3.4 MB of speech

log = logging.getLogger("voxwatch.records")


@dataclass(slots=True)
class _Wanted:
    """A clip whose sound is not all there yet: up to sample ``until``."""

    incident: str
    since: int
    until: int


class StreamClips:
    """Of one stream: it holds sound only while its candidate's consent allows it."""

    def __init__(self, stream: LiveStream, writer: ClipWriter) -> None:
        self._stream, self._writer = stream, writer
        self._wanted: list[_Wanted] = []
        self._known: set[str] = set()  # incidents of which there is, or will be, a clip
        self._asked = 0  # how often it was asked whether clips are allowed
        self._person: str | None = None  # who allowed it

    def claim(self) -> None:
        """The stream begins, or others are claimed from here on: ask who agreed to what."""
        self._wanted.clear()
        self._stream.session.keep_recent(0)
        self._asked += 1
        if (sitting := self._stream.sitting) is None or not self._stream.claim.verified:
            return
        context, loop, asked = self._stream.context, asyncio.get_running_loop(), self._asked

        def answer(found: Future[str | None]) -> None:
            if not found.cancelled():
                loop.call_soon_threadsafe(self._begin, asked, found)

        found = context.book_threads.submit(who_allows_clips, context, sitting)
        found.add_done_callback(answer)

    def hear(self) -> None:
        """Sound has come."""
        recent = self._stream.session.recent
        while recent is not None and self._wanted and self._wanted[0].until <= recent.end:
            self._keep(self._wanted.pop(0))

    def receive(self, incident: Incident) -> None:
        """An incident was told, for the first time or anew."""
        recent = self._stream.session.recent
        new = incident.id not in self._known and len(self._known) < MOST_OF_STREAM
        if recent is None or not new:
            return
        self._known.add(incident.id)
        since, until = span_of(incident.since, recent)
        self._wanted.append(_Wanted(incident.id, since, until))
        self._wanted.sort(key=lambda one: one.until)
        self.hear()

    def end(self) -> None:
        """No more sound comes: what there is has to do."""
        for one in self._wanted:
            self._keep(one)
        self._wanted.clear()
        self._stream.session.keep_recent(0)

    def _begin(self, asked: int, found: Future[str | None]) -> None:
        """Whether clips are allowed is known."""
        if asked != self._asked or self._stream.record.ended:
            return
        try:
            self._person = found.result()
        except VoxwatchError as error:
            log.error("no sound of stream %s is kept: %s", self._stream.id, error)
            return
        if self._person is not None:
            self._stream.session.keep_recent(RING_SAMPLES)

    def _keep(self, wanted: _Wanted) -> None:
        recent = self._stream.session.recent
        if recent is None:
            return
        since = max(wanted.since, recent.begin)
        samples = recent.piece(since, wanted.until)
        if len(samples):
            permission = self._permission()
            self._writer.put(self._stream.id, wanted.incident, since, samples, permission)

    def _permission(self) -> Permission:
        """Asks, in another thread, whether the same person still allows it."""
        context, sitting, person = self._stream.context, self._stream.sitting, self._person
        assert sitting is not None
        assert person is not None
        candidate, reference = sitting.candidate.id, bytes.fromhex(person)
        return Permission(
            known=lambda: who_allows_clips(context, sitting) == person,
            holds=lambda connection: clips_allowed(connection, reference, candidate),
        )
