"""Labels that CAM++ doubts: which utterances are heard, and whom that leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.format import SAMPLE_RATE_HZ
from models.network.campplus import CAMPPlus
from models.sound.corpus import Corpus
from models.training.teacher import teacher_embed
from scripts.check_labels import doubtful, heard

SECONDS = (0.41, 2.003, 12.0)  # of utterances: said again, no whole hops, cut


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """One speaker's utterances of noise."""
    lengths = [round(s * SAMPLE_RATE_HZ) for s in SECONDS]
    noise = np.random.default_rng(0).integers(-3000, 3000, sum(lengths), dtype="<i2")
    noise.tofile(tmp_path / "speech.i16")
    starts = np.cumsum([0, *lengths])
    rows = [f"one,toy,en,{start},{length}" for start, length in zip(starts, lengths, strict=False)]
    text = "\n".join(["speaker,source,language,start,length", *rows])
    (tmp_path / "index.csv").write_text(f"{text}\n")
    return Corpus(tmp_path)


def test_every_utterance_is_heard_whatever_its_length(corpus: Corpus) -> None:
    lengths = []

    def embed(windows: np.ndarray) -> np.ndarray:
        lengths.append(windows.shape[1] / SAMPLE_RATE_HZ)
        return np.ones((len(windows), 3), np.float32)

    assert heard(corpus, ["one"], embed)["one"].shape == (3, 3)
    assert lengths == [1.0, 2.0, 10.0]


def test_the_network_hears_utterances_of_any_length(corpus: Corpus) -> None:
    torch.manual_seed(0)
    embed = teacher_embed(CAMPPlus().eval(), torch.device("cpu"))
    found = heard(corpus, ["one"], embed)["one"]
    assert found.shape == (3, 192)
    assert np.isfinite(found).all()


def test_shared_accounts_and_second_accounts_are_found() -> None:
    rng = np.random.default_rng(0)
    voices = rng.standard_normal((12, 64))

    def said(voice: int, count: int) -> np.ndarray:
        return (voices[voice] + 0.3 * rng.standard_normal((count, 64))).astype(np.float32)

    speakers = {f"s{i}": said(i, 6) for i in range(10)}
    speakers["shared"] = np.concatenate([said(10, 4), said(11, 2)])
    speakers["again"] = said(0, 3)
    speakers["more"] = said(9, 7)
    found = doubtful(speakers)
    assert set(found) == {"shared", "again", "s9"}
    assert found["again"] == "sounds like s0"
    assert found["s9"] == "sounds like more"
