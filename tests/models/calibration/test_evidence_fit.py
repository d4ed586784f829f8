"""What decisions over time are fitted on, and that the fit finds what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.model.bundle import Bundle, load_bundle
from models.calibration import evidence_fit, evidence_streams
from models.calibration.calibrate import CalibrationError
from models.calibration.evidence_fit import EVIDENCE_S, error_rates, fit_affine, fit_evidence
from models.calibration.evidence_trials import EvidenceTrial

NAMES = [f"s{i:02}" for i in range(12)]


def as_it_is(speech: np.ndarray, kind: int, rng: np.random.Generator) -> np.ndarray:
    return speech


def drawn(slope: float, offset: float, wrong: float, seed: int, source: str) -> list[EvidenceTrial]:
    """LLRs that are right once stretched so; some targets are not who they are said to be."""
    rng, found = np.random.default_rng(seed), []
    for speaker in range(200):
        for target in [True] + 5 * [False]:
            mean = 3.0 if target and rng.uniform() > wrong else -3.0
            right = mean + np.sqrt(6.0) * rng.standard_normal()  # variance twice the mean: an LLR
            llr = np.full(len(EVIDENCE_S), (right - offset) / slope)
            found.append(EvidenceTrial(speaker, source, False, target, np.array(EVIDENCE_S), llr))
    return found


def test_the_fit_finds_how_llrs_must_be_stretched() -> None:
    slope, offset = fit_affine(drawn(1.6, -0.5, 0.0, 1, "speechocean762"))
    assert slope == pytest.approx(1.6, rel=0.2)
    assert offset == pytest.approx(-0.5, abs=0.4)


def test_wrong_labels_of_a_crowd_do_not_make_it_timid() -> None:
    crowd, trusted = (drawn(1.0, 0.0, 0.06, 2, s) for s in ("common_voice", "speechocean762"))
    assert fit_affine(crowd)[0] == pytest.approx(1.0, rel=0.25)
    assert fit_affine(trusted)[0] < fit_affine(crowd)[0]


def test_error_rates_of_right_llrs_are_at_most_those_asked_for() -> None:
    table = error_rates(drawn(2.0, 1.0, 0.0, 3, "speechocean762"), 200, seed=0)
    assert [row["false_accept"] for row in table] == [0.05, 0.01, 0.002]
    for row in table:
        assert row["false_accepts"] <= 1.5 * row["false_accept"] + 0.002
        assert row["false_rejects"] <= 1.5 * row["miss"] + 0.01
    assert table[0]["accepted"] > 0.4


def test_a_bundle_is_fitted_whole_and_keeps_the_rest(
    corpus_cache: Path,
    spectral_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence_streams, "LEAST_STREAM_S", 3.0)
    heldout = tmp_path / "heldout.txt"
    heldout.write_text("\n".join(NAMES))
    fit_evidence(
        spectral_bundle.folder,
        corpus_cache,
        heldout,
        tmp_path / "fitted",
        degrade=as_it_is,
        progress=False,
    )
    before, after = spectral_bundle.manifest, load_bundle(tmp_path / "fitted").manifest
    assert before.calibration is not None
    assert after.calibration is not None
    evidence = after.calibration.evidence
    assert evidence is not None
    assert after.calibration.slope == before.calibration.slope
    assert after.sha256 == before.sha256
    assert evidence.fitted["streams"] >= 12
    assert len(evidence.fitted["decisions_cross_validated"]) == 6  # two sources, three points
    assert evidence.change.claim == 0.0
    assert evidence.takeover.claim != 0.0


def test_too_few_speakers_are_refused(
    corpus_cache: Path, spectral_bundle: Bundle, tmp_path: Path
) -> None:
    heldout = tmp_path / "heldout.txt"
    heldout.write_text("\n".join(NAMES[:4]))
    with pytest.raises(CalibrationError, match="10 speakers are needed"):
        fit_evidence(
            spectral_bundle.folder, corpus_cache, heldout, tmp_path / "fitted", progress=False
        )
    assert not (tmp_path / "fitted").exists()
    assert evidence_fit.FEWEST_SPEAKERS == 10
