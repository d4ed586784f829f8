"""Silero voice activity detection: a stateless, batched call.

The network is recurrent; its state goes in and comes out of every call, so that
one model serves any number of streams. It is the ONNX file of the package ``silero-vad``
(MIT licence, https://github.com/snakers4/silero-vad). The package itself depends on torch, so
the build of voxwatch copies this one file (scripts/fetch_detector.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engine.errors import BundleError
from engine.format import FRAME_SAMPLES, SAMPLE_RATE_HZ
from engine.jobs import CONTEXT_SAMPLES, VadState

Float32 = NDArray[np.float32]


def silero_path() -> Path:
    """Path of the network's ONNX file, which lies beside this module with its licence.

    Raises :class:`BundleError` when it is missing, as in a checkout that was never installed.
    """
    path = Path(__file__).parent / "silero" / "silero_vad.onnx"
    if not path.is_file():
        raise BundleError(
            f"the speech detector {path} is missing: install voxwatch again with pip (in a"
            " checkout `pip install --editable .`), which fetches it"
        )
    return path


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

    def detect(
        self, pieces: Sequence[Float32], states: Sequence[VadState]
    ) -> list[tuple[Float32, VadState]]:
        """Of each stream: probabilities ``(N,)`` of its frames ``(N, 512)``, and its next state.

        The streams go through the network together, frame by frame, as many as still have
        one: of 50 streams a frame costs 44 us of a core, alone 115 (Xeon, November 2026).
        ``states`` are of one stream each. ``N`` may differ but not be 0: ``ValueError``.
        """
        if not pieces or min(map(len, pieces)) < 1:
            raise ValueError("every stream needs a frame")
        order = sorted(range(len(pieces)), key=lambda i: -len(pieces[i]))
        lengths = [len(pieces[i]) for i in order]
        sound = _with_context([pieces[i] for i in order], [states[i] for i in order])
        lstm = np.concatenate([states[i].lstm for i in order], axis=1)
        probabilities = np.empty(sound.shape[:2], np.float32)
        found: list[tuple[Float32, VadState] | None] = [None] * len(pieces)
        rows = len(order)
        for t in range(lengths[0]):
            feed = {"input": sound[t, :rows], "state": lstm, "sr": self._rate}
            probability, lstm = self._session.run(None, feed)
            probabilities[t, :rows] = probability[:, 0]
            while rows and lengths[rows - 1] == t + 1:  # the last rows are done first
                rows -= 1
                context = sound[t, rows : rows + 1, -CONTEXT_SAMPLES:].copy()
                state = VadState(lstm[:, rows : rows + 1].copy(), context)
                found[order[rows]] = (probabilities[: t + 1, rows].copy(), state)
            lstm = lstm[:, :rows]
        return [one for one in found if one is not None]


def _with_context(pieces: Sequence[Float32], states: Sequence[VadState]) -> Float32:
    """Frames with the sound before each: ``(longest, B, 64 + 512)``, longest stream first."""
    sound = np.zeros(
        (len(pieces[0]), len(pieces), CONTEXT_SAMPLES + FRAME_SAMPLES), dtype=np.float32
    )
    for row, (piece, state) in enumerate(zip(pieces, states, strict=True)):
        sound[: len(piece), row, CONTEXT_SAMPLES:] = piece
        sound[0, row, :CONTEXT_SAMPLES] = state.context[0]
        sound[1 : len(piece), row, :CONTEXT_SAMPLES] = piece[:-1, -CONTEXT_SAMPLES:]
    return sound
