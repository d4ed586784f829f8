"""Who gave this command? One stream to a server, asked about spans of what was sent.

    async with SpeakerGate("ws://localhost:8765", claim="alice") as gate:
        gate.hear(pcm)                          # never waits, never raises
        since_s = gate.heard_s - 2.0            # the command was the last two seconds
        verdict = await gate.judge(since_s)     # waits at most `wait_s`
        if verdict.allowed:
            ...

Made for agents, whose transcripts come later than the sound and out of step with it: a verdict is
on the turns of exactly that span, never on the latest state. A server that is away, restarts in
the middle of a turn or does not answer in time makes no exception: the verdict is ``unavailable``,
and ``when_unsure`` says whether that is let through.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, Self

import voxwatch_client
from voxwatch_client.connection import address
from voxwatch_client.errors import ClientError, ServerError
from voxwatch_client.messages import SAMPLE_BYTES, Encoding
from voxwatch_client.stream import ClientStream, Timing
from voxwatch_client.tasks import beside
from voxwatch_client.turns import Turns
from voxwatch_client.verdicts import GateState, GateVerdict, WhenUnsure, verdict_of

log = logging.getLogger("voxwatch_client")

BACKLOG_S = 5.0  # of sound that waits for the server: with more of it the stream begins anew
LEAD_S = 0.5  # by which a span may begin before the stream, as speech is said to begin early
FIRST_DELAY_S, LONGEST_DELAY_S = 0.2, 5.0  # between two attempts to reach the server


class SpeakerGate:
    """A stream that is opened again whenever it ends, and verdicts on spans of its sound.

    Times are seconds of all the sound that was given to :meth:`hear`. ``when_unsure`` says what
    becomes of anything that is neither a match nor a mismatch.
    """

    def __init__(
        self,
        url: str,
        *,
        claim: str | Sequence[str],
        sample_rate: int = 16_000,
        channels: int = 1,
        encoding: Encoding = "pcm_s16le",
        wait_s: float = 1.0,
        when_unsure: WhenUnsure = "drop",
        **options: Any,
    ) -> None:
        if claim is None:  # a name that is missing is not to open the gate to all enrolled
            raise ValueError("claim: say who may be heard, or () for anybody enrolled")
        address(url, "/")  # raises ConnectionFailed for one that no server can ever have
        self.url, self.wait_s, self.when_unsure = url, wait_s, when_unsure
        self._options: dict[str, Any] = {
            "claim": claim,
            "sample_rate": sample_rate,
            "channels": channels,
            "encoding": encoding,
            "timing": Timing(buffer_s=BACKLOG_S),
            **options,
        }
        self._bytes_per_s = sample_rate * channels * SAMPLE_BYTES[encoding]
        self._heard_bytes = 0
        self._waiting: deque[bytes | str] = deque()  # sound, and marks at their place in it
        self._waiting_bytes = 0
        self._work, self._news = asyncio.Event(), asyncio.Event()
        self._tried, self._left, self._muted = asyncio.Event(), False, False
        self._refused: ServerError | None = None
        self._turns: Turns | None = None  # of the stream that is open, None while there is none

    async def __aenter__(self) -> Self:
        """Raises :class:`ServerError` where the server refuses what is asked, such as the claim.

        That it cannot be reached is no reason not to begin: it is tried again. A gate that was left
        may be entered again, as by an agent that comes back to a conversation.
        """
        self._left = False
        self._tried.clear()
        self._task = asyncio.create_task(self._keep_open(), name="voxwatch gate")
        await self._tried.wait()
        if self._refused is not None:
            await self.__aexit__()
            raise self._refused
        return self

    async def __aexit__(self, *_: object) -> None:
        self._left = True  # a failure in the same moment would take the cancellation's place
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @property
    def heard_s(self) -> float:
        """Seconds of sound so far."""
        return self._heard_bytes / self._bytes_per_s

    @property
    def connected(self) -> bool:
        """Whether the server hears us."""
        return self._turns is not None

    @property
    def live(self) -> GateVerdict:
        """Who speaks in the present turn, by its own speech so far."""
        if (turns := self._turns) is None:
            return self._verdict("unavailable")
        if (score := turns.live) is None:
            return self._verdict("insufficient")
        state = turns.state_of(score)
        speaker = score.speaker if state == "match" else None
        return self._verdict(state, speaker=speaker, heard_s=turns.began_s + score.t)

    def hear(self, pcm: bytes) -> None:
        """Sound, in pieces of any size."""
        self._heard_bytes += len(pcm)
        if self._turns is None:
            return  # nobody hears it; no verdict will be given on it
        self._waiting.append(pcm)
        self._waiting_bytes += len(pcm)
        if self._waiting_bytes > BACKLOG_S * self._bytes_per_s:
            self._turns = None  # the server is behind: begin again with what comes now
        self._work.set()

    def turn(self) -> None:
        """The present turn ends here, and another begins."""
        self._mark("turn")

    def mute(self, on: bool) -> None:
        """What comes is our own loudspeaker, which is heard and never judged, or no longer is."""
        self._muted = on
        if self._turns is not None:
            self._turns.mute(self.heard_s, on)
        self._mark("mute" if on else "unmute")

    async def judge(
        self, since_s: float, until_s: float | None = None, *, wait_s: float | None = None
    ) -> GateVerdict:
        """The verdict on what was said from ``since_s`` to ``until_s``, or until now."""
        until_s = self.heard_s if until_s is None else until_s
        if self._turns is not None and self._turns.on(since_s, until_s) is None:
            self.turn()  # its verdict is given at once, and not after the pause that ends a turn
        try:
            async with asyncio.timeout(self.wait_s if wait_s is None else wait_s):
                while True:
                    if (turns := self._turns) is None or since_s < turns.began_s - LEAD_S:
                        return self._verdict("unavailable", reason="the server cannot be reached")
                    if (found := turns.on(since_s, until_s)) is not None:
                        return verdict_of(found, self.when_unsure)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return self._verdict("unavailable", reason="the server has not answered in time")

    async def judge_last(
        self, *, within_s: float = 30.0, wait_s: float | None = None
    ) -> GateVerdict:
        """The verdict on the turn that was said last, if that is not longer ago."""
        began_s = self._turns.began_s if self._turns else 0.0
        found = await self.judge(max(began_s, self.heard_s - within_s), wait_s=wait_s)
        judged = [turn for turn in found.turns if not turn.background]
        return verdict_of(judged[-1:], self.when_unsure) if judged else found

    def _verdict(self, state: GateState, **known: Any) -> GateVerdict:
        return GateVerdict.of_state(state, self.when_unsure, **known)

    def _mark(self, mark: str) -> None:
        if self._turns is not None:
            self._waiting.append(mark)
            self._work.set()

    async def _keep_open(self) -> None:
        self._refused, delay_s = None, FIRST_DELAY_S
        while not self._left:
            try:
                async with voxwatch_client.connect(self.url, **self._options) as stream:
                    delay_s = FIRST_DELAY_S
                    self._begin(stream)
                    await beside(self._receive(stream), self._transmit(stream))
            except ClientError as error:
                log.warning("no verdicts for now: %s", error)
                if isinstance(error, ServerError) and not self._tried.is_set():
                    self._refused = error
            finally:
                self._turns = None
                self._news.set()
                self._tried.set()
            await asyncio.sleep(0 if self._left else delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    def _begin(self, stream: ClientStream[Any, Any]) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
        self._tried.set()
        bounds = stream.ready.bounds
        self._turns = Turns(self.heard_s, bounds.accept_llr, bounds.reject_llr)
        if self._muted:  # of which another stream knows nothing
            self.mute(True)

    async def _receive(self, stream: ClientStream[Any, Any]) -> None:
        async for message in stream:
            if self._turns is None:
                return
            self._turns.receive(message)
            self._news.set()

    async def _transmit(self, stream: ClientStream[Any, Any]) -> None:
        while self._turns is not None:
            while self._waiting and self._turns is not None:
                waiting = self._waiting.popleft()
                if isinstance(waiting, bytes):
                    self._waiting_bytes -= len(waiting)
                    await stream.send(waiting)
                elif waiting == "turn":
                    await stream.turn()
                else:
                    await stream.mute(waiting == "mute")
            self._work.clear()
            if self._turns is not None:
                await self._work.wait()
        raise ClientError("the server is too far behind: the stream begins again")
