"""A bundle with a fixed cosine as a rival of `voxwatch benchmark`.

    voxwatch benchmark speakers/ --rival "python scripts/bundle_rival.py runs/campplus 0.42"

Windows of 1.5 s, four a second, are each compared with the enrolment's embedding: what one builds
in an afternoon around a published encoder. A score of at least the threshold is a match, one under
it another voice. The speech comes cut by voxwatch's detector, as every system gets it.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import load_bundle
from engine.model.encoder import Encoder, embed_speech

WINDOW_SAMPLES = 3 * SAMPLE_RATE_HZ // 2
HOP_SAMPLES = SAMPLE_RATE_HZ // 4
AT_ONCE = 8  # windows

Float32 = NDArray[np.float32]


def answer(
    encoder: Encoder, enrolments: dict[bytes, Float32], enrolment: Float32, stream: Float32
) -> Float32:
    """Seconds of the stream's speech and the score there, ``(K, 2)``."""
    key = enrolment.tobytes()
    if key not in enrolments:
        enrolments.clear()
        enrolments[key] = embed_speech(encoder, enrolment)
    ends = np.arange(WINDOW_SAMPLES, len(stream) + 1, HOP_SAMPLES)
    if not len(ends):
        return np.zeros((0, 2), np.float32)
    windows = np.stack([stream[end - WINDOW_SAMPLES : end] for end in ends])
    parts = np.split(windows, range(AT_ONCE, len(windows), AT_ONCE))
    scores = np.concatenate([encoder.embed(part) for part in parts]) @ enrolments[key]
    return np.stack([ends / SAMPLE_RATE_HZ, scores], axis=1).astype("<f4")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("threshold", type=float)
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may get among the answers
    bundle = load_bundle(options.bundle)
    encoder = Encoder(bundle, "cpu", threads=1)
    enrolments: dict[bytes, Float32] = {}
    name = f"{bundle.manifest.name}, 1.5 s"
    about = {"name": name, "accept": options.threshold, "reject": options.threshold}
    answers.write(json.dumps(about).encode() + b"\n")
    answers.flush()
    while header := sys.stdin.buffer.read(8):
        first, second = struct.unpack("<II", header)
        sound = np.frombuffer(sys.stdin.buffer.read(4 * (first + second)), "<f4")
        pairs = answer(encoder, enrolments, sound[:first], sound[first:])
        answers.write(struct.pack("<I", len(pairs)) + pairs.tobytes())
        answers.flush()


if __name__ == "__main__":
    main()
