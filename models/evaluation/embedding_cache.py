"""A system under test whose embeddings are kept on disk: no segment is embedded twice.

The cache knows a segment by its samples, so that one that changed in any way is never answered
from it. A file belongs to one system and is only appended to.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.scoring.scorer import Scores
from models.evaluation.embeddings import Float32, Float64, Ints, SystemUnderTest

DIGEST_BYTES = 16


class EmbeddingCache:
    """Embeddings of ``width`` numbers by the digest of their segment; without a path, none last."""

    def __init__(self, path: Path | None, width: int) -> None:
        self.record = np.dtype([("digest", "u1", DIGEST_BYTES), ("embedding", "<f4", width)])
        self._known: dict[bytes, Float32] = {}
        self._file = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            whole = path.stat().st_size // self.record.itemsize
            os.truncate(path, whole * self.record.itemsize)  # a killed run may leave half a record
            for record in np.fromfile(path, self.record):
                self._known[record["digest"].tobytes()] = record["embedding"]
        self._file = open(path, "ab")  # noqa: SIM115  lives as long as the cache

    def __len__(self) -> int:
        return len(self._known)

    def get(self, digest: bytes) -> Float32 | None:
        """The embedding of a segment, or ``None`` when it is new."""
        return self._known.get(digest)

    def add(self, digests: Sequence[bytes], embeddings: Float32) -> None:
        """Keep the embeddings ``(N, width)`` of N segments."""
        records = np.zeros(len(digests), self.record)
        digest = np.frombuffer(b"".join(digests), np.uint8)
        records["digest"] = digest.reshape(-1, DIGEST_BYTES)
        records["embedding"] = embeddings
        self._known.update(zip(digests, embeddings, strict=True))
        if self._file:
            self._file.write(records.tobytes())
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


class CachedSystem:
    """``system``, asked only for segments that are not in the cache.

    ``computed`` counts what it was asked for.
    """

    def __init__(self, system: SystemUnderTest, cache: EmbeddingCache) -> None:
        self.system = system
        self._cache = cache
        self.computed = 0

    @property
    def name(self) -> str:
        """The system's."""
        return self.system.name

    @property
    def min_speech_s(self) -> float:
        """The system's."""
        return self.system.min_speech_s

    def embed(self, waveforms: Float32) -> Float32:
        """Embeddings ``(N, D)``."""
        digests = [
            hashlib.blake2b(row.tobytes(), digest_size=DIGEST_BYTES).digest() for row in waveforms
        ]
        new = [i for i, digest in enumerate(digests) if self._cache.get(digest) is None]
        if new:
            self._cache.add([digests[i] for i in new], self.system.embed(waveforms[new]))
            self.computed += len(new)
        rows: list[Any] = [self._cache.get(digest) for digest in digests]
        return np.stack(rows).astype(np.float32)

    def score(
        self, enrol: Float32, enrol_s: Float64, test: Float32, test_s: Float64, pairs: Ints
    ) -> Scores:
        """The system's scores."""
        return self.system.score(enrol, enrol_s, test, test_s, pairs)
