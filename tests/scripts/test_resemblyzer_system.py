import sys

import numpy as np
import pytest

from engine.scoring.scorer import Scores
from scripts import resemblyzer_system as script


def system(folder):
    return script.Resemblyzer(folder / "none", trim=False, threads=1)


def test_failed_worker_is_an_error_and_never_a_score(tmp_path, monkeypatch):
    monkeypatch.setattr(script, "resemblyzer_python", lambda folder: sys.executable)
    monkeypatch.setattr(script, "__file__", str(tmp_path / "compare.py"))
    (tmp_path / "resemblyzer_worker.py").write_text("import sys; sys.exit(1)")
    failing = system(tmp_path)
    with pytest.raises(script.ComparisonError, match="failed on a segment"):
        failing.embed(np.zeros((1, 400_000), np.float32))
    failing.close()


def test_cosines_of_pairs(tmp_path):
    enrol, test = np.eye(3, dtype=np.float32), np.array([[0.6, 0.8, 0]], np.float32)
    pairs = np.array([[1, 0], [2, 0]])
    scores = system(tmp_path).score(enrol, np.ones(3), test, np.ones(1), pairs)
    assert isinstance(scores, Scores)
    assert scores.cosine == pytest.approx([0.8, 0])
