import sys

import numpy as np
import pytest

from engine.scoring.scorer import Scores
from scripts import resemblyzer_system as script


def embeddings_of(waveforms, width):
    rng = np.random.default_rng(abs(int(1e6 * waveforms.sum())))
    return rng.standard_normal((len(waveforms), width)).astype(np.float32)


@pytest.fixture
def worker(monkeypatch):
    """Stands in for the subprocess; remembers how many segments it was asked for."""
    asked = []

    def ask(self, waveforms):
        asked.append(len(waveforms))
        return embeddings_of(waveforms, script.WIDTH)

    monkeypatch.setattr(script.Resemblyzer, "_ask", ask)
    return asked


def system(folder):
    cache = script.Cache(folder / "r.cache")
    return script.Resemblyzer(folder / "none", cache, trim=False, threads=1), cache


def test_segments_are_computed_once_and_kept_between_runs(worker, tmp_path):
    segments = np.random.default_rng(0).standard_normal((3, 800)).astype(np.float32)
    first, cache = system(tmp_path)
    embeddings = first.embed(segments[:2])
    assert np.array_equal(first.embed(segments[[1, 0]]), embeddings[[1, 0]])
    assert worker == [2]
    cache.close()
    # A run killed while it wrote leaves half a record, which is forgotten.
    with open(tmp_path / "r.cache", "ab") as file:
        file.write(b"half a record")
    again, cache = system(tmp_path)
    assert np.array_equal(again.embed(segments[:2]), embeddings)
    assert worker == [2]
    changed = segments.copy()
    changed[0, 5] += 1e-4  # any other segment is another segment
    again.embed(changed)
    assert worker == [2, 2]
    cache.close()
    assert (tmp_path / "r.cache").stat().st_size == 4 * script.RECORD.itemsize
    third, cache = system(tmp_path)
    assert np.array_equal(third.embed(segments[:2]), embeddings)
    cache.close()


def test_failed_worker_is_an_error_and_never_a_score(tmp_path, monkeypatch):
    monkeypatch.setattr(script, "scratch_python", lambda folder: sys.executable)
    monkeypatch.setattr(script, "__file__", str(tmp_path / "compare.py"))
    (tmp_path / "resemblyzer_worker.py").write_text("import sys; sys.exit(1)")
    failing, cache = system(tmp_path)
    with pytest.raises(script.ComparisonError, match="failed on a segment"):
        failing.embed(np.zeros((1, 400_000), np.float32))
    failing.close()
    cache.close()
    assert (tmp_path / "r.cache").stat().st_size == 0


def test_cosines_of_pairs(tmp_path):
    one, cache = system(tmp_path)
    enrol, test = np.eye(3, dtype=np.float32), np.array([[0.6, 0.8, 0]], np.float32)
    scores = one.score(enrol, np.ones(3), test, np.ones(1), np.array([[1, 0], [2, 0]]))
    assert isinstance(scores, Scores)
    assert scores.cosine == pytest.approx([0.8, 0])
    cache.close()
