"""The teacher's arithmetic, with random weights in its published layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.network.checkpoint import CheckpointError
from models.sound.corpus import Corpus
from models.training.teacher import Targets, Teacher, read_targets, write_targets


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.ones(2)}}, path)
    with pytest.raises(CheckpointError, match="does not hold Resemblyzer's encoder"):
        Teacher(path)
    path.write_text("alice")
    with pytest.raises(CheckpointError, match=r"other\.pt"):
        Teacher(path)


def test_embeddings_are_unit_and_not_negative(teacher_weights: Path) -> None:
    teacher = Teacher(teacher_weights)
    wave = torch.from_numpy(np.random.default_rng(0).standard_normal(48_000).astype(np.float32))
    partials = teacher.partials(wave * 0.1)
    assert partials.shape == (2, 160, 40)
    embedding = teacher(partials)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))
    assert bool((embedding >= 0).all())


def test_short_speech_is_repeated_to_one_partial(teacher_weights: Path) -> None:
    wave = torch.randn(8_000, generator=torch.Generator().manual_seed(1)) * 0.1
    assert Teacher(teacher_weights).partials(wave).shape == (1, 160, 40)


def test_quiet_speech_is_raised_and_loud_speech_left(teacher_weights: Path) -> None:
    teacher = Teacher(teacher_weights)
    wave = torch.randn(32_000, generator=torch.Generator().manual_seed(1))
    quiet, quieter = teacher.partials(wave * 1e-3), teacher.partials(wave * 1e-4)
    torch.testing.assert_close(quiet, quieter, rtol=1e-3, atol=1e-6)
    loud, louder = teacher.partials(wave * 0.1), teacher.partials(wave * 0.2)
    torch.testing.assert_close(louder, 4 * loud, rtol=1e-3, atol=1e-5)


@pytest.fixture
def two_speakers(tmp_path: Path) -> Corpus:
    """Three and one seconds of noise of two colours, laid out as the corpus cache is."""
    rng = np.random.default_rng(5)
    first, second = rng.standard_normal(48_000), np.cumsum(rng.standard_normal(16_000)) / 50
    samples = np.concatenate([0.1 * first, second.clip(-1, 1)])
    (samples * 32767).astype("<i2").tofile(tmp_path / "speech.i16")
    rows = ["speaker,source,language,start,length", "a,toy,xx,0,48000", "b,toy,xx,48000,16000"]
    (tmp_path / "index.csv").write_text("\n".join(rows))
    return Corpus(tmp_path)


def test_targets_are_of_speakers_and_of_windows(
    two_speakers: Corpus, teacher_weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "targets.npz"
    write_targets(two_speakers, teacher_weights, path, (1.0, 0.5), size=2)
    targets = read_targets(path)
    assert (targets.speakers, targets.speeds) == (["a", "b"], (1.0, 0.5))
    assert targets.means.shape == (2, 2, 2)
    np.testing.assert_allclose(np.linalg.norm(targets.means, axis=-1), 1, rtol=1e-5)
    # At half the speed the three seconds are six, in six windows; one second is two, in one.
    np.testing.assert_array_equal(targets.first, [[0, 2, 3], [0, 6, 7]])
    assert [x.shape for x in targets.windows] == [(3, 2), (7, 2)]
    # A speaker of one window is that window.
    np.testing.assert_allclose(targets.means[1, 1], targets.windows[1][6], atol=2e-3)


def test_the_target_of_a_crop_is_of_the_windows_with_their_middle_in_it() -> None:
    # Five windows, with their middles at 0.8, 1.6, ... 4.0 s; each its own direction.
    own = np.eye(6, dtype=np.float32)
    one = [own[:5].astype(np.float16)]
    targets = Targets(["a"], (1.0,), own[None, 5:6], one, np.array([[0, 5]]))

    def windows(start_s: float, crop_s: float, share: float = 1.0) -> list[int]:
        return np.flatnonzero(targets.of_crop(0, 0, start_s, crop_s, share)).tolist()

    assert windows(0.0, 1.5) == [0]
    assert windows(0.9, 1.5) == [1]
    assert windows(0.9, 3.0) == [1, 2, 3]
    assert windows(3.5, 1.5) == [4]
    assert windows(4.1, 1.5) == [4]  # past the last middle: the nearest
    assert windows(0.9, 0.1) == [1]  # between two: the next
    assert windows(0.0, 3.0, share=0.0) == [5]
    half = targets.of_crop(0, 0, 0.0, 1.5, 0.5)
    np.testing.assert_allclose(half[[0, 5]], np.sqrt(0.5), rtol=1e-6)
