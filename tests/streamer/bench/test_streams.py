"""`voxwatch bench streams` with real servers and clients, in small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.errors import VoxwatchError
from engine.model.bundle import Bundle
from streamer.bench import streams
from streamer.bench.processes import Clients, Served, memory_mb
from streamer.bench.streams import ServerReport, ServerTrial, run
from streamer.commands.bench import BenchStreams

pytestmark = pytest.mark.slow


def trial(**different: Any) -> ServerTrial:
    figures: dict[str, Any] = {
        "streams": 8, "batching": True, "silent": False, "scores_per_s": 2.0, "alone_per_s": 2.0,
        "p50_ms": 50.0, "p99_ms": 200.0, "clients_behind_ms": 0.0, "lags": 0, "lost": 0,
        "model_ms": 15.0, "vad_ms": 1.5, "rest_ms": 2.5, "rest_share": 0.13, "cpu_cores": 1.0,
        "per_batch": 1.0, "memory_mb": 150.0, "memory_mb_per_stream": 0.9,
    }  # fmt: skip
    return ServerTrial(**(figures | different))


@pytest.mark.parametrize(
    ("different", "kept"),
    [
        ({}, True),
        ({"p99_ms": 250.0}, True),
        ({"p99_ms": 250.1}, False),
        ({"scores_per_s": 1.8}, True),
        ({"scores_per_s": 1.79}, False),
        ({"scores_per_s": 1.6, "alone_per_s": 1.7}, True),
        ({"scores_per_s": 0.0, "alone_per_s": 0.0}, False),
        ({"lags": 1}, False),
        ({"lost": 1}, False),
    ],
)
def test_a_trial_is_kept_only_whole_and_in_time(different: dict[str, Any], kept: bool) -> None:
    assert trial(**different).kept() is kept


def test_the_table_has_a_row_for_what_was_not_reached() -> None:
    report = ServerReport({"cores": 2}, 0.7, trial(), None, None, trial(silent=True, streams=50))
    lines = report.table().splitlines()
    assert lines[0] == "cores: 2"
    batched, single, silent = lines[-4:-1]
    assert batched.split() == [
        *("batched", "8", "50.0", "200.0", "15.00", "1.50", "2.50", "0.13", "0.90")
    ]
    assert single.split() == ["one", "job", "a", "time", "none"]
    assert silent.split()[:2] == ["silent", "50"]
    assert lines[-1] == "gain: -"
    reached = ServerReport({}, 0.7, trial(), trial(streams=5), 1.6, trial())
    assert reached.table().splitlines()[-1] == "gain of batching: 1.60"


@pytest.fixture(scope="module")
def measured(spectral_bundle: Bundle) -> tuple[ServerReport, list[str]]:
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "IDLE_STREAMS", 3)
        patch.setattr(streams, "SETTLE_S", 0.5)
        options = BenchStreams(
            bundle=spectral_bundle.folder, provider="cpu", seconds=2.0, streams=2
        )
        return run(options, said.append), said


def test_real_servers_are_measured_speaking_and_silent(
    measured: tuple[ServerReport, list[str]],
) -> None:
    report, said = measured
    live = ["2 streams, batched", "2 streams, one job at a time"]
    assert said == ["3 silent streams", "one stream alone", *live]
    assert [(t.streams, t.batching, t.silent) for t in report.trials] == [
        *((2, True, False), (2, False, False))
    ]
    assert (report.idle.streams, report.idle.silent) == (3, True)
    assert (report.idle.scores_per_s, report.idle.model_ms) == (0, 0)  # silence costs no model
    assert report.idle.vad_ms > 0
    for spoken in report.trials:
        assert spoken.lost == 0
        assert spoken.scores_per_s > 0
        assert spoken.model_ms > 0
        assert spoken.p99_ms >= spoken.p50_ms > 0
        assert spoken.memory_mb > 20
        assert spoken.cpu_cores > 0
        assert spoken.rest_share <= 1


def test_the_report_says_what_it_ran_on(measured: tuple[ServerReport, list[str]]) -> None:
    report, _ = measured
    kept = json.loads(report.json())
    assert kept["machine"]["model"].startswith("spectral 1")
    assert kept["ready_s"] > 0
    assert len(kept["trials"]) == 2


def test_a_server_that_does_not_start_is_said(
    spectral_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(VoxwatchError, match="did not start: try `voxwatch serve`"):
        run(BenchStreams(bundle=spectral_bundle.folder, provider="cpu", streams=1))


def test_clients_that_ended_are_said() -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", "input()"]  # ends at the first question
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        clients = Clients(process, Served(process, "", 0.0, batching=True))
        with pytest.raises(VoxwatchError, match="clients of the benchmark ended"):
            clients.ask(3)


def test_memory_is_read_from_the_system(tmp_path: Path) -> None:
    code = "block = bytes(b'x' * 64_000_000); print(flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 64 < memory_mb(process.pid) < 200
