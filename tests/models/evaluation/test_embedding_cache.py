import numpy as np

from engine.scoring.scorer import Scores
from models.evaluation.embedding_cache import CachedSystem, EmbeddingCache

WIDTH = 8


class Counting:
    """Embeds a segment by its sum, and remembers how many segments it was asked for."""

    name = "counting"
    min_speech_s = 0.5

    def __init__(self):
        self.asked = []

    def embed(self, waveforms):
        self.asked.append(len(waveforms))
        return np.outer(waveforms.sum(axis=1), np.arange(WIDTH)).astype(np.float32)

    def score(self, enrol, enrol_s, test, test_s, pairs):
        cosine = enrol[pairs[:, 0], 1] * test[pairs[:, 1], 1]
        return Scores(cosine, cosine)


def opened(folder):
    inner, cache = Counting(), EmbeddingCache(folder / "one.cache", WIDTH)
    return inner, cache, CachedSystem(inner, cache)


def test_segments_are_computed_once_and_kept_between_runs(tmp_path):
    segments = np.random.default_rng(0).standard_normal((3, 800)).astype(np.float32)
    inner, cache, first = opened(tmp_path)
    embeddings = first.embed(segments[:2])
    assert np.array_equal(embeddings, Counting().embed(segments[:2]))
    assert np.array_equal(first.embed(segments[[1, 0]]), embeddings[[1, 0]])
    assert inner.asked == [2]
    cache.close()
    # A run killed while it wrote leaves half a record, which is forgotten.
    with open(tmp_path / "one.cache", "ab") as file:
        file.write(b"half a record")
    inner, cache, again = opened(tmp_path)
    assert np.array_equal(again.embed(segments[:2]), embeddings)
    assert inner.asked == []
    changed = segments.copy()
    changed[0, 5] += 1e-4  # any other segment is another segment
    again.embed(changed)
    assert inner.asked == [2]
    assert again.computed == 2
    cache.close()
    assert (tmp_path / "one.cache").stat().st_size == 4 * cache.record.itemsize
    _, cache, third = opened(tmp_path)
    assert np.array_equal(third.embed(segments[:2]), embeddings)
    cache.close()


def test_scores_and_names_are_those_of_the_system(tmp_path):
    system = CachedSystem(Counting(), EmbeddingCache(None, WIDTH))
    assert (system.name, system.min_speech_s) == ("counting", 0.5)
    side = np.ones((2, WIDTH), np.float32)
    assert system.score(side, None, 3 * side, None, np.array([[0, 1]])).cosine == [3]
