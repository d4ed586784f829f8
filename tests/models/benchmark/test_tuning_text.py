from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.decisions.config import DecisionConfig
from models.benchmark.tune import Bounded, Costs, Tried, Tuning
from models.benchmark.tuning_text import as_text, as_toml
from models.cli import app
from streamer.config_sources import load

CHOSEN = Tried(
    DecisionConfig(false_accept=0.02, miss=0.05),
    Bounded(0, 400, 0.0, 0.0075),
    Bounded(1, 200, 0.005, 0.03),
    Bounded(0, 4, 0.0, 0.75),
    accept_p50_s=3.0,
)
TUNING = Tuning(Costs(0.01, 0.05), (CHOSEN,), 200)


def test_the_chosen_setting_stands_under_what_was_asked_for_and_measured() -> None:
    text = as_toml(TUNING)
    assert "\nfalse_accept = 0.02\nmiss = 0.05\n" in text
    assert "200 speakers: at most 1 % false accepts and 5 % misses" in text
    assert "0 of 400 wrong, up to 0.75 %; 1 of 200 wrong, up to 3 %" in text
    assert "Half of the speakers were accepted within 3.0 s of speech" in text


def test_every_setting_that_was_tried_has_a_row() -> None:
    assert as_text(TUNING).splitlines()[1].split()[:3] == ["2", "/", "5"]


def test_what_was_chosen_is_written_for_the_server(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.benchmark.tune.tune", lambda *_, **__: TUNING)
    output = tmp_path / "voxwatch.toml"
    told = CliRunner().invoke(app, ["tune", str(people), "--output", str(output)])
    assert told.exit_code == 0, told.output
    config = load(output, {}, {})
    assert (config.false_accept, config.miss) == (0.02, 0.05)
