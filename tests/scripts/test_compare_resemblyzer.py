import importlib.util
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.scoring.scorer import Scores
from models.evaluation.scoring import Cell, Scored

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_resemblyzer.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("compare_resemblyzer", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def embeddings_of(waveforms, width):
    rng = np.random.default_rng(abs(int(1e6 * waveforms.sum())))
    return rng.standard_normal((len(waveforms), width)).astype(np.float32)


@pytest.fixture
def worker(script, monkeypatch):
    """Stands in for the subprocess; remembers how many segments it was asked for."""
    asked = []

    def ask(self, waveforms):
        asked.append(len(waveforms))
        return embeddings_of(waveforms, script.WIDTH)

    monkeypatch.setattr(script.Resemblyzer, "_ask", ask)
    return asked


def system(script, folder):
    cache = script.Cache(folder / "r.cache")
    return script.Resemblyzer(folder / "none", cache, trim=False, threads=1), cache


def test_segments_are_computed_once_and_kept_between_runs(script, worker, tmp_path):
    segments = np.random.default_rng(0).standard_normal((3, 800)).astype(np.float32)
    first, cache = system(script, tmp_path)
    embeddings = first.embed(segments[:2])
    assert np.array_equal(first.embed(segments[[1, 0]]), embeddings[[1, 0]])
    assert worker == [2]
    cache.close()
    # A run killed while it wrote leaves half a record, which is forgotten.
    with open(tmp_path / "r.cache", "ab") as file:
        file.write(b"half a record")
    again, cache = system(script, tmp_path)
    assert np.array_equal(again.embed(segments[:2]), embeddings)
    assert worker == [2]
    changed = segments.copy()
    changed[0, 5] += 1e-4  # any other segment is another segment
    again.embed(changed)
    assert worker == [2, 2]
    cache.close()
    assert (tmp_path / "r.cache").stat().st_size == 4 * script.RECORD.itemsize
    third, cache = system(script, tmp_path)
    assert np.array_equal(third.embed(segments[:2]), embeddings)
    cache.close()


def test_failed_worker_is_an_error_and_never_a_score(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "scratch_python", lambda folder: sys.executable)
    monkeypatch.setattr(script, "__file__", str(tmp_path / "compare.py"))
    (tmp_path / "resemblyzer_worker.py").write_text("import sys; sys.exit(1)")
    failing, cache = system(script, tmp_path)
    with pytest.raises(script.ComparisonError, match="failed on a segment"):
        failing.embed(np.zeros((1, 400_000), np.float32))
    failing.close()
    cache.close()
    assert (tmp_path / "r.cache").stat().st_size == 0


def cell(name, condition, eer, resampled, calibrated=None):
    target = np.arange(80) < 40
    one = Scored(np.zeros(80), False, {"eer": eer}, {"eer": np.array(resampled)})
    two = (
        one
        if calibrated is None
        else Scored(np.zeros(80), True, {"eer": calibrated}, {"eer": np.array(resampled) / 2})
    )
    return Cell(name, 2.0, condition, 0, 0, target, 9, one, two)


def test_ratio_is_of_the_means_and_resampled_in_pairs(script):
    theirs = [cell("a", "noise", 0.10, [0.1, 0.2]), cell("b", "noise", 0.30, [0.3, 0.2])]
    ours = [cell("a", "noise", 0.06, [0.1, 0.2], 0.05), cell("b", "noise", 0.30, [0.3, 0.2], 0.25)]
    first, _, mean = script.lines(theirs, ours)
    assert first.ratio.value == pytest.approx(0.5)
    assert (first.ratio.low, first.ratio.high) == pytest.approx((0.5, 0.5))  # in each resample
    assert mean.lists == 2
    assert mean.resemblyzer.value == pytest.approx(0.2)
    assert mean.calibrated.value == pytest.approx(0.15)
    assert mean.ratio.value == pytest.approx(0.75)
    assert mean.floor == 0.7
    page = script.as_markdown([first, mean], ["R", "V"], {})
    assert page.count("0.7: missed") == page.count("0.7: reached") == 1
    assert msgspec.json.decode(msgspec.json.encode(mean))["trials"] == 160


def test_only_one_system_and_lists_without_both_kinds(script):
    theirs = [cell("a", "clean", 0.10, [0.1]), cell("b", "clean", 0.0, [0.0])]
    empty = Scored(np.empty(0), False, {}, {})
    theirs.append(Cell("c", 2.0, "clean", 0, 0, np.empty(0, bool), 0, empty, empty))
    result = script.lines(theirs, None)
    assert [line.list for line in result] == ["a", "b", "mean"]
    assert result[-1].ratio is None
    assert result[-1].floor == 1.0
    assert "| - | - | - | - |" in script.as_markdown(result, ["R"], {})


def test_systems_on_different_trials_are_not_compared(script):
    ours = cell("a", "clean", 0.1, [0.1])
    ours.target[0] = False
    with pytest.raises(AssertionError, match="different trials"):
        script.lines([cell("a", "clean", 0.1, [0.1])], [ours])


def test_cosines_of_pairs(script, tmp_path):
    one, cache = system(script, tmp_path)
    enrol, test = np.eye(3, dtype=np.float32), np.array([[0.6, 0.8, 0]], np.float32)
    scores = one.score(enrol, np.ones(3), test, np.ones(1), np.array([[1, 0], [2, 0]]))
    assert isinstance(scores, Scores)
    assert scores.cosine == pytest.approx([0.8, 0])
    cache.close()
