"""A bundle's ``manifest.json`` says what the model is and holds the figures that go with it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.onnx"
FRAMES_FILE, HEAD_FILE = "frames.onnx", "head.npy"
COHORT_FILE = "cohort.npy"

ACOUSTICS = ("snr_db", "c50_db")  # the heads that say how speech was heard

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Figures = dict[str, Any]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


# What is said of how speech was heard: those in dB, and the logarithm of its embedding's magnitude.
HEARD = len(ACOUSTICS) + 1


def unheard(rows: int) -> Float32:
    """What is said ``(rows, HEARD)`` of speech of which no network says how it was heard."""
    return np.full((rows, HEARD), np.nan, np.float32)


class AlarmFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a span tells whether the voice before it goes on, and how often alarms err.

    It speaks for that voice by ``claim`` times its LLR against the voiceprint of who spoke before,
    ``voice`` times that against the speech before it, and ``speech``, all times the gain of the
    speech on both sides (``engine.scoring.scorer``), and ``offset``: a log-likelihood ratio of
    going on to another voice having begun. A bundle fitted before the gain counted has no
    ``speech``. While nobody takes over, the log odds of a change, or where somebody is matched
    those against him if they are higher, come to exceed a height ``h`` ``exp(log_rate - decay h)``
    times an hour of speech.
    """

    claim: float
    voice: float
    speech: float | None = None
    offset: float
    log_rate: float
    decay: Positive

    def goes_on(self, voice: Float64, claim: Float64 | float, gain: Float64) -> Float64:
        """The log ratio ``(N,)`` of the voice before going on to another one having begun."""
        same = self.claim * claim + self.voice * voice
        if self.speech is None:
            return np.asarray(same + self.offset, np.float64)
        return np.asarray(gain * (same + self.speech) + self.offset, np.float64)

    def height(self, per_hour: float) -> float:
        """The log odds at which false alarms come ``per_hour`` times an hour of speech."""
        return max(0.0, (self.log_rate - math.log(per_hour)) / self.decay)


class DecisionFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Figures of decisions over time, fitted on streams of speakers held out of training.

    ``slope`` and ``offset`` are those of :meth:`evidence`. The defaults are those of a streaming
    model, with a rate of false changes that a windowed one keeps to as well;
    ``scripts/fit_evidence.py`` fits them.
    """

    slope: Positive = 1.0
    offset: float = 0.0
    takeover: AlarmFigures = AlarmFigures(
        claim=1.65, voice=0.9, speech=-6.5, offset=2.4, log_rate=3.0, decay=0.6
    )
    change: AlarmFigures = AlarmFigures(
        claim=0.0, voice=2.1, speech=-6.8, offset=2.3, log_rate=4.3, decay=0.5
    )
    fitted: Figures = {}

    def evidence(self, llr: Float64) -> Float64:
        """What the user's bounds are held against, of log-likelihood ratios or log odds.

        What speaks for somebody is stretched, so that as many strangers are accepted as was
        stated. What speaks against him counts as it is: the lower bound holds the rate of misses.
        """
        return np.where(llr > 0, self.slope * llr + self.offset, llr)


class Normalisation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Scores are taken relative to the ``top`` nearest cohort speakers of either side (AS-norm)."""

    method: Literal["as-norm"] = "as-norm"
    top: Count


class MagnitudeFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the magnitude of an embedding says of the speech behind it (``engine.scoring.worth``).

    Its natural logarithm is ``usual + slope ln(speech_s)`` in the mean; speech in which it is more
    than that by ``x`` is worth ``exp(weight x)`` times as many seconds.
    """

    usual: float
    slope: float
    weight: Annotated[float, msgspec.Meta(ge=0, le=100)]  # of which no worth is infinite


def heard_together(
    heard: Float32, seconds: ArrayLike, magnitude: MagnitudeFigures | None = None
) -> Float32:
    """How speech was heard, ``(..., HEARD)``, whose embedding is the mean of those of its parts.

    The parts were ``heard`` ``(..., N, HEARD)`` and have ``seconds`` ``(..., N)``, by which they
    weigh. Of the mean of several unit embeddings no magnitude is measured: where the usual ones
    are known it is as unusual as those of the parts are in the mean, and else NaN.
    """
    seconds = np.asarray(seconds, np.float64)
    total = seconds.sum(axis=-1, keepdims=True)
    share = seconds / total
    mean = (share[..., None] * heard).sum(axis=-2)
    if magnitude is None:
        mean[np.count_nonzero(seconds, axis=-1) > 1, -1] = np.nan
    else:
        longer = np.log(total / np.where(seconds > 0, seconds, total))
        mean[..., -1] += magnitude.slope * (share * longer).sum(axis=-1)
    return np.asarray(mean, np.float32)


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Coefficients that turn score and net speech into a natural-log likelihood ratio.

    With ``g = 1 / sqrt((1 + h / enrol_s) (1 + h / test_s))``, ``h = half_speech_s``,

        llr = (slope[0] + slope[1] g) norm + (cosine[0] + cosine[1] g) cosine
              + offset[0] + offset[1] g + offset[2] g^2

    ``engine.scoring.scorer`` says where the form comes from. ``g`` lies between 0 and 1 and both
    slopes are linear in it: that neither is negative at either end, and that they do not
    vanish together, makes the ratio rise with the score whatever the durations.

    ``acoustics`` are what 20 dB less of SNR and of C50 than clean sound add to ``h / test_s``, and
    what others do by their squares (``engine.scoring.worth``): nothing for a model that does not
    say them. ``magnitude`` is there where that of a tested embedding counts.
    """

    half_speech_s: Positive
    slope: tuple[float, float]
    offset: tuple[float, float, float]
    cosine: tuple[float, float] = (0.0, 0.0)
    acoustics: tuple[float, float] = (0.0, 0.0)
    magnitude: MagnitudeFigures | None = None
    fitted: Figures = {}
    evidence: DecisionFigures | None = None

    @property
    def decision_figures(self) -> DecisionFigures:
        """How ratios become evidence and alarms: its own figures, or general ones."""
        return self.evidence or DecisionFigures()

    def __post_init__(self) -> None:
        ends = [(c[0], c[0] + c[1]) for c in (self.slope, self.cosine)]
        if min(min(end) for end in ends) < 0 or min(map(sum, zip(*ends, strict=True))) <= 0:
            raise ValueError("calibration: the ratio must rise with the score at every duration")
        every = [*self.slope, *self.offset, *self.cosine, *self.acoustics]
        if self.magnitude is not None:
            every += msgspec.structs.astuple(self.magnitude)
        if not all(map(math.isfinite, every)):
            raise ValueError("calibration: every coefficient must be finite")
        if min(self.acoustics) < 0:
            raise ValueError("calibration: noise and rooms cannot make speech worth more")


class FramesFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What whoever runs a frames graph must know of it.

    A block has ``block_samples`` at 16 kHz, and its sums come out ``delay_blocks`` after it went
    in. ``pooled_channels`` and ``state_size`` are the widths of sums and states. The floors keep
    the pooled mean and deviation of a span finite. ``heads`` names what the graph says of each
    block besides. A waveform that is embedded whole gets ``margin_blocks`` of silence at either
    end, which stand for the pauses around it, and a turn that is judged live as many behind it.
    """

    block_samples: Count = 1600
    delay_blocks: Count
    pooled_channels: Count
    state_size: Count
    weight_floor: Positive = 1e-6
    variance_floor: Positive = 1e-5
    heads: tuple[str, ...] = ()
    margin_blocks: Annotated[int, msgspec.Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        if self.margin_blocks > self.delay_blocks:
            raise ValueError("margin_blocks may be no more than delay_blocks")

    @property
    def acoustics(self) -> tuple[int, ...] | None:
        """Which of the heads are :data:`ACOUSTICS`, where there are both."""
        known = all(name in self.heads for name in ACOUSTICS)
        return tuple(map(self.heads.index, ACOUSTICS)) if known else None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of ``manifest.json``, in which an unknown key is an error.

    Format 1 is a graph for windows, format 2 a graph for frames, which has ``frames``.
    """

    format: Literal[1, 2] = 1
    name: Annotated[str, msgspec.Meta(min_length=1)]
    version: str
    licence: str
    source: str
    architecture: Figures
    front_end: Figures
    sha256: dict[str, str] = {}
    sample_rate_hz: Literal[16000] = 16000  # as engine.format.SAMPLE_RATE_HZ
    embedding_size: Count = 192
    window_s: tuple[Positive, ...] = (2.0, 3.0, 4.0, 5.0)
    min_window_s: Positive = 0.5
    max_window_s: Positive = 20.0
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    frames: FramesFigures | None = None
    calibration: Calibration | None = None
    normalisation: Normalisation | None = None
    parity: Figures = {}
    evaluation: Figures = {}
    training: Figures = {}

    def __post_init__(self) -> None:
        if (self.format == 2) != (self.frames is not None):
            raise ValueError("a manifest of format 2 has the key frames, and no other has it")
        if self.min_window_s > self.max_window_s:
            raise ValueError("min_window_s is longer than max_window_s")
        if any(not self.min_window_s <= w <= self.max_window_s for w in self.window_s):
            raise ValueError("window_s leaves the range from min_window_s to max_window_s")

    @property
    def model_files(self) -> tuple[str, ...]:
        """Names of the files that the network is in, its graph first."""
        return (MODEL_FILE,) if self.frames is None else (FRAMES_FILE, HEAD_FILE)

    @property
    def model_sha256(self) -> str:
        """The digest of the graph, which :func:`load_bundle` has checked."""
        return self.sha256[self.model_files[0]]
