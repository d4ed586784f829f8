"""What the door of live streams measures of the engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from streamer.server.limits.admission import Admission


async def test_all_that_the_capacity_goes_by_is_of_the_engine() -> None:
    engine: Any = SimpleNamespace(
        threads=2, live_windows=(40, 3), speaking=5, live_s=1.5, files_s=0.0, late_s=0.0, hop_s=0.75
    )
    work = Admission(engine, lambda: 7)._work(now=2.0, loop_late_s=0.25)
    assert (work.at_s, work.threads_s, work.streams, work.speaking) == (2.0, 1.5, 7, 5)
    assert (work.windows, work.late, work.behind_s, work.widened) == (40, 3, 0.25, True)
    engine.late_s, engine.files_s, engine.hop_s = 0.5, 1e6, 0.0
    later = Admission(engine, lambda: 7)._work(now=3.0, loop_late_s=0.25)
    assert (later.behind_s, later.widened) == (0.5, False)
    assert later.loop_s < 0 < work.loop_s
