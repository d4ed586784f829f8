"""Resemblyzer as a system under test, in a scratch environment with its embeddings kept on disk.

Resemblyzer (Apache-2.0, https://github.com/resemble-ai/Resemblyzer) is installed from PyPI
into a scratch environment, which borrows this environment's torch, and runs there in a
subprocess; it is no dependency of voxwatch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import struct
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import numpy as np

from engine.errors import VoxwatchError
from engine.scoring.scorer import Scores
from models.evaluation.embeddings import Float32, Float64, Ints

VERSION = "0.1.4"
# webrtcvad needs pkg_resources, which setuptools 81 dropped. The package's other
# requirements are in this environment already, or (`typing`) part of Python.
REQUIREMENTS = ("setuptools<81", "librosa>=0.10", "webrtcvad>=2.0.10")
WIDTH = 256  # of an embedding
RECORD = np.dtype([("digest", "u1", 16), ("embedding", "<f4", WIDTH)])
MIN_SPEECH_S = 0.5  # net speech of the shortest segment


class ComparisonError(VoxwatchError):
    """Resemblyzer cannot be installed or run here."""


def scratch_python(folder: Path) -> Path:
    """The interpreter of a scratch environment with Resemblyzer, made unless it is there."""
    python = folder / "bin" / "python"
    done = folder / f"resemblyzer-{VERSION}.installed"
    if done.exists() and python.exists():
        return python
    if importlib.util.find_spec("torch") is None:
        raise ComparisonError("torch is not installed here: install voxwatch with its train extra")
    print(f"installing Resemblyzer {VERSION} into {folder}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    # Its own packages come first on the path; torch and scipy are taken from here.
    packages = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], text=True
    ).strip()
    (Path(packages) / "host.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    steps: tuple[list[str], ...] = (["--no-deps", f"Resemblyzer=={VERSION}"], [*REQUIREMENTS])
    for what in steps:
        command = [str(python), "-m", "pip", "install", "--quiet", *what]
        if subprocess.run(command, check=False).returncode:
            raise ComparisonError(
                f"pip could not install {' '.join(what)} into {folder}: see its message above"
            )
    done.touch()
    return python


class Cache:
    """Embeddings on disk by the digest of their segment; a file that is only appended to."""

    def __init__(self, path: Path | None) -> None:
        self._known: dict[bytes, Float32] = {}
        self._file = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            whole = path.stat().st_size // RECORD.itemsize
            os.truncate(path, whole * RECORD.itemsize)  # a killed run may leave half a record
            for record in np.fromfile(path, RECORD):
                self._known[record["digest"].tobytes()] = record["embedding"]
        self._file = open(path, "ab")  # noqa: SIM115  lives as long as the cache

    def __len__(self) -> int:
        return len(self._known)

    def get(self, digest: bytes) -> Float32 | None:
        return self._known.get(digest)

    def add(self, digests: Sequence[bytes], embeddings: Float32) -> None:
        records = np.zeros(len(digests), RECORD)
        records["digest"] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)
        records["embedding"] = embeddings
        self._known.update(zip(digests, embeddings, strict=True))
        if self._file:
            self._file.write(records.tobytes())
            self._file.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()


class Resemblyzer:
    """Resemblyzer as a system under test: a subprocess that starts when it is first needed."""

    name = f"Resemblyzer {VERSION}"
    min_speech_s = MIN_SPEECH_S

    def __init__(self, environment: Path, cache: Cache, *, trim: bool, threads: int) -> None:
        self._environment = environment
        self._cache = cache
        self._trim = trim
        self._threads = threads
        self._worker: subprocess.Popen[bytes] | None = None
        self.computed = 0

    def embed(self, waveforms: Float32) -> Float32:
        """Unit embeddings ``(N, 256)``."""
        digests = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in waveforms]
        new = [i for i, digest in enumerate(digests) if self._cache.get(digest) is None]
        if new:
            self._cache.add([digests[i] for i in new], self._ask(waveforms[new]))
            self.computed += len(new)
        return np.stack([cast(Float32, self._cache.get(digest)) for digest in digests])

    def _ask(self, waveforms: Float32) -> Float32:
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
        python = scratch_python(self._environment)
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
