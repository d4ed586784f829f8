"""The parent of workers, without any processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamer.config import Config
from streamer.server.workers import supervisor
from streamer.server.workers.worker import LogSettings


@pytest.mark.parametrize("error", [OSError(12, "no memory"), RuntimeError("x"), MemoryError()])
async def test_whatever_keeps_a_worker_from_starting_is_said_and_tried_again(
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    started: list[int] = []

    def start(settings: Any) -> str:
        started.append(settings.number)
        if len(started) < 4:
            raise error
        return "a worker"

    monkeypatch.setattr(supervisor, "Worker", start)
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.001)
    parent = supervisor.Supervisor(Config(data_dir=tmp_path), LogSettings("info", False))
    parent._folder = Path()
    with caplog.at_level("ERROR", logger=supervisor.log.name):
        assert await parent._started(7) == "a worker"
    assert started == [7, 7, 7, 7]
    said = [record.message for record in caplog.records]
    assert len(said) == 3
    assert all(f"worker 7 cannot be started ({type(error).__name__}" in words for words in said)
