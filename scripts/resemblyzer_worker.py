"""Resemblyzer behind a pipe. Runs in the scratch environment of resemblyzer_system.py.

In: two little-endian uint32, rows and samples, then that many float32 of 16 kHz sound.
Out: rows x 256 float32. Ends when its input does. With ``--trim`` Resemblyzer's own speech
detection cuts each segment once more; otherwise only its volume normalisation is applied.
"""

from __future__ import annotations

import os
import struct
import sys
import types
from typing import Any

import numpy as np

try:
    import scipy.ndimage.morphology  # what Resemblyzer imports, gone in SciPy 2
except ImportError:
    import scipy.ndimage

    moved = types.ModuleType("scipy.ndimage.morphology")
    vars(moved)["binary_dilation"] = scipy.ndimage.binary_dilation
    sys.modules[moved.__name__] = moved

import torch
from resemblyzer import VoiceEncoder, audio, hparams


def prepared(segment: Any, trim: bool) -> Any:
    """The sound ``(samples,)`` as Resemblyzer wants it."""
    loud = audio.normalize_volume(segment, hparams.audio_norm_target_dBFS, increase_only=True)
    if not trim:
        return loud
    trimmed = audio.trim_long_silences(loud)
    return trimmed if len(trimmed) else loud


def main() -> None:
    trim = "--trim" in sys.argv[1:]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the packages print must not get among the embeddings
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    encoder = VoiceEncoder("cpu", verbose=False)
    while header := sys.stdin.buffer.read(8):
        rows, samples = struct.unpack("<II", header)
        sound = np.frombuffer(sys.stdin.buffer.read(4 * rows * samples), "<f4")
        for segment in sound.reshape(rows, samples):
            embedding = encoder.embed_utterance(prepared(segment, trim))
            answers.write(embedding.astype("<f4").tobytes())
        answers.flush()


if __name__ == "__main__":
    main()
