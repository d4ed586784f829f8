"""How far an exported graph is from the network in torch that it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.format import SAMPLE_RATE_HZ, unit
from models.network.frontend import FrontEndConfig, LogMel
from models.network.next_tdnn import NeXtTDNN

PARITY_LENGTHS_S = (0.5, 1.0, 2.0, 3.0, 5.0, 8.13)
PARITY_BATCHES = (1, 4)

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parity:
    """An exported graph against torch: cosines of embeddings, largest difference, size."""

    cosine_min: float
    cosine_mean: float
    max_abs: float
    bytes: int


def cpu_session(model: bytes, log_severity: int = 3) -> ort.InferenceSession:
    """``model`` on one thread of the CPU, which logs from onnxruntime's severity 3 (errors) on."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = log_severity
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def measure_parity(
    network: NeXtTDNN,
    model: bytes,
    batches: Sequence[Float32],
    front_end: FrontEndConfig | None = None,
) -> Parity:
    """``model`` in onnxruntime on the CPU against ``network`` in torch, on ``(B, samples)``."""
    session = cpu_session(model)
    network = network.eval()
    cosines, differences = [], []
    for batch in batches:
        expected = unit(_reference(network, batch, front_end))
        found = session.run(None, {session.get_inputs()[0].name: batch})[0].astype(np.float64)
        cosines.append((unit(found) * expected).sum(axis=1))
        differences.append(np.abs(found - expected).max())
    every = np.concatenate(cosines)
    # numpy's max, unlike Python's, does not pass over a NaN behind a number.
    largest = float(np.max(differences))
    return Parity(float(every.min()), float(every.mean()), largest, len(model))


def _reference(
    network: NeXtTDNN, batch: Float32, front_end: FrontEndConfig | None
) -> NDArray[np.float64]:
    with torch.no_grad():
        found: Tensor = network(LogMel(front_end)(torch.from_numpy(batch)))
    return np.asarray(found.double().numpy(), np.float64)


def parity_batches(speech: Sequence[Float32] = ()) -> list[Float32]:
    """Windows of several lengths and batch sizes, ``(B, samples)``, cut from ``speech``.

    Waveforms are repeated where they are too short. Without any, voices are made up:
    enough to see a wrong graph, too regular to tell what quantisation does to speech.
    """
    found = voices(speech)
    batches, turn = [], 0
    for seconds in PARITY_LENGTHS_S:
        samples = int(seconds * SAMPLE_RATE_HZ)
        for size in PARITY_BATCHES:
            chosen = [found[(turn + i) % len(found)] for i in range(size)]
            batches.append(np.stack([np.resize(v, samples) for v in chosen]).astype(np.float32))
            turn += size
    return batches


def voices(speech: Sequence[Float32]) -> list[Float32]:
    """``speech``, or a few voices that are made up where there is none."""
    return list(speech) or [_made_up_voice(seed) for seed in range(max(PARITY_BATCHES))]


def _made_up_voice(seed: int) -> Float32:
    """Ten seconds of a buzzing, wavering harmonic sound in noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(10 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    f0 = rng.uniform(90, 240) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t))
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE_HZ
    weights = rng.random(20) / np.arange(1, 21)
    tone = sum(w * np.sin(k * phase) for k, w in enumerate(weights, start=1))
    loudness = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(2, 5) * t)
    return np.asarray(0.1 * tone * loudness + 0.003 * rng.standard_normal(len(t)), np.float32)
