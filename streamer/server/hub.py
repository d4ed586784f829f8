"""Fan-out: every stream's messages to whoever follows, one bounded outbox each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine import events
from streamer.server.figures import plain
from streamer.server.outbox import Message, Outbox
from streamer.wire.messages import Level


class Subscription:
    """One follower: of a single stream (its public id) or of all, with levels or without.

    ``kinds`` are the types of event it wants; ``None``: all. Without ``figures`` it is told none.
    """

    def __init__(
        self,
        outbox: Outbox,
        stream: str | None,
        levels: bool,
        kinds: tuple[type[events.Event], ...] | None = None,
        figures: bool = True,
    ) -> None:
        self.outbox, self.stream, self.levels, self.kinds = outbox, stream, levels, kinds
        self.figures = figures
        self.seen: set[str] = set()  # streams that it was told of

    def wants(self, stream: str, message: Message) -> bool:
        """Whether a message of that stream is for this follower."""
        if self.stream is not None and self.stream != stream:
            return False
        if self.kinds is not None and not isinstance(message.event, self.kinds):
            return False
        return self.levels or not isinstance(message.event, Level)


class Hub:
    """Hands messages on and waits for nobody: a follower that is too slow is given up."""

    def __init__(self) -> None:
        self._followers: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._followers)

    @contextmanager
    def follow(
        self,
        *,
        stream: str | None = None,
        levels: bool = False,
        kinds: tuple[type[events.Event], ...] | None = None,
        figures: bool = True,
        first: int = 1,
        limit: int = 1024,
    ) -> Iterator[Subscription]:
        """A subscription for as long as the context lasts; ``first`` is its first number."""
        outbox = Outbox(first=first, limit=limit)
        subscription = Subscription(outbox, stream, levels, kinds, figures)
        self._followers.add(subscription)
        try:
            yield subscription
        finally:
            self._followers.discard(subscription)

    def wants_levels(self, stream: str) -> bool:
        """Whether anybody draws that stream's waveform: otherwise it is not even measured."""
        return any(f.levels and f.stream in (None, stream) for f in self._followers)

    def publish(self, stream: str, message: Message) -> None:
        """To every follower of the stream with that public id."""
        wanting = [f for f in self._followers if f.wants(stream, message)]
        if not wanting:
            return
        named = message.within(stream)
        for follower in wanting:
            if (told := named if follower.figures else plain(named)) is not None:
                follower.outbox.put(told)
                follower.seen.add(stream)
