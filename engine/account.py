"""What the engine has done: counted as it happens, told as one record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.serving.inference import Answers
from engine.serving.scheduler import Entry


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counts since the start, but for ``queued``, ``streams`` and ``hop_s``, which are now's.

    ``batch_sizes`` counts batches of windows by their rows; ``vad_calls`` the detector's
    network calls, each over one frame of many streams; ``late`` the live windows answered
    after their deadline; ``hop_s`` is 0 where live streams keep their own. The CPU seconds
    are those of the inference threads themselves: a backend that has threads of its own
    (``threads`` above 1) works outside them.
    """

    windows: int
    batches: int
    batch_sizes: dict[int, int]
    frames: int
    vad_calls: int
    queued: int
    longest_wait_s: float
    late: int
    model_cpu_s: float
    vad_cpu_s: float
    failures: int
    streams: int
    hop_s: float


class Account:
    """The counters behind :class:`EngineStats`."""

    def __init__(self) -> None:
        self._sizes: Counter[int] = Counter()
        self._windows = self._frames = self._vad_calls = self._late = self._failures = 0
        self._longest_wait_s = self._model_cpu_s = self._vad_cpu_s = 0.0

    def failed(self) -> None:
        """A job was answered by a failure."""
        self._failures += 1

    def detected(self, answers: Answers) -> None:
        """A batch of detections has run."""
        self._frames += answers.frames
        self._vad_calls += answers.calls
        self._vad_cpu_s += answers.cpu_s

    def embedded(self, entries: Sequence[Entry], answers: Answers, now: float) -> None:
        """A batch of windows has run."""
        self._sizes[len(entries)] += 1
        self._windows += len(entries)
        oldest_s = min(entry.arrived_s for entry in entries)
        self._longest_wait_s = max(self._longest_wait_s, now - oldest_s)
        self._late += sum(entry.live and now > entry.due_s for entry in entries)
        self._model_cpu_s += answers.cpu_s

    def stats(self, *, queued: int, streams: int, hop_s: float) -> EngineStats:
        """Everything by now."""
        return EngineStats(
            windows=self._windows,
            batches=sum(self._sizes.values()),
            batch_sizes=dict(self._sizes),
            frames=self._frames,
            vad_calls=self._vad_calls,
            queued=queued,
            longest_wait_s=self._longest_wait_s,
            late=self._late,
            model_cpu_s=self._model_cpu_s,
            vad_cpu_s=self._vad_cpu_s,
            failures=self._failures,
            streams=streams,
            hop_s=hop_s,
        )
