"""The whole benchmark on synthetic voices, with a bundle that tells them apart."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray
from typer.testing import CliRunner

from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import Bundle
from models.benchmark import benchmark
from models.benchmark.engine import EngineUnderTest
from models.benchmark.plans import Planner
from models.benchmark.report import BenchmarkReport
from models.benchmark.run import Benchmark
from models.benchmark.speakers import decode, load_speakers
from models.benchmark.tune import Costs, TuneError, tune
from models.cli import app
from models.evaluation.report import Estimate
from models.evaluation.rttm import read_rttm
from models.sound.conditions import Degradation

pytestmark = pytest.mark.slow

Float32 = NDArray[np.float32]
RIVAL = """
import json, struct, sys
import numpy as np
out = sys.stdout.buffer
out.write(json.dumps({"name": "Coin", "accept": 0.75, "reject": 0.65}).encode() + b"\\n")
out.flush()
while header := sys.stdin.buffer.read(8):
    a, b = struct.unpack("<II", header)
    sys.stdin.buffer.read(4 * (a + b))
    at = np.arange(1.6, b / 16000, 0.0625, dtype="<f4")
    pairs = np.stack([at, np.random.default_rng(b).uniform(0.6, 1.0, len(at))], 1).astype("<f4")
    out.write(struct.pack("<I", len(pairs)) + pairs.tobytes())
    out.flush()
"""


@pytest.fixture(scope="module")
def done(
    people: Path, spectral_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[BenchmarkReport, Path]:
    output = tmp_path_factory.mktemp("report")
    (output / "rival.py").write_text(RIVAL)
    report = benchmark.run(
        people,
        output,
        bundle=spectral_bundle.folder,
        per_kind=3,
        rivals=[f"{sys.executable} {output / 'rival.py'}"],
        rivals_hear=3,
        cosine_threshold="0.9",
        audio=output / "audio",
        resamples=20,
        threads=2,
        progress=False,
    )
    return report, output


def rows(report: BenchmarkReport, table: str, **wanted: str) -> list[dict[str, object]]:
    (found,) = (one for one in report.tables if one.name == table)
    return [
        dict(row)
        for row in found.rows
        if all(str(row[name]) == value for name, value in wanted.items())
    ]


def test_it_tells_the_claimed_speaker_from_impostors(
    done: tuple[BenchmarkReport, Path],
) -> None:
    report, _ = done
    (own,) = rows(report, "decisions", system="voxwatch", **{"who speaks": "claimed speaker"})
    (others,) = rows(report, "decisions", system="voxwatch", **{"who speaks": "impostor"})
    for row in (own, others):
        wrong = row["wrong %"]
        assert isinstance(wrong, Estimate)
        assert wrong.value == 0
        assert wrong.high > 0  # few streams prove little
    quick = own["speech p50 s"]
    assert isinstance(quick, Estimate)
    assert 1 < quick.value < 8
    assert rows(report, "takeovers", system="voxwatch", takeovers="clean, other pitch")


def test_all_systems_are_in_the_same_tables(done: tuple[BenchmarkReport, Path]) -> None:
    report, _ = done
    names = {"voxwatch", "voxwatch's cosine at 0.90", "Coin at 0.75/0.65"}
    assert {row["system"] for row in rows(report, "decisions")} == names
    assert {row["system"] for row in rows(report, "takeovers")} == names
    assert {curve.system for curve in report.curves} == {"voxwatch", "voxwatch's cosine", "Coin"}
    assert {one.name for one in report.tables} == {
        *("decisions", "takeovers", "curve", "points", "changes", "commands"),
        *("interjections", "states"),
    }
    heard_by = {
        (row["system"], row["who speaks"]): row["streams"] for row in rows(report, "decisions")
    }
    assert heard_by["Coin at 0.75/0.65", "impostor"] == 3  # of six
    assert heard_by["voxwatch", "impostor"] == 6
    assert report.cosine_threshold is not None
    assert 0 < report.cosine_threshold < 1


def test_shares_of_states_add_up(done: tuple[BenchmarkReport, Path]) -> None:
    for row in rows(done[0], "states"):
        figures = [value for value in row.values() if isinstance(value, Estimate)]
        assert sum(figure.value for figure in figures) == pytest.approx(100)


def test_everything_is_written(done: tuple[BenchmarkReport, Path]) -> None:
    report, output = done
    for name in ("takeover.png", "times.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG")
    page = (output / "benchmark.md").read_text()
    assert "# spectral 1: streaming benchmark" in page
    assert all(f"## {table.title}" in page for table in report.tables)
    kept = json.loads((output / "benchmark.json").read_text())
    assert kept["cosine_threshold"] == report.cosine_threshold
    assert "null" in (output / "benchmark.json").read_text()  # what JSON has no number for
    assert str(output) not in page
    reference = read_rttm(output / "reference.rttm")
    assert set(read_rttm(output / "voxwatch.rttm")) <= set(reference)
    assert {path.stem for path in (output / "audio").iterdir()} >= set(reference)


def test_the_engines_rttm_scores_as_it_did_in_the_run(
    done: tuple[BenchmarkReport, Path], tmp_path: Path
) -> None:
    report, output = done
    arguments = [str(output / "reference.rttm"), "--rttm", str(output / "voxwatch.rttm")]
    result = CliRunner().invoke(
        app, ["benchmark", *arguments, "--output", str(tmp_path / "s"), "--resamples", "10"]
    )
    assert result.exit_code == 0, result.output
    scored = json.loads((tmp_path / "s" / "rttm.json").read_text())["tables"][0]["rows"]
    for kind in ("takeover", "alternation"):
        (ours,) = rows(report, "changes", conversations=kind)
        (theirs,) = (row for row in scored if row["conversations"] == kind)
        for column in ("F1 ±0.5 s", "segment purity %"):
            figure = ours[column]
            assert isinstance(figure, Estimate)
            assert theirs[column]["value"] == pytest.approx(figure.value, abs=0.1)


def test_a_reference_scores_perfectly_against_itself(
    done: tuple[BenchmarkReport, Path], tmp_path: Path
) -> None:
    reference = done[1] / "reference.rttm"
    report = benchmark.score_rttm(reference, reference, tmp_path, resamples=5)
    (row,) = rows(report, "changes", conversations="all files")
    for column in ("precision ±0.5 s", "recall ±0.5 s", "F1 ±1 s"):
        assert row[column] == Estimate(1, 1, 1)
    assert row["cluster purity %"] == Estimate(100, 100, 100)


def test_threads_and_memory_change_nothing(people: Path, spectral_bundle: Bundle) -> None:
    engine = EngineUnderTest(spectral_bundle)
    voices, _ = decode(load_speakers(people), engine.vad, progress=False)
    planner = Planner(voices, 3)
    plans = planner.plans(1)

    def results(threads: int) -> list[tuple[object, ...]]:
        bench = Benchmark(engine, voices, planner, Degradation(seed=3), seed=3)
        run = bench.run(plans, threads=threads, progress=False)
        return [(r.truth.name, r.turns, r.claimed and r.claimed.states) for r in run.conversations]

    alone = results(1)
    assert results(3) == alone
    assert 5 < len(alone) <= len(plans)  # enrolments may be refused


def test_too_little_speech_is_refused(
    tmp_path: Path, spectral_bundle: Bundle, voice: Callable[..., Float32]
) -> None:
    for name in ("anna", "bert"):
        (tmp_path / name).mkdir()
        for seed in range(2):
            sf.write(tmp_path / name / f"{seed}.wav", voice(name, 2, seed=seed), SAMPLE_RATE_HZ)
    with pytest.raises(benchmark.BenchmarkError, match="no conversation can be made of 2 speakers"):
        benchmark.run(tmp_path, tmp_path / "o", bundle=spectral_bundle.folder, progress=False)
    with pytest.raises(TuneError, match="too little to try"):
        tune(tmp_path, Costs(), bundle=spectral_bundle.folder, progress=False)


def test_the_threshold_of_another_run(tmp_path: Path) -> None:
    (tmp_path / "benchmark.json").write_text('{"cosine_threshold": 0.61}')
    assert benchmark._threshold(str(tmp_path / "benchmark.json")) == 0.61
    assert benchmark._threshold("0.5") == 0.5
    for text in ("none", "null"):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(benchmark.BenchmarkError, match="neither a cosine nor"):
            benchmark._threshold(str(tmp_path / "x.json"))
    with pytest.raises(benchmark.BenchmarkError, match="neither a cosine nor"):
        benchmark._threshold(str(tmp_path / "missing.json"))


def test_rttm_of_other_files_is_refused(tmp_path: Path) -> None:
    line = "SPEAKER {} 1 0 2 <NA> <NA> a <NA> <NA>\n"
    for name in ("one", "two"):
        (tmp_path / f"{name}.rttm").write_text(line.format(name))
    with pytest.raises(benchmark.VoxwatchError, match=r"none of the reference's 1 files.*'one'"):
        benchmark.score_rttm(tmp_path / "one.rttm", tmp_path / "two.rttm", tmp_path)
