"""What decisions over time are fitted on, and that the fit finds what is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.decisions.config import DecisionConfig
from engine.model.bundle import Bundle, load_bundle
from models.calibration import evidence_fit, evidence_streams
from models.calibration.errors import CalibrationError
from models.calibration.evidence_fit import LEAST_S, error_rates, fit_evidence, fit_runs, one_look
from models.calibration.evidence_trials import EvidenceTrial
from models.calibration.rate_fit import STATED

LOOKS_S = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 5.0])
NAMES = [f"s{i:02}" for i in range(12)]


def as_it_is(speech: np.ndarray, kind: int, rng: np.random.Generator) -> np.ndarray:
    return speech


def drawn(slope: float, offset: float, wrong: float, seed: int, source: str) -> list[EvidenceTrial]:
    """LLRs that are right once stretched so; some targets are not who they are said to be.

    Strangers reach theirs at one look, and lie below it at the others that are long enough.
    """
    rng, found = np.random.default_rng(seed), []
    for speaker in range(200):
        for target in [True] + 5 * [False]:
            mean = 3.0 if target and rng.uniform() > wrong else -3.0
            right = mean + np.sqrt(6.0) * rng.standard_normal()  # variance twice the mean: an LLR
            llr = np.full(len(LOOKS_S), (right - offset) / slope)
            if not target:
                usable = np.flatnonzero(LOOKS_S >= LEAST_S)
                llr[np.setdiff1d(usable, [rng.choice(usable)])] -= 3.0
            found.append(EvidenceTrial(speaker, source, False, target, LOOKS_S, llr, 5.0))
    return found


def test_as_many_strangers_are_accepted_as_was_stated() -> None:
    slope, offset = fit_runs(drawn(1.6, -0.5, 0.0, 1, "speechocean762"))
    strangers = [t.llr.max() for t in drawn(1.6, -0.5, 0.0, 2, "speechocean762") if not t.target]
    for rate, miss in STATED[:2]:  # of 1,000 strangers two are the last rate
        accepted = slope * np.array(strangers) + offset >= DecisionConfig(rate, miss).accept_llr
        assert 0.5 * rate <= accepted.mean() <= 2 * rate


def test_looks_at_too_little_speech_accept_nobody() -> None:
    trials = drawn(1.6, -0.5, 0.0, 1, "speechocean762")
    early = [replace(t, llr=np.where(t.speech_s < LEAST_S, 50.0, t.llr)) for t in trials]
    assert fit_runs(early) == fit_runs(trials)


def test_error_rates_on_other_speakers_are_about_those_stated() -> None:
    table = error_rates(drawn(2.0, 1.0, 0.0, 3, "speechocean762"), 200, seed=0)
    assert [row["false_accept"] for row in table] == [0.05, 0.01, 0.002]
    for row in table:
        assert row["false_accepts"] <= 2 * row["false_accept"] + 0.002
        assert row["false_rejects"] <= 1.5 * row["miss"] + 0.01
    assert table[0]["accepted"] > 0.4


def test_who_asks_once_is_told_the_rates_of_one_look() -> None:
    trials = drawn(2.0, 1.0, 0.0, 3, "speechocean762")
    trials += [replace(t, degraded=True, speech_s=t.speech_s - 0.3) for t in trials]
    table = one_look(trials, 200, 0, half_speech_s=4.0)
    assert {(row["condition"], row["test_s"]) for row in table} == {
        *(("clean", test_s) for test_s in (1.5, 2.0, 3.0, 5.0)),
        *(("degraded", test_s) for test_s in (1.5,)),  # 1.7 s; and 2.7 s is no 3 s
    }
    streams = {row["false_accept"]: row["false_accepts"] for row in error_rates(trials, 200, 0)}
    for row in table:
        assert row["enrol_s"] == 5.0
        assert (row["targets"], row["nontargets"]) == (200, 1000)
        assert row["false_accepts"] <= streams[row["false_accept"]]


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
