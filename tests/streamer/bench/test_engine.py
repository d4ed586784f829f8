"""The benchmark runs, says what it ran on, and its search finds what there is to find."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from engine.format import SAMPLE_RATE_HZ
from engine.jobs import VadState
from engine.speech.vad import SileroVad
from streamer.bench import engine as bench_engine
from streamer.bench import load as bench_load
from streamer.bench.engine import run
from streamer.bench.load import EngineTrial, search
from streamer.bench.sound import loops, spoken
from streamer.commands.bench import BenchEngine


def trial(**different: float) -> EngineTrial:
    figures = {
        "streams": 1,
        "batching": True,
        "seconds": 8.0,
        "scores_per_s": 2.0,
        "alone_per_s": 2.0,
        "p50_ms": 50.0,
        "p99_ms": 200.0,
        "model_ms": 15.0,
        "vad_ms": 1.5,
        "rest_ms": 2.0,
        "rows_per_frame": 10.0,
        "per_batch": 1.0,
        "lags": 0,
        "hop_s": 0.0,
    }
    return EngineTrial(**{**figures, **different})


@pytest.mark.parametrize(
    ("different", "kept"),
    [
        ({}, True),
        ({"p99_ms": 251.0}, False),
        ({"scores_per_s": 1.5}, False),
        ({"scores_per_s": 1.6, "alone_per_s": 1.7}, True),
        ({"scores_per_s": 0.0, "alone_per_s": 0.0}, False),
        ({"lags": 1}, False),
        ({"hop_s": 0.75}, False),
    ],
)
def test_a_trial_is_kept_only_whole_and_in_time(different: dict[str, float], kept: bool) -> None:
    assert trial(**different).kept(250.0) is kept


@pytest.mark.parametrize("true", [1, 2, 7, 64, 99, 300])
@pytest.mark.parametrize("guess", [1, 60, 500])
def test_the_search_finds_the_largest_number(true: int, guess: int) -> None:
    found = search(lambda streams: streams, guess, lambda streams: streams <= true)
    assert found is not None
    assert true - max(1, true // 15) <= found <= true


def test_a_machine_on_which_nothing_fits_ends_the_search() -> None:
    assert search(lambda streams: streams, 40, lambda streams: False) is None


def test_the_formula_speaks_without_a_pause(vad: SileroVad) -> None:
    sound = spoken(4.0)
    frames = sound[: len(sound) // 512 * 512].reshape(-1, 512)
    ((probability, _),) = vad.detect([frames], [VadState.initial(1)])
    assert np.mean(probability > 0.35) > 0.8


def test_speech_may_come_from_a_file(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", spoken(1.0), SAMPLE_RATE_HZ)
    first, second = loops(tmp_path / "a.wav", 2, 3.0)
    assert len(first) == len(second) == 6 * SAMPLE_RATE_HZ
    assert first != second


@pytest.mark.parametrize(
    ("kind", "unit"), [("spectral_bundle", "windows of 3 s"), ("frames_bundle", "chunks of 0.5 s")]
)
def test_a_short_run_reports_everything(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, unit: str
) -> None:
    monkeypatch.setattr(bench_load, "WARM_UP_S", 0.2)
    monkeypatch.setattr(bench_load, "LOOP_S", 2.0)
    monkeypatch.setattr(bench_engine, "IDLE_STREAMS", 3)
    monkeypatch.setattr(bench_engine, "BATCHES", (1, 2))
    told: list[str] = []
    options = BenchEngine(
        bundle=request.getfixturevalue(kind).folder,
        provider="cpu",
        threads=1,
        seconds=1.5,
        streams=2,
    )
    report = run(options, told.append)
    read = json.loads(report.json())
    assert read["machine"]["provider"] == "cpu"
    assert {"date", "machine", "onnxruntime", "python", "model sha256"} <= read["machine"].keys()
    assert {(c["rows"], c["threads"]) for c in read["windows"]} >= {(1, 1), (2, 1)}
    assert [c["rows"] for c in read["frames"]] == [1, 10, 50]
    assert [(t["streams"], t["batching"]) for t in read["trials"]] == [(2, True), (2, False)]
    for live in read["trials"]:
        assert live["scores_per_s"] > 0
        assert live["model_ms"] > 0
        assert live["vad_ms"] > 0
    assert read["idle"]["scores_per_s"] == 0
    table = report.table()
    assert f"{unit} of speech" in table
    assert "gain of batching" in table or "gain: unknown" in table
    assert "largest, one at a time: " in table
    assert told[0] == "windows"
