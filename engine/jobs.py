"""What a session asks to be computed, and the answers: plain records, nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# Shapes of what Silero's network carries from one frame to the next.
CONTEXT_SAMPLES = 64  # samples of the frame before, at 16 kHz
LSTM_SHAPE = (2, 128)  # layers and width


@dataclass(frozen=True, slots=True)
class VadState:
    """What the network remembers of ``B`` streams: LSTM ``(2, B, 128)``, context ``(B, 64)``."""

    lstm: Float32
    context: Float32

    @classmethod
    def initial(cls, batch: int) -> VadState:
        """The state before the first frame of ``batch`` streams."""
        layers, width = LSTM_SHAPE
        return cls(
            np.zeros((layers, batch, width), np.float32),
            np.zeros((batch, CONTEXT_SAMPLES), np.float32),
        )


@dataclass(frozen=True, slots=True, eq=False)
class VadJob:
    """Consecutive frames ``(N, 512)`` and the state before the first. Not to be written to.

    ``quiet`` says that nobody was speaking before them, so that the answer may wait a little,
    ``urgent`` that somebody waits for it.
    """

    number: int
    frames: Float32
    state: VadState
    quiet: bool = False
    urgent: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class EmbedJob:
    """A window ``(samples,)`` to embed, not to be written to: it shares memory with the next.

    ``due`` is the media sample at which it was complete.
    """

    number: int
    samples: Float32
    due: int


@dataclass(frozen=True, slots=True, eq=False)
class FramesJob:
    """The new speech of a stream ``(n,)`` and the states ``(S,)`` before it.

    Of its frames of 10 ms the first ``frames`` count, speech and the margin behind a turn; silence
    after them stands for what follows. ``due`` is the media sample at which the speech was
    complete.
    """

    number: int
    samples: Float32
    frames: int
    states: Float32
    due: int


@dataclass(frozen=True, slots=True, eq=False)
class VadResult:
    """Probabilities ``(N,)`` of a job's frames and the state after the last."""

    number: int
    probabilities: Float32
    state: VadState


@dataclass(frozen=True, slots=True, eq=False)
class EmbedResult:
    """The unit embedding ``(D,)`` of a job's window."""

    number: int
    embedding: Float32


@dataclass(frozen=True, slots=True, eq=False)
class FramesResult:
    """Sums ``(blocks, 3, C)`` and heads ``(blocks, H)`` of blocks, and the states ``(S,)`` after.

    The blocks are those that went in ``delay_blocks`` before (``FramesFigures``).
    """

    number: int
    sums: Float32
    heads: Float32
    states: Float32


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A job that could not be run, and why."""

    number: int
    message: str


Job = VadJob | EmbedJob | FramesJob
Result = VadResult | EmbedResult | FramesResult | JobFailure
