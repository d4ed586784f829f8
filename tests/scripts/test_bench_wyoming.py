"""A short run of the measurement of how long transcripts are held."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.model.bundle import Bundle
from scripts.bench_wyoming import CHUNK, commands, measure
from streamer.bench.processes import server


def test_commands_are_of_one_length_and_differ() -> None:
    first, second = commands(2)
    assert len(first) == len(second) > 2 * CHUNK
    assert first != second


@pytest.mark.slow
async def test_the_recogniser_and_the_proxy_are_both_measured(
    tmp_path: Path, spectral_bundle: Bundle
) -> None:
    with server(tmp_path, spectral_bundle.folder, "cpu", batching=True) as served:
        found = await measure(served, commands(2), 0.05)
    assert found["recogniser_ms"] >= 50
    assert (found["commands"], found["passed"]) == (1, 0)  # nobody is enrolled there
    assert found["held_longer_ms"]["least"] == found["held_longer_ms"]["most"]
