"""Resemblyzer as a system under test, in a scratch environment.

Resemblyzer (Apache-2.0, https://github.com/resemble-ai/Resemblyzer) is installed from PyPI
into a scratch environment, which borrows this environment's torch, and runs there in a
subprocess; it is no dependency of voxwatch.
"""

from __future__ import annotations

import os
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np

from engine.errors import VoxwatchError
from engine.scoring.scorer import Scores
from models.evaluation.embeddings import Float32, Float64, Ints
from scripts.scratch import scratch_python

VERSION = "0.1.4"
# webrtcvad needs pkg_resources, which setuptools 81 dropped. The package's other
# requirements are in this environment already, or (`typing`) part of Python.
REQUIREMENTS = ("setuptools<81", "librosa>=0.10", "webrtcvad>=2.0.10")
WIDTH = 256  # of an embedding
MIN_SPEECH_S = 0.5  # net speech of the shortest segment


class ComparisonError(VoxwatchError):
    """Resemblyzer cannot be run here."""


def resemblyzer_python(folder: Path) -> Path:
    """The interpreter of a scratch environment with Resemblyzer, made unless it is there."""
    steps = (["--no-deps", f"Resemblyzer=={VERSION}"], REQUIREMENTS)
    return scratch_python(folder, f"resemblyzer-{VERSION}", steps)


class Resemblyzer:
    """Resemblyzer as a system under test: a subprocess that starts when it is first needed."""

    name = f"Resemblyzer {VERSION}"
    min_speech_s = MIN_SPEECH_S

    def __init__(self, environment: Path, *, trim: bool, threads: int) -> None:
        self._environment = environment
        self._trim = trim
        self._threads = threads
        self._worker: subprocess.Popen[bytes] | None = None

    def embed(self, waveforms: Float32) -> Float32:
        """Unit embeddings ``(N, 256)``."""
        if self._worker is None:
            self._worker = self._start()
        into, out = self._worker.stdin, self._worker.stdout
        assert into is not None
        assert out is not None
        rows, samples = waveforms.shape
        try:
            into.write(struct.pack("<II", rows, samples) + waveforms.astype("<f4").tobytes())
            into.flush()
            answer = out.read(4 * rows * WIDTH)
        except BrokenPipeError:
            answer = b""
        embeddings = np.frombuffer(answer, "<f4")
        if embeddings.size != rows * WIDTH or not np.isfinite(embeddings).all():
            raise ComparisonError("Resemblyzer failed on a segment: see its message above")
        return embeddings.reshape(rows, WIDTH)

    def _start(self) -> subprocess.Popen[bytes]:
        python = resemblyzer_python(self._environment)
        worker = Path(__file__).with_name("resemblyzer_worker.py")
        command: list[str | Path] = [python, "-W", "ignore", worker]
        return subprocess.Popen(
            [*command, "--trim"] if self._trim else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Without our own import path, which would show it our packages twice.
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
            | {"OMP_NUM_THREADS": str(self._threads)},
        )

    def close(self) -> None:
        """End the subprocess; one that died before its last segment is no new error."""
        if self._worker is not None:
            with suppress(BrokenPipeError), self._worker:
                pass

    def score(
        self, enrol: Float32, enrol_s: Float64, test: Float32, test_s: Float64, pairs: Ints
    ) -> Scores:
        """Cosines: Resemblyzer has no calibration."""
        cosine = np.einsum("nd,nd->n", enrol[pairs[:, 0]], test[pairs[:, 1]]).astype(np.float64)
        return Scores(cosine, cosine)
