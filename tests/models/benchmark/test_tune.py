from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.decisions.config import DecisionConfig
from engine.model.bundle import Bundle
from models.benchmark.run import Benchmark
from models.benchmark.tune import Bounded, Costs, Tried, TuneError, Tuning, _settings
from models.cli import app


def bounded(events: int, exposure: float, upper: float) -> Bounded:
    return Bounded(events, exposure, events / exposure, upper)


def tried(accept: float, accept_upper: float, miss_upper: float, p50_s: float) -> Tried:
    return Tried(
        DecisionConfig(false_accept=accept, miss=0.05),
        bounded(0, 400, accept_upper),
        bounded(1, 200, miss_upper),
        bounded(0, 4, 0.75),
        p50_s,
    )


def test_the_quickest_setting_that_credibly_keeps_the_costs_is_chosen() -> None:
    some = (tried(0.01, 0.0075, 0.03, 4), tried(0.02, 0.0075, 0.03, 3), tried(0.04, 0.03, 0.02, 2))
    tuning = Tuning(Costs(0.01, 0.05), some, 200)
    assert tuning.chosen() is some[1]


def test_a_setting_that_was_lucky_after_a_stricter_one_failed_is_not_chosen() -> None:
    some = (tried(0.01, 0.0075, 0.03, 4), tried(0.02, 0.02, 0.03, 3), tried(0.04, 0.0075, 0.03, 2))
    assert Tuning(Costs(0.01, 0.05), some, 200).chosen() is some[0]
    with pytest.raises(TuneError, match="no setting keeps this"):
        Tuning(Costs(0.01, 0.05), some[1:], 200).chosen()


@pytest.mark.parametrize("alarms_h", [None, 0.04, 30.0])
def test_every_setting_is_looser_than_the_one_before(alarms_h: float | None) -> None:
    settings = _settings(Costs(0.01, 0.05, alarms_h))
    for rates in (
        [one.false_accept for one in settings],
        [one.miss for one in settings],
        [one.false_alarms_per_hour for one in settings],
    ):
        assert rates == sorted(rates)
    assert settings[0].false_accept < 0.01 < settings[-1].false_accept
    wide = _settings(Costs(0.4, 0.499))
    assert len(wide) == len(set(wide)) < len(settings)


def test_what_the_recordings_cannot_support_is_refused_with_what_would() -> None:
    one = tried(0.01, 0.0075, 0.03, 4)
    with pytest.raises(TuneError, match=r"0.1 % false accepts need 3000 streams of impostors"):
        Tuning(Costs(0.001, 0.05), (one,), 200).chosen()
    with pytest.raises(TuneError, match=r"1 % misses need 300 streams.*there are 200"):
        Tuning(Costs(0.01, 0.01), (one,), 200).chosen()
    with pytest.raises(TuneError, match=r"0.04 false alarms per hour need 75 h.*there are 4.00"):
        Tuning(Costs(0.01, 0.05, 0.04), (one,), 200).chosen()
    strictest = "even the strictest has false accepts up to 0.75 %, misses up to 3 %"
    lucky = tried(0.01, 0.001, 0.001, 4)
    with pytest.raises(TuneError, match=strictest):
        Tuning(Costs(0.01, 0.02), (one, lucky), 200).chosen()
    never = replace(one, accept_p50_s=math.inf)
    with pytest.raises(TuneError, match="accept fewer than half of the speakers themselves"):
        Tuning(Costs(0.01, 0.05), (never,), 200).chosen()
    assert Tuning(Costs(0.01, 0.05, 0.8), (one,), 200).chosen() is one


@pytest.mark.parametrize("costs", [(0, 0.05, None), (0.01, 0.5, None), (0.01, 0.05, 0)])
def test_costs_that_make_no_sense(costs: tuple[float, float, float | None]) -> None:
    with pytest.raises(TuneError):
        Costs(*costs)


@pytest.mark.parametrize(
    ("asked", "lacking"),
    [
        (("--false-accept", "0.4", "--miss", "0.499"), "49.9 % misses need 7 streams of their own"),
        ((), "cannot support this: 1 % false accepts need 300 streams"),
        (
            ("--false-accept", "0.49", "--miss", "0.49", "--false-alarms-per-hour", "0.04"),
            "0.04 false alarms per hour need 75 h of genuine speech without one, there are 0.",
        ),
    ],
)
def test_what_is_needed_is_counted_before_anything_is_streamed(
    people: Path,
    spectral_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: tuple[str, ...],
    lacking: str,
) -> None:
    streamed: list[object] = []
    monkeypatch.setattr(Benchmark, "run", lambda *_, **__: streamed.append(1))
    output = tmp_path / "voxwatch.toml"
    arguments = ["tune", str(people), "--bundle", str(spectral_bundle.folder), "--streams", "4"]
    refused = CliRunner().invoke(app, [*arguments, *asked, "--output", str(output)])
    assert isinstance(refused.exception, TuneError)
    assert lacking in str(refused.exception)
    assert streamed == []
    assert not output.exists()


def test_tuning_on_recordings(
    people: Path, spectral_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing can be shown with so few: as if it were found out by what was streamed.
    monkeypatch.setattr("models.benchmark.tune._check_enough", lambda *_: None)
    arguments = ["tune", str(people), "--bundle", str(spectral_bundle.folder), "--streams", "4"]
    arguments += ["--false-accept", "0.4", "--miss", "0.499"]
    output = tmp_path / "voxwatch.toml"
    told = CliRunner().invoke(app, [*arguments, "--output", str(output)])
    assert "false accepts" in told.output
    assert isinstance(told.exception, TuneError)
    assert "49.9 % misses need 7 streams of their own speakers" in str(told.exception)
    assert not output.exists()
