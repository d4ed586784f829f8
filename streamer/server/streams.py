"""`/v1/stream`: connections that come, go and come back, and the streams they attend."""

from __future__ import annotations

import asyncio
import logging

from streamer.server.attendance import attend
from streamer.server.caller import Caller
from streamer.server.claim import Claim
from streamer.server.connection import Connection
from streamer.server.context import Context
from streamer.server.descriptions import opened
from streamer.server.limits.admission import RETRY_S, Admission
from streamer.server.limits.shares import Shares
from streamer.server.live_stream import LiveStream
from streamer.server.one_stream import make_way
from streamer.server.outbox import Message, Outbox
from streamer.server.reading import Beginning, Reader
from streamer.server.resumable import Call, CallLocks, ResumableStream, begun_already, call_of
from streamer.server.seat_watch import follow_seat
from streamer.server.stream_incidents import EndedStreams
from streamer.server.workers.relay import relay
from streamer.tasks import beside
from streamer.wire.errors import GOING_AWAY, INTERNAL, WireError
from streamer.wire.messages import Closed
from streamer.wire.parsing import claims_of
from streamer.wire.requests import StartStream

log = logging.getLogger("voxwatch.server")

# RFC 6455, section 7.4.1. LOST: closed without a close frame.
LOST, TOO_BIG = 1006, 1009
MANY = "the server has all the streams that it takes (limits.streams)"
YOURS = "this client has its share of the streams that the server takes (limits.streams)"


class Streams:
    """The streams of a server, attended or waiting for their client to come back."""

    def __init__(self, context: Context, tasks: asyncio.TaskGroup) -> None:
        self._context, self._tasks = context, tasks
        self._streams: dict[str, ResumableStream] = {}  # by the session's secret
        self._call_locks = CallLocks()
        self._places = Shares(context.config.limits.streams)
        self.admission = Admission(context.engine, self._live)
        self._gone = asyncio.Event()  # a stream was removed
        self.ended = EndedStreams()
        self._passed_on = 0  # connections whose session is another worker's

    def __len__(self) -> int:
        return len(self._streams)

    def _live(self) -> int:
        held = self._streams.values()
        return sum(one.place is not None and one.stream.stream.live for one in held)

    def all(self) -> list[LiveStream]:
        """Every stream, in the order they were opened."""
        return [held.stream for held in self._streams.values()]

    async def serve(self, connection: Connection, beginning: Beginning) -> None:
        """One connection, after its start. Raises :class:`WireError`, ``ConnectionClosed``."""
        start, call = beginning.start, call_of(connection.caller, beginning)
        peers, session = self._context.peers, start.session
        if session is not None and (owner := peers.owner(session)) != peers.number:
            await self._pass_on(connection, owner, start)
            return
        if session is not None:
            held, resume_from = self._resumable(session), start.resume_from
        elif call is not None:
            held, resume_from = await self._called(call, connection.caller)
        else:
            held, resume_from = await self._open(start, connection.caller), None
        await self._attend(held, connection, beginning.reader, resume_from)

    async def _called(self, call: Call, caller: Caller) -> tuple[ResumableStream, int | None]:
        """The stream of a call, another one unless it has begun, and from where it is told on."""
        async with self._call_locks.of(call):
            begun = begun_already(self._streams.values(), call)
            if begun is not None:
                return begun, begun.stream.outbox.next_number
            held = await self._open(call.start, caller)
            held.call = call
            return held, None

    async def _pass_on(self, connection: Connection, owner: int, start: StartStream) -> None:
        """The session is another worker's: what is said on this connection is for that one."""
        self._passed_on += 1
        try:
            passing = relay(self._context.peers, owner, connection, start)
            await beside(passing, connection.revocation())
        finally:
            self._passed_on -= 1
            self._gone.set()

    async def _open(self, start: StartStream, caller: Caller) -> ResumableStream:
        client = caller.client
        if not self._places.take(client):
            told = MANY if self._places.full else YOURS
            raise WireError("overloaded", told, retry_s=RETRY_S)
        try:
            if start.live is not False:  # a file has only what live streams leave, and waits
                await self.admission.enter()
            generation = self._context.enrolled.generation
            held = await self._opened(start, caller)
        except BaseException:
            self._places.give_back(client)
            raise
        if generation != self._context.enrolled.generation:
            # Somebody may have been deleted between reading the store and being in the table.
            try:
                await held.stream.renew(await self._context.enrolled.find(()))
            except BaseException:  # nobody will attend it
                self.remove(held.stream, INTERNAL)
                raise
        return held

    async def _opened(self, start: StartStream, caller: Caller) -> ResumableStream:
        sitting = await self._context.seats.sitting(start, caller.grant)
        if sitting is not None:
            start = sitting.start(start)
        names = claims_of(start.claim, self._context.config.limits.claims)
        self._context.check_quota(caller)
        self._context.check_attempts(caller, names)
        enrolled = await self._context.enrolled.find(names)
        if self._context.draining:
            raise WireError("shutting-down", "the server stops: connect again later")
        claim = Claim(tuple(enrolled) if names else (), enrolled)
        stream = LiveStream(self._context, start, claim, caller, sitting)
        held = self._streams[stream.secret] = ResumableStream(stream, caller.client)
        if sitting is not None:
            self._tasks.create_task(make_way(self._context, self, stream), name="make way")
        self._context.hub.publish(stream.id, Message(opened(stream)))
        self._tasks.create_task(self._run(held), name=f"stream {stream.id}")
        log.info("stream %s opened: %s", stream.id, stream.claim.mode)
        return held

    def make_way(self, candidate: str, opened_at: float, stream: str) -> list[str]:
        """End the candidate's streams before that one; those that are known, ended ones too.

        All workers agree which one was last: by when it was opened, and by its id.
        """
        moved = WireError("taken-over", "the candidate's link was opened anew")
        known = [one.stream for one in self.ended.all() if one.candidate == candidate]
        for held in list(self._streams.values()):
            one = held.stream
            if one.sitting is None or one.sitting.candidate.id != candidate:
                continue
            known.append(one.id)
            if (one.opened_at, one.id) < (opened_at, stream):
                one.fail(moved)
                if not held.connections:
                    self.remove(one, moved.close_code)
        return known

    async def follow_seats(self, now: float) -> None:
        """Streams of exams that are over end, and those of candidates who may not go on.

        ``now`` is in seconds since 1970.
        """
        for held in list(self._streams.values()):
            if held.stream.sitting is not None and not held.stream.intake.finalized:
                await follow_seat(held.stream, self._context.seats, now)

    async def _run(self, held: ResumableStream) -> None:
        """The stream to its end. A client may still fetch what it said, but its place is free."""
        await held.stream.pump()
        held.stream.count_attempt()
        self._free(held)
        finished = [one for one in self._streams.values() if one.place is None]
        for one in finished[: -self._context.config.limits.streams]:
            if not one.connections:
                self.remove(one.stream, one.stream.closing[0])

    def _free(self, held: ResumableStream) -> None:
        place, held.place = held.place, None
        if place is not None:
            self._places.give_back(place)

    def _resumable(self, secret: str) -> ResumableStream:
        held = self._streams.get(secret)
        if held is None:
            raise WireError("unknown-session", "that session is over: start a new stream")
        return held

    async def _attend(
        self,
        held: ResumableStream,
        connection: Connection,
        reader: Reader,
        resume_from: int | None,
    ) -> None:
        """Serve the stream over this connection; one that held it until now has to let go."""
        for other in held.connections:
            other.displaced.set()
            held.stream.record.dropped("the client came back over another connection")
        held.connections.append(connection)
        try:
            # The other one lets go when the message it was handing over has been taken, so
            # that `received_bytes` is exact from here on.
            async with held.turn:
                self._resumable(held.stream.secret)
                if held.expiry:
                    held.expiry.cancel()
                if not connection.displaced.is_set():
                    await attend(held.stream, connection, reader, resume_from)
            if connection.displaced.is_set():
                connection.outbox = Outbox(
                    first=held.stream.outbox.next_number
                )  # its own from here on
                raise WireError("taken-over", "the stream goes on over another connection")
        finally:
            held.connections.remove(connection)
            self._leave(held, connection)

    def _leave(self, held: ResumableStream, connection: Connection) -> None:
        """A connection is gone: the stream is over, goes on with another, or waits for one."""
        stream, protocol = held.stream, connection.protocol
        told = stream.outbox.ended and not len(stream.outbox) and protocol.close_rcvd is not None
        told = told or (stream.outbox.ended and held.call is not None)  # who is told nothing
        refused = protocol.close_sent is not None and protocol.close_sent.code == TOO_BIG
        if stream.secret not in self._streams or held.connections:
            return
        if refused:
            stream.closing = (TOO_BIG, "message-too-big")
            self._context.counts.errors["message-too-big"] += 1
        if refused or told:
            self.remove(stream, stream.closing[0])
        elif connection.left or self._context.draining:
            self.remove(stream, protocol.close_code or LOST)
        else:
            wait_s = self._context.config.limits.resume_s
            loop = asyncio.get_running_loop()
            held.expiry = loop.call_later(wait_s, self._expire, held)
            stream.record.dropped(f"closed with {protocol.close_code or LOST}")
            log.info("stream %s lost its client", stream.id)

    def _expire(self, held: ResumableStream) -> None:
        """Nobody came back. Of a call what was said is judged to its end."""
        if held.call is None:
            self.remove(held.stream, LOST)
        else:
            ending = self._end_call(held)
            self._tasks.create_task(ending, name=f"end of call {held.stream.id}")

    async def _end_call(self, held: ResumableStream) -> None:
        await held.stream.intake.finalize()
        await held.stream.outbox.drain()
        self.remove(held.stream, LOST)

    def remove(self, stream: LiveStream, code: int) -> None:
        """The stream is over; its session can no longer be resumed."""
        held = self._streams.pop(stream.secret, None)
        if held is None:
            return
        if held.expiry:
            held.expiry.cancel()
        self._free(held)
        self._context.counts.coalesced += stream.outbox.coalesced
        self._gone.set()
        stream.sum_up()
        stream.outbox.end()
        stream.record.end(code, stream.closing[1])
        self.ended.keep(stream)
        self._context.hub.publish(
            stream.id, Message(Closed(t=stream.session.received_s, code=code))
        )
        self._tasks.create_task(stream.stream.close(), name=f"end of stream {stream.id}")
        log.info("stream %s closed: %s", stream.id, f"{code} {stream.closing[1]}".rstrip())

    def fail_on(self, connection: Connection, error: WireError) -> None:
        """End the stream that this connection attends, if it attends one."""
        for held in self._streams.values():
            if connection in held.connections:
                held.stream.fail(error)

    async def renew(self) -> None:
        """The store has changed: streams compare with those who are enrolled now."""
        everybody = await self._context.enrolled.find(())
        for stream in self.all():
            await stream.renew(everybody)

    async def empty(self) -> None:
        """Until no stream is left, and none of another worker goes on over this one."""
        while self._streams or self._passed_on:
            self._gone.clear()
            await self._gone.wait()

    async def retire(self) -> None:
        """The server stops: streams tell what they know and end; those without a client end now."""
        for held in list(self._streams.values()):
            if held.connections:
                stops = WireError("shutting-down", "the server stops: connect again later")
                await held.stream.intake.cut(stops)
            else:
                self.remove(held.stream, GOING_AWAY)
