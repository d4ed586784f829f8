"""Silero voice activity detection: a stateless, batched call.

The network is recurrent; its state goes in and comes out of every call, so that
one model serves any number of streams. It is the ONNX file that the
``silero-vad`` package carries (MIT licence, https://github.com/snakers4/silero-vad),
read without importing that package, which would import torch.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engine.errors import BundleError

SAMPLE_RATE_HZ = 16000
FRAME_SAMPLES = 512
CONTEXT_SAMPLES = 64
STATE_SHAPE = (2, 128)

Float32 = NDArray[np.float32]


def silero_path() -> Path:
    """Path of the ONNX file in the installed ``silero-vad`` package.

    Raises :class:`BundleError` when the package is not installed.
    """
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise BundleError("the package silero-vad is not installed: pip install silero-vad")
    path = Path(spec.origin).parent / "data" / "silero_vad.onnx"
    if not path.is_file():
        raise BundleError(f"{path} is missing: reinstall the package silero-vad")
    return path


@dataclass(frozen=True, slots=True)
class VadState:
    """What the network remembers of ``B`` streams: LSTM ``(2, B, 128)``, context ``(B, 64)``."""

    lstm: Float32
    context: Float32

    @classmethod
    def initial(cls, batch: int) -> VadState:
        layers, width = STATE_SHAPE
        return cls(
            np.zeros((layers, batch, width), np.float32),
            np.zeros((batch, CONTEXT_SAMPLES), np.float32),
        )


class SileroVad:
    """Speech probability of 32 ms frames at 16 kHz, over a batch of streams."""

    def __init__(self, path: Path | None = None, *, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The recurrent graph is tiny: a thread pool that spins costs more than it gives.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(
            str(path or silero_path()), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(SAMPLE_RATE_HZ, dtype=np.int64)

    def __call__(self, frames: Float32, state: VadState) -> tuple[Float32, VadState]:
        """Probabilities ``(B,)`` of ``frames`` ``(B, 512)`` in [-1, 1], and the next state."""
        if frames.ndim != 2 or frames.shape[1] != FRAME_SAMPLES:
            raise ValueError(f"frames must be (B, {FRAME_SAMPLES}), got {frames.shape}")
        joined = np.concatenate([state.context, frames.astype(np.float32, copy=False)], axis=1)
        probability, lstm = self._session.run(
            None, {"input": joined, "state": state.lstm, "sr": self._rate}
        )
        return probability[:, 0], VadState(lstm, joined[:, -CONTEXT_SAMPLES:])
