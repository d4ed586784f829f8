"""Decides how far live streams are slowed when the machine cannot keep up.

An overloaded server scores every stream less often rather than some streams late. It widens
the hop step by step while live windows start after their deadline. It goes back once no window
has been late for a while, at once as far as the work of the shorter hop would fit in easily:
whoever stays when a crowd has left has its own hop again within seconds. What would only just
fit is tried after a longer while, as a server at its limit would swing otherwise. Times are
passed in; nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OverloadConfig:
    """Times are in seconds. ``hops_s`` ascends, and its first stands for the streams' own hop."""

    hops_s: tuple[float, ...] = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
    review_s: float = 0.25  # between reviews; only two late ones in a row widen the hop
    settle_s: float = 1.0  # before the next change: the queue must run before one shows
    calm_s: float = 1.25  # without a late window before the hop goes back, and between looks
    easy: float = 0.5  # largest share of the threads' time to be used after that
    patient_s: float = 8.0  # without a late window before what just fits is tried
    fill: float = 0.8  # largest share of the threads' time to be used after that
    threads: int = 1

    def __post_init__(self) -> None:
        if list(self.hops_s) != sorted(set(self.hops_s)) or self.hops_s[0] <= 0:
            raise ValueError("the hops must ascend from above 0")
        if min(self.review_s, self.settle_s, self.calm_s, self.easy) <= 0 or self.threads < 1:
            raise ValueError("times, shares and threads must be positive")
        if self.easy > self.fill or self.calm_s > self.patient_s:
            raise ValueError("what fits easily must be less than what just fits, and sooner")


class Overload:
    """Measures how late windows are and how much the threads work, and decides the hop."""

    def __init__(self, config: OverloadConfig | None = None) -> None:
        self._config = config or OverloadConfig()
        self._level = 0
        self._late_reviews = 0
        self._worst = 0.0  # greatest lateness since the last review, in seconds
        self._busy = 0.0  # seconds that the threads have worked since `_busy_from`
        self._next_review: float | None = None
        self._changed = self._calm_from = self._busy_from = 0.0
        self.late_s = 0.0  # greatest lateness at the last review

    @property
    def hop_s(self) -> float:
        """The shortest hop served now, or 0 where every stream may keep its own."""
        return self._config.hops_s[self._level] if self._level else 0.0

    def started(self, late_s: float) -> None:
        """A live window is being run ``late_s`` after its deadline, or before it if negative."""
        self._worst = max(self._worst, late_s)

    def ran(self, seconds: float) -> None:
        """A thread has worked for so long."""
        self._busy += seconds

    def review(self, now: float, oldest_late_s: float) -> float | None:
        """The new hop, if it changes.

        ``oldest_late_s`` is how late the oldest live window in the queue is.
        """
        if self._next_review is not None and now < self._next_review:
            return None
        if self._next_review is None:
            self._changed, self._calm_from = now - self._config.settle_s, now
            self._busy_from = now
        self._next_review = now + self._config.review_s
        self.late_s, self._worst = max(self._worst, oldest_late_s, 0.0), 0.0
        before = self._level
        if self.late_s > 0:
            self._late(now)
        else:
            self._late_reviews = 0
            self._calm(now)
        return self.hop_s if self._level != before else None

    def _late(self, now: float) -> None:
        self._late_reviews += 1
        self._calm_from = self._busy_from = now
        self._busy = 0.0
        settled = now >= self._changed + self._config.settle_s
        if self._late_reviews > 1 and settled and self._level + 1 < len(self._config.hops_s):
            self._level, self._changed, self._late_reviews = self._level + 1, now, 0

    def _calm(self, now: float) -> None:
        """Go back as far as the work at the shorter hop would fit, by that since the last look."""
        config, hops_s = self._config, self._config.hops_s
        passed_s = now - self._busy_from
        if passed_s < config.calm_s:
            return
        work = self._busy / (config.threads * passed_s) * hops_s[self._level]
        self._busy, self._busy_from = 0.0, now
        fill = config.fill if now >= self._calm_from + config.patient_s else config.easy
        while self._level and work / hops_s[self._level - 1] < fill:
            self._level, self._changed, self._calm_from = self._level - 1, now, now
