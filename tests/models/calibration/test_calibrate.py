from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from engine.errors import BundleError
from engine.model.bundle import Bundle, load_bundle, write_bundle
from engine.model.encoder import Encoder, embed_speech
from engine.model.manifest import DecisionFigures
from engine.scoring.expected_rates import expected_rates
from engine.scoring.scorer import CalibratedScorer
from models.calibration import heldout_trials, ratio_fit
from models.calibration.calibrate import calibrate
from models.calibration.errors import CalibrationError
from models.calibration.heldout_trials import ENROL_S
from models.cli import app
from models.sound.corpus import Corpus

pytestmark = pytest.mark.slow

SPEAKERS = 24


def heldout_file(folder: Path, names: list[str]) -> Path:
    path = folder / "heldout.txt"
    path.write_text("".join(f"{name}\n" for name in names))
    return path


NAMES = [f"s{i:02}" for i in range(14)]


@pytest.fixture(autouse=True, scope="module")
def quick_fits() -> Iterator[None]:
    """One split of the utterances and two folds: a third of the trials, half of the fits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heldout_trials, "MOST_SPLITS", 1)
        patch.setattr(ratio_fit, "FOLDS", 2)
        yield


@pytest.fixture(scope="module")
def fitting(
    corpus_cache: Path, spectral_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    """A folder whose ``new`` the command has written, and what it said."""
    folder = tmp_path_factory.mktemp("calibrated")
    arguments = ["calibrate", str(spectral_bundle.folder), "--cache", str(corpus_cache)]
    arguments += ["--heldout", str(heldout_file(folder, NAMES)), "--output", str(folder / "new")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return folder, done


@pytest.fixture(scope="module")
def calibrated(fitting: tuple[Path, Result]) -> Bundle:
    return load_bundle(fitting[0] / "new")


def test_the_command_prints_the_quality_of_the_fit(
    fitting: tuple[Path, Result], calibrated: Bundle
) -> None:
    _, done = fitting
    assert calibrated.manifest.calibration is not None
    fitted = calibrated.manifest.calibration.fitted["cross_validated"]
    head, *rows = done.stdout.splitlines()
    assert head.split() == list(fitted[0])
    assert [row.split() for row in rows] == [[str(v) for v in line.values()] for line in fitted]
    assert "scripts/fit_evidence.py" in done.stderr


def test_a_calibrated_bundle_says_how_it_was_fitted(
    calibrated: Bundle, spectral_bundle: Bundle
) -> None:
    manifest = calibrated.manifest
    assert manifest.calibration is not None
    assert manifest.normalisation is not None
    assert calibrated.cohort is not None
    assert len(calibrated.cohort) == SPEAKERS - len(NAMES)
    assert manifest.normalisation.top == len(calibrated.cohort)
    fitted = manifest.calibration.fitted
    assert fitted["speakers"] == len(NAMES)
    assert {row["condition"] for row in fitted["cross_validated"]} == {"clean", "degraded"}
    measured = fitted["stated_rates_cross_validated"]
    assert all(min(ENROL_S) / 2 < row["enrol_s"] < max(ENROL_S) for row in measured)
    assert expected_rates(manifest.calibration, 5.0)
    assert calibrated.model_path.read_bytes() == spectral_bundle.model_path.read_bytes()


@pytest.fixture(scope="module")
def again(
    corpus_cache: Path, calibrated: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """Calibrated a second time, in place, after figures were measured with the first one."""
    folder = tmp_path_factory.mktemp("again")
    old = calibrated.manifest
    assert old.evaluation == {}
    assert old.calibration is not None
    evidence = DecisionFigures(slope=0.5)
    stale = msgspec.structs.replace(
        old,
        calibration=msgspec.structs.replace(old.calibration, evidence=evidence, slope=(9.0, 0.0)),
        evaluation={"operating_points": [[0.0, 0.1, 0.1]]},
    )
    own = write_bundle(folder / "own", stale, calibrated.model_files(), calibrated.cohort).folder
    calibrate(own, corpus_cache, heldout_file(folder, NAMES), progress=False)
    return load_bundle(own)


def test_what_another_calibration_gave_is_not_kept(again: Bundle) -> None:
    assert again.manifest.evaluation == {}
    assert again.manifest.calibration is not None
    assert again.manifest.calibration.evidence is not None
    assert again.manifest.calibration.evidence.slope != 0.5


def test_it_works_in_place_and_gives_the_same_again(again: Bundle, calibrated: Bundle) -> None:
    assert again.manifest == calibrated.manifest


def test_an_output_that_cannot_be_is_said_before_the_work(
    corpus_cache: Path, spectral_bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="is not a model bundle: choose another output"):
        calibrate(spectral_bundle.folder, corpus_cache, tmp_path / "none.txt", tmp_path)


def test_its_ratios_tell_unseen_speakers_apart(corpus: Corpus, calibrated: Bundle) -> None:
    scorer, encoder = CalibratedScorer(calibrated), Encoder(calibrated, "cpu")
    unseen = [corpus.by_speaker[f"s{i:02}"] for i in range(len(NAMES), SPEAKERS)]
    speakers = [[embed_speech(encoder, corpus.waveform(u)) for u in own[:2]] for own in unseen]
    same = [scorer.score(a, 2.0, b, 2.0).llr for a, b in speakers]
    other = [scorer.score(x[0], 2.0, y[1], 2.0).llr for x, y in pairwise(speakers)]
    assert np.median(np.array(same, float)) > 0 > np.median(np.array(other, float))


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["s00", "nobody"], "1 speakers that the corpus does not have, such as 'nobody'"),
        (["s00", "s01"], "2 speakers with two utterances or more: at least 10 are needed"),
        ([f"s{i:02}" for i in range(SPEAKERS)], "0 speakers for a cohort"),
    ],
)
def test_unfit_lists_are_said(
    corpus_cache: Path, spectral_bundle: Bundle, tmp_path: Path, names: list[str], problem: str
) -> None:
    with pytest.raises(CalibrationError, match=problem):
        calibrate(
            spectral_bundle.folder,
            corpus_cache,
            heldout_file(tmp_path, names),
            tmp_path / "out",
            progress=False,
        )
    assert not (tmp_path / "out").exists()


def test_missing_files_are_said(
    corpus_cache: Path, spectral_bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(CalibrationError, match="is not a prepared corpus"):
        calibrate(spectral_bundle.folder, tmp_path, heldout_file(tmp_path, NAMES))
    with pytest.raises(CalibrationError, match=r"heldout\.txt"):
        calibrate(spectral_bundle.folder, corpus_cache, tmp_path / "none.txt")
