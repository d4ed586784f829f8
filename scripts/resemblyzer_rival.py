"""Resemblyzer as a rival of `voxwatch benchmark`: its demonstration's rolling similarity.

    voxwatch benchmark speakers/ --rival "python scripts/resemblyzer_rival.py" --cache runs/cache

As in Resemblyzer's demonstrations (Apache-2.0, https://github.com/resemble-ai/Resemblyzer):
partial windows of 1.6 s, 16 a second, each compared with the embedding of the enrolment; 0.75
and more is a confident match, under 0.65 none. The speech comes cut by voxwatch's detector, as
every system gets it, and has Resemblyzer's own volume normalisation.

Resemblyzer is installed from PyPI into a scratch environment by resemblyzer_system.py, and is
no dependency of voxwatch.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
import tempfile
import types
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

ACCEPT, REJECT = 0.75, 0.65  # cosines, as in Resemblyzer's demonstrations
RATE = 16  # partial windows a second
INSIDE = "VOXWATCH_IN_SCRATCH"

Float32 = NDArray[np.float32]


def enter_scratch(folder: Path) -> None:
    """Become the interpreter of the scratch environment, made unless it is there."""
    from scripts.resemblyzer_system import resemblyzer_python

    python = resemblyzer_python(folder)
    # Without our own import path, which would show it our packages twice.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {INSIDE: "1", "OMP_NUM_THREADS": environment.get("OMP_NUM_THREADS", "1")}
    os.execve(python, [str(python), "-W", "ignore", *sys.argv], environment)


def answer(
    encoder: Any,
    audio: Any,
    hparams: Any,
    enrolments: dict[bytes, Float32],
    enrolment: Float32,
    stream: Float32,
) -> Float32:
    """Seconds of the stream's speech and the cosine there, ``(K, 2)``."""

    def loud(sound: Float32) -> Float32:
        level_db = hparams.audio_norm_target_dBFS
        return cast(Float32, audio.normalize_volume(sound, level_db, increase_only=True))

    key = enrolment.tobytes()
    if key not in enrolments:
        enrolments.clear()
        enrolments[key] = encoder.embed_utterance(loud(enrolment))
    _, partials, slices = encoder.embed_utterance(loud(stream), return_partials=True, rate=RATE)
    ends = np.array([min(part.stop, len(stream)) for part in slices]) / hparams.sampling_rate
    return np.stack([ends, partials @ enrolments[key]], axis=1).astype("<f4")


def serve() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the packages print must not get among the answers
    try:
        import scipy.ndimage.morphology  # what Resemblyzer imports, gone in SciPy 2
    except ImportError:
        import scipy.ndimage

        moved = types.ModuleType("scipy.ndimage.morphology")
        vars(moved)["binary_dilation"] = scipy.ndimage.binary_dilation
        sys.modules[moved.__name__] = moved
    import torch
    from resemblyzer import VoiceEncoder, audio, hparams

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    encoder = VoiceEncoder("cpu", verbose=False)
    about = {"name": "Resemblyzer 0.1.4", "accept": ACCEPT, "reject": REJECT}
    answers.write(json.dumps(about).encode() + b"\n")
    answers.flush()
    enrolments: dict[bytes, Float32] = {}
    while header := sys.stdin.buffer.read(8):
        first, second = struct.unpack("<II", header)
        sound = np.frombuffer(sys.stdin.buffer.read(4 * (first + second)), "<f4")
        pairs = answer(encoder, audio, hparams, enrolments, sound[:first], sound[first:])
        answers.write(struct.pack("<I", len(pairs)) + pairs.tobytes())
        answers.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    scratch = Path(tempfile.gettempdir()) / "voxwatch-resemblyzer"
    parser.add_argument("--env", type=Path, default=scratch, help="the scratch environment")
    options = parser.parse_args()
    if INSIDE in os.environ:
        serve()
    else:
        enter_scratch(options.env)


if __name__ == "__main__":
    main()
