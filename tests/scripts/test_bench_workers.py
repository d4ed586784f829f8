"""What the measurement of workers calls in time, and a short run of it."""

from __future__ import annotations

import pytest

from engine.model.bundle import Bundle
from scripts.bench_workers import in_time, measure
from streamer.commands.bench import BenchStreams


def test_scores_are_in_time_when_all_of_them_came_soon() -> None:
    told = {"scores": 400, "lost": 0, "delay_p99_s": 0.2}
    assert in_time(told, streams=10, alone=40)
    assert not in_time(told, streams=12, alone=40)
    assert in_time(told, streams=12, alone=34)  # of speech with pauses
    assert not in_time({**told, "scores": 0}, streams=10, alone=0)
    assert not in_time({**told, "lost": 1}, streams=10, alone=40)
    assert not in_time({**told, "delay_p99_s": 0.3}, streams=10, alone=40)


@pytest.mark.slow
def test_two_workers_are_measured(spectral_bundle: Bundle) -> None:
    options = BenchStreams(seconds=3, bundle=spectral_bundle.folder)
    found = measure(2, options, step=2, most=2)
    assert found["workers"] == 2
    assert [one["streams"] for one in found["steps"]] == [2]
    assert found["steps"][0]["scores"] > 0
    assert found["steps"][0]["lost"] == 0
