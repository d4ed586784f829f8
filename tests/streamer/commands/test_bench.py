"""`bench`: its options reach the measurement, and its report is printed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from program import Run


@pytest.mark.parametrize("kind", ["engine", "streams"])
def test_a_benchmark_gets_its_options_and_its_report_is_printed(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from streamer.bench import engine, streams

    module = {"engine": engine, "streams": streams}[kind]
    asked = []

    def measure(options: Any, progress: Callable[[str], None]) -> Any:
        asked.append(options)
        progress("measuring")
        return SimpleNamespace(json=lambda: "{}", table=lambda: "a table")

    monkeypatch.setattr(module, "run", measure)
    done = run("bench", kind, "--provider", "cpu", "--seconds", 3, "--streams", 7)
    assert (done.stdout, done.stderr) == ("a table\n", "")  # nobody watches it
    assert run("bench", kind, "--json").stdout == "{}\n"
    assert (asked[0].provider, asked[0].seconds, asked[0].streams) == ("cpu", 3.0, 7)
    assert (asked[1].provider, asked[1].streams) == ("auto", None)
