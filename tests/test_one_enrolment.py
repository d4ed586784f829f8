"""The same recording gives the same voiceprint, whichever command makes it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr
from numpy.typing import NDArray
from typer.testing import CliRunner

from engine.model.bundle import load_bundle
from engine.scoring.scorer import CalibratedScorer, TrialScore
from models.evaluation.verification import Rule
from models.evaluation.verify import Verifier
from streamer.cli import app
from streamer.config import Config
from streamer.local.replay import EnrolmentRecording, Replay
from streamer.local.voices import voices
from streamer.store.keys import load_key
from streamer.store.store import Store

VOICE = Path(__file__).parents[1] / "scripts" / "demo_voices" / "anna.ogg"
MODEL = load_bundle().manifest.model_sha256

Float32 = NDArray[np.float32]


@pytest.fixture(params=[16_000, 44_100])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Some 13 s of a voice, at a rate of its own."""
    samples, rate_hz = sf.read(VOICE, dtype="float32", frames=13 * 16_000)
    path = tmp_path / "anna.wav"
    there = soxr.resample(samples, rate_hz, request.param)
    sf.write(path, there, request.param, subtype="FLOAT")
    return path


def by_enroll(recording: Path, folder: Path) -> Float32:
    environment = {"VOXWATCH_DATA_DIR": str(folder), "VOXWATCH_CONFIG": ""}
    given = ["enroll", "anna", str(recording), "--consent"]
    done = CliRunner(env=environment).invoke(app, given)
    assert done.exit_code == 0, done.output
    with Store.open(folder, load_key(folder, env={})) as store:
        return store.voiceprints(MODEL, time.time())["anna"].prototypes[0].embedding


def by_replay(recording: Path) -> Float32:
    return Replay().enrol([EnrolmentRecording("anna", recording)])["anna"].embeddings[0]


def by_listen(recording: Path, folder: Path) -> Float32:
    """`listen` compares with what this gives it; the microphone comes later."""
    replay, settings = Replay(), Config(data_dir=folder)
    named = replay.enrol([EnrolmentRecording("anna", recording)])
    found = voices(replay, settings, named, ["anna"])
    return found["anna"].embeddings[0]


def by_verify(recording: Path, monkeypatch: pytest.MonkeyPatch) -> Float32:
    compared: list[Float32] = []
    score = CalibratedScorer.score

    def noting(self: CalibratedScorer, enrol: Float32, *others: Any) -> TrialScore:
        compared.append(enrol)
        return score(self, enrol, *others)

    verifier = Verifier(load_bundle())
    monkeypatch.setattr(CalibratedScorer, "score", noting)
    verifier.verify([recording], recording, Rule())
    return compared[-1]


def test_four_commands_make_the_same_voiceprint(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = by_enroll(recording, tmp_path / "data")
    assert np.linalg.norm(stored) == pytest.approx(1.0, abs=1e-6)
    for other in (
        by_replay(recording),
        by_listen(recording, tmp_path / "elsewhere"),
        by_verify(recording, monkeypatch),
    ):
        np.testing.assert_allclose(other, stored, atol=1e-6)
