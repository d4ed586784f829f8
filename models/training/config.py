"""The configuration of a training run, as its TOML file states it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from engine.errors import VoxwatchError
from models.network.streaming import BLOCK_S, StreamingArchitecture
from models.sound.augment import AugmentConfig, Count, Probability

LARGEST = 1e9  # of a setting: above every sensible one, and infinity is refused

Positive = Annotated[float, msgspec.Meta(gt=0, le=LARGEST)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Part = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Factor = Annotated[float, msgspec.Meta(ge=0.5, le=2)]  # of time or frequency
SpanSeconds = Annotated[float, msgspec.Meta(ge=0.5, le=LARGEST)]
OUT_OF_BOUNDS = re.compile(r"Expected `\w+` (\S+ \S+) - at `\$\.(.+)`")  # as msgspec says it


class TrainingError(VoxwatchError):
    """A configuration or data set that cannot be trained on; the message says what to change."""


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shape of the network; see :class:`models.network.streaming.StreamingArchitecture`, which
    would let a misspelt field pass."""

    channels: Annotated[int, msgspec.Meta(ge=8)] = 128
    depths: tuple[int, int, int] = (2, 2, 2)
    kernel_sizes: tuple[int, ...] = (7, 65)
    ahead_frames: Annotated[int, msgspec.Meta(ge=0)] = 8
    backward: Annotated[int, msgspec.Meta(ge=0)] = 0
    delay_frames: Annotated[int, msgspec.Meta(ge=0)] = 50
    stride: Count = 1
    memory_s: Positive = 3.0
    prior_s: Positive = 0.3


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Folders, relative to the working directory, and who is held out."""

    root: Path
    cache: Path
    noise: Path
    teacher: Path  # weights of CAM++
    rooms: Path | None = None  # measured impulse responses beside the simulated ones
    heldout_share: Part = 0.3  # of the speakers of `heldout_sources` with `heldout_min_s`
    heldout_sources: tuple[str, ...] = ("common_voice_6_1", "speechocean762")
    heldout_min_s: NotNegative = 9.0
    coded_share: Probability = 1.0  # of the speakers that there is a coded copy of


class Voices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other voices that are made of a speaker's, and how often; see :mod:`models.sound.voices`."""

    faster: Probability = 0.8  # of drawing how fast it is said
    speeds: tuple[Factor, Factor] = (0.8, 1.24)
    shifted: Probability = 0.5  # of drawing where its formants lie
    formants: tuple[Factor, Factor] = (0.83, 1.2)


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a batch holds: sequences, the pieces of speech in them, the spans that are taught."""

    sequences: Count = 16
    length_s: Positive = 6.0
    one_speaker: Probability = 0.45  # of the sequences; the others change speaker
    piece_s: tuple[Positive, Positive] = (1.2, 5.0)  # of one speaker, where the speaker changes
    spans: Count = 2  # of every piece, beside the whole of it
    span_s: tuple[SpanSeconds, SpanSeconds] = (0.6, 3.0)
    at_an_end: Probability = 0.4  # of the spans, most of them right after a change
    local_target: Probability = 0.6  # of a target: what is said of the span, not of all its piece


class Loss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of the losses; zero leaves one out."""

    distillation: NotNegative = 10.0
    relational: NotNegative = 100.0


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Muon and AdamW with warm-up, a constant stretch and a decay to zero."""

    steps: Count
    until: Count | None = None  # stop here, to go on with other settings and --resume
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.05
    warmup_steps: Count = 200
    decay_share: Share = 0.35
    clip_norm: Positive = 5.0
    ema: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.998
    evaluate_every: Count = 500
    checkpoint_minutes: NotNegative = 4.0
    compile: bool = True  # a minute or two once, then faster
    # A checkpoint of ours, of the same network or of a smaller one that this one begins as.
    start_from: Path | None = None


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole training run."""

    seed: Annotated[int, msgspec.Meta(ge=0)]
    data: Data
    schedule: Schedule
    network: Network = Network()
    voices: Voices = Voices()
    batch: Batch = Batch()
    loss: Loss = Loss()
    augment: AugmentConfig = AugmentConfig()

    def architecture(self) -> StreamingArchitecture:
        """The network's shape. Raises ``ValueError`` for one that cannot be."""
        return StreamingArchitecture(**msgspec.structs.asdict(self.network))


def load_config(path: Path) -> Config:
    """Read and validate a TOML file; :class:`TrainingError` names the field that is wrong."""
    document: dict[str, Any] = {}
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
        config = msgspec.convert(document, Config, dec_hook=lambda t, v: t(v))
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path} is no text: name a configuration in TOML") from error
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"{path}: {_with_value(str(error), document)}") from error
    _check_config(path, config)
    return config


def _with_value(message: str, document: dict[str, Any]) -> str:
    """What msgspec says of a number out of bounds, with the number, which it leaves out."""
    found = OUT_OF_BOUNDS.fullmatch(message)
    if found is None:
        return message
    bound, place = found.groups()
    value: Any = document
    for key in re.findall(r"\w+", place):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return f"{place} must be {bound}, not {value}"


def _check_config(path: Path, config: Config) -> None:
    """What the types do not say. Raises :class:`TrainingError`."""
    batch, loss, voices = config.batch, config.loss, config.voices
    try:
        config.architecture()
    except ValueError as error:
        raise TrainingError(f"{path}: network: {error}") from error
    for name, (low, high) in (("piece_s", batch.piece_s), ("span_s", batch.span_s)):
        if not low <= high <= batch.length_s:
            raise TrainingError(
                f"{path}: batch.{name} must rise and fit into batch.length_s, which is"
                f" {batch.length_s}: it is {[low, high]}"
            )
    if abs(batch.length_s / BLOCK_S - round(batch.length_s / BLOCK_S)) > 1e-6:
        raise TrainingError(f"{path}: batch.length_s must be a multiple of {BLOCK_S}")
    for name, (low, high) in (("speeds", voices.speeds), ("formants", voices.formants)):
        if low > high:
            raise TrainingError(f"{path}: voices.{name} must rise: it is {[low, high]}")
    if max(loss.distillation, loss.relational) <= 0:
        raise TrainingError(f"{path}: every loss has weight 0: give loss.distillation one")
