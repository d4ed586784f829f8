"""How an engine serves its streams: bounds, deadlines and threads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """``threads`` ``None`` is a thread for each core this process may use, two on a GPU.

    A live window is due ``deadline_s`` after its sound arrived, or would have arrived in real time
    if it came sooner. A file, which is a stream that sends faster than real time, has what live
    streams leave; its windows are due after ``patience_s``. ``batching`` false runs every job by
    itself, for comparison.
    """

    threads: int | None = None
    backlog_s: float = 4.0  # seconds of unscored sound beyond which a sender waits
    unread_events: int = 4096  # of one stream, at which its sender waits
    capacity: int = 1024  # windows in the queue; more are refused
    ahead_s: float = 2.0  # seconds ahead of real time beyond which a stream is not live
    deadline_s: float = 0.2
    patience_s: float = 2.0
    batching: bool = True

    def __post_init__(self) -> None:
        if min(self.backlog_s, self.ahead_s, self.deadline_s, self.patience_s) <= 0:
            raise ValueError("backlog, lead, deadline and patience must be positive")
        counts = (self.unread_events, self.capacity, 1 if self.threads is None else self.threads)
        if min(counts) < 1:
            raise ValueError("threads, unread events and capacity must be positive")
