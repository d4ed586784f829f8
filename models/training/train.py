"""Training: ``voxwatch train CONFIG``.

One readable module, longer than most for that: one process, one loop. Every batch is
drawn from a generator seeded by the run's seed and the step, so a resumed run sees the
batches it would have seen, and a run is reproducible from its configuration.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from engine.errors import VoxwatchError
from engine.format import SAMPLE_RATE_HZ
from models.metrics import measure
from models.network.checkpoint import CheckpointError, read_checkpoint
from models.network.frontend import LogMel
from models.network.next_tdnn import Architecture, NeXtTDNN
from models.sound.augment import (
    Augment,
    AugmentConfig,
    Count,
    Probability,
    load_noise,
    noise_files,
    simulate_rooms,
)
from models.sound.corpus import MAX_CODED_S, Corpus, is_coded, prepare, prepare_coded
from models.training.losses import GE2E, AAMSoftmax, distillation, triplet_margin
from models.training.teacher import TARGETS_FILE, Targets, read_targets, write_targets

SUB_CENTRE_SPREAD = 0.1  # of a class's own length, at random
LARGEST = 1e9  # of a setting: above every sensible one, and infinity is refused

Positive = Annotated[float, msgspec.Meta(gt=0, le=LARGEST)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Part = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Crop = Annotated[float, msgspec.Meta(ge=0.2, le=LARGEST)]  # twice the network's ten frames
OUT_OF_BOUNDS = re.compile(r"Expected `\w+` (\S+ \S+) - at `\$\.(.+)`")  # as msgspec says it


class TrainingError(VoxwatchError):
    """A configuration or data set that cannot be trained on; the message says what to change."""


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shape of the network; see :class:`models.network.next_tdnn.Architecture`, which would let a
    misspelt field pass."""

    channels: Annotated[int, msgspec.Meta(ge=8)] = 128
    depths: tuple[int, int, int] = (3, 3, 3)
    kernel_sizes: tuple[int, ...] = (7, 65)
    light: bool = False


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Folders (relative to the working directory) and sampling."""

    root: Path
    cache: Path
    noise: Path
    teacher: Path | None = None
    teacher_windows: Probability = 0.0  # of the crop, in its target
    heldout_share: Part = 0.3  # of the speakers of `heldout_sources` with `heldout_min_s`
    heldout_sources: tuple[str, ...] = ("common_voice_6_1", "speechocean762")
    heldout_min_s: NotNegative = 9.0
    unlabelled_sources: tuple[str, ...] = ("common_voice_en_unlabelled", "intent_unlabelled")
    speeds: tuple[Positive, ...] = (1.0, 0.9, 1.1)
    coded_share: Probability = 0.25
    crops_s: tuple[Crop, ...] = (2.0,)
    crop_weights: tuple[NotNegative, ...] = (1.0,)
    batch_s: Positive = 128.0  # seconds of speech in a batch: short crops come in larger batches
    utterances_per_speaker: Count = 1


class Loss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of the losses; zero leaves one out."""

    aam: NotNegative = 1.0
    distillation: NotNegative = 0.0
    triplet: NotNegative = 0.0
    ge2e: NotNegative = 0.0
    scale: Positive = 30.0
    margin: NotNegative = 0.2
    margin_steps: tuple[Probability, Probability] = (0.2, 0.5)  # the ramp, in shares of all steps
    sub_centres: Count = 1


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """AdamW with warm-up, a constant stretch and a decay to zero."""

    steps: Count
    until: Count | None = None  # stop here, to go on with other settings and --resume
    learning_rate: Positive = 2e-3
    weight_decay: NotNegative = 0.05
    warmup_steps: Count = 300
    decay_share: Share = 0.35
    clip_norm: Positive = 3.0
    ema: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.998
    evaluate_every: Count = 500
    checkpoint_minutes: NotNegative = 4.0
    compile: bool = True  # minutes once for each crop length, then about a third faster


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole training run, as its TOML file states it."""

    seed: Annotated[int, msgspec.Meta(ge=0)]
    data: Data
    schedule: Schedule
    network: Network = Network()
    loss: Loss = Loss()
    augment: AugmentConfig = AugmentConfig()


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
    data, loss = config.data, config.loss
    try:
        Architecture(**msgspec.structs.asdict(config.network))
    except ValueError as error:
        raise TrainingError(f"{path}: network: {error}") from error
    if len(data.crops_s) != len(data.crop_weights) or not data.crops_s:
        raise TrainingError(f"{path}: data.crops_s and data.crop_weights differ in length")
    if not any(data.crop_weights):
        raise TrainingError(f"{path}: data.crop_weights are all 0: one must be above 0")
    if data.batch_s < (least := max(data.crops_s) * data.utterances_per_speaker * 2):
        raise TrainingError(
            f"{path}: data.batch_s must hold two speakers' longest crops: it is {data.batch_s},"
            f" and must be >= {least}"
        )
    if data.speeds[:1] != (1.0,):
        raise TrainingError(f"{path}: data.speeds must begin with 1.0")
    if max(loss.aam, loss.distillation, loss.triplet, loss.ge2e) <= 0:
        raise TrainingError(f"{path}: every loss has weight 0: give loss.aam one")
    for name in ("ge2e", "triplet"):
        if getattr(loss, name) > 0 and data.utterances_per_speaker < 2:
            raise TrainingError(
                f"{path}: loss.{name} needs data.utterances_per_speaker of 2 or more"
            )
    if loss.distillation > 0 and data.teacher is None:
        raise TrainingError(f"{path}: loss.distillation needs data.teacher, the teacher's weights")


def prepare_data(config: Config) -> None:
    """Everything a run reads, made once: speech, coded copies, rooms, noise, teacher targets.

    Raises :class:`TrainingError` for a cache that was made from something else, and
    :class:`models.sound.files.CorpusError` for speech or noise that is missing or cannot be read.
    """
    data, cache = config.data, config.data.cache
    indexed, manifest = (cache / "index.csv").exists(), data.root / "train" / "manifest.csv"
    if not indexed and not manifest.exists():
        raise TrainingError(f"no training data: {manifest} is missing")
    if data.teacher is not None and not data.teacher.is_file():
        raise TrainingError(
            f"the teacher's weights are not at {data.teacher}: README says where they come from"
        )
    # Noise before the long work on speech: what is wrong with it is said at once.
    noise = None if (cache / "noise.npy").exists() else load_noise(data.noise)
    _check_sources(config)
    if noise is not None:
        _store(cache / "noise.npy", noise)
    if not indexed:
        prepare(data.root, cache)
    if data.coded_share > 0 and not is_coded(cache, data.coded_share):
        prepare_coded(cache, data.coded_share)
    if not (cache / "rooms.npy").exists():
        _store(cache / "rooms.npy", simulate_rooms(config.augment.rooms, config.seed))
    if data.teacher is not None and not (cache / TARGETS_FILE).exists():
        write_targets(Corpus(cache), data.teacher, cache / TARGETS_FILE, data.speeds)


def _store(path: Path, values: NDArray[np.float32]) -> None:
    """In half precision, whole or not at all."""
    partial = path.with_suffix(".part.npy")
    np.save(partial, values.astype(np.float16))
    partial.replace(path)


def _check_sources(config: Config) -> None:
    """Compare with what the cache was made from, or note it down; absent sources pass."""
    data, note = config.data, config.data.cache / "made_from.json"
    files = {"manifest": data.root / "train" / "manifest.csv", "teacher": data.teacher}
    own: dict[str, str | int] = {"rooms": config.augment.rooms, "seed": config.seed}
    pieces = [f"{p.relative_to(data.noise)} {p.stat().st_size}" for p in noise_files(data.noise)]
    if pieces:
        own["noise"] = hashlib.sha256("\n".join(pieces).encode()).hexdigest()
    for name, path in files.items():
        if path is not None and path.is_file():
            own[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    known: dict[str, str | int] = json.loads(note.read_text()) if note.exists() else {}
    for name, value in own.items():
        if known.get(name, value) != value:
            raise TrainingError(
                f"{data.cache} was made with another {name} ({str(known[name])[:12]}, now"
                f" {str(value)[:12]}): name another data.cache"
            )
    data.cache.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(known | own, indent=1) + "\n")


def held_out(corpus: Corpus, data: Data) -> list[str]:
    """Speakers kept from training, for development and calibration; by the hash of the name."""
    eligible = []
    for speaker, utterances in corpus.by_speaker.items():
        long_enough = corpus.span(speaker)[1] >= data.heldout_min_s * SAMPLE_RATE_HZ
        if utterances[0].source in data.heldout_sources and len(utterances) >= 2 and long_enough:
            eligible.append(speaker)
    eligible.sort(key=lambda s: hashlib.sha256(f"heldout {s}".encode()).digest())
    return sorted(eligible[: round(data.heldout_share * len(eligible))])


class Sampler:
    """Draws crops of training speakers: waveforms, class labels and teacher targets."""

    def __init__(self, corpus: Corpus, config: Config, heldout: list[str]) -> None:
        self._corpus, self._data = corpus, config.data
        kept = set(heldout)
        self.speakers = [s for s in corpus.by_speaker if s not in kept]
        unlabelled = set(config.data.unlabelled_sources)
        labelled = [s for s in self.speakers if corpus.by_speaker[s][0].source not in unlabelled]
        self._label = {s: i for i, s in enumerate(labelled)}
        self.classes = len(labelled) * len(config.data.speeds)
        seconds = np.array([corpus.span(s)[1] / SAMPLE_RATE_HZ for s in self.speakers])
        # Balanced over speakers, leaning to those with more to draw from.
        weight = np.sqrt(np.clip(seconds, 2.0, 30.0))
        self._probability = weight / weight.sum()
        self._coded: set[str] = set()
        if config.data.coded_share > 0:
            cache = config.data.cache
            self._coded = set((cache / "coded.txt").read_text().splitlines())
            self._coded_samples = np.memmap(cache / "coded.i16", dtype="<i2", mode="r")
        self._coded_probability = config.augment.opus / max(config.data.coded_share, 1e-9)
        self._speed_probability = config.augment.speed
        self._targets: Targets | None = None
        if config.data.teacher is not None:
            self._targets = read_targets(config.data.cache / TARGETS_FILE)
            if self._targets.speeds != config.data.speeds:
                raise TrainingError(f"{TARGETS_FILE} was made for other speeds: delete it")
            row = {s: i for i, s in enumerate(self._targets.speakers)}
            self._row = [row[s] for s in self.speakers]
        self._check_batches()

    def _check_batches(self) -> None:
        """A batch has a speaker once. Raises :class:`TrainingError` for one of too many."""
        data = self._data
        pairs = zip(data.crops_s, data.crop_weights, strict=True)
        groups = self._groups(min(crop_s for crop_s, weight in pairs if weight > 0))
        if groups > len(self.speakers):
            raise TrainingError(
                f"a batch of {groups} speakers, but only {len(self.speakers)} to train on:"
                f" lower data.batch_s, which is {data.batch_s}"
            )

    def _groups(self, crop_s: float) -> int:
        """Speakers in a batch of crops of this length."""
        return int(self._data.batch_s / crop_s) // self._data.utterances_per_speaker

    def class_centres(self) -> NDArray[np.float32] | None:
        """Teacher targets in the order of the class labels, to start the classifier from."""
        if self._targets is None:
            return None
        rows = [row for row, s in zip(self._row, self.speakers, strict=True) if s in self._label]
        return self._targets.means[:, rows].reshape(self.classes, -1)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """Waveforms ``(B, samples)``, labels ``(B,)`` (-1: unlabelled), targets ``(B, D)``."""
        data = self._data
        weights = np.array(data.crop_weights) / sum(data.crop_weights)
        crop_s = data.crops_s[rng.choice(len(weights), p=weights)]
        groups = self._groups(crop_s)
        drawn = rng.choice(len(self.speakers), groups, replace=False, p=self._probability)
        waveforms, labels, targets = [], [], []
        for index in drawn:
            speed = 0  # of all crops of the speaker: at another it is another voice
            if rng.random() < self._speed_probability:
                speed = int(rng.integers(len(data.speeds)))
            speaker = self.speakers[index]
            label = self._label.get(speaker, -1)
            for _ in range(data.utterances_per_speaker):
                waveform, start_s = self._crop(speaker, crop_s, data.speeds[speed], rng)
                waveforms.append(waveform)
                labels.append(label if label < 0 else speed * len(self._label) + label)
                if self._targets is not None:
                    row, share = self._row[index], data.teacher_windows
                    targets.append(self._targets.of_crop(speed, row, start_s, crop_s, share))
        stacked = torch.from_numpy(np.stack(targets)) if targets else None
        return torch.from_numpy(np.stack(waveforms)), torch.tensor(labels), stacked

    def _crop(
        self, speaker: str, crop_s: float, speed: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], float]:
        """A crop, and where it begins in the speaker's speech at that speed, in seconds."""
        start, length = self._corpus.span(speaker)
        samples = self._corpus.samples
        if speaker in self._coded and rng.random() < self._coded_probability:
            samples, length = self._coded_samples, min(length, MAX_CODED_S * SAMPLE_RATE_HZ)
        wanted = round(crop_s * SAMPLE_RATE_HZ)
        needed = round(wanted * speed) + 64
        offset = int(rng.integers(max(length - needed, 0) + 1))
        piece = samples[start + offset : start + min(offset + needed, length)]
        x = piece.astype(np.float32) / 32767.0
        if speed != 1.0:
            x = soxr.resample(x, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ, quality="LQ")
        if len(x) < wanted:  # a speaker with less speech than the crop: say it again
            x = np.tile(x, -(-wanted // len(x)))
        return x[:wanted], offset / (speed * SAMPLE_RATE_HZ)


class Development:
    """EER on held-out training speakers: 3 s of one utterance against 2 s of another."""

    ENROL_S, TEST_S, MOST_UTTERANCES = 3.0, 2.0, 4

    def __init__(self, corpus: Corpus, speakers: list[str], augment: Augment) -> None:
        enrol, test, owner = [], [], []
        for index, speaker in enumerate(speakers):
            for utterance in corpus.by_speaker[speaker][: self.MOST_UTTERANCES]:
                x = corpus.waveform(utterance)
                enrol.append(_fit(x, self.ENROL_S))
                test.append(_fit(x, self.TEST_S))
                owner.append(index)
        self._enrol = torch.from_numpy(np.stack(enrol))
        self._test = torch.from_numpy(np.stack(test))
        self._degraded = torch.cat([augment(x.clone()) for x in torch.split(self._test, 64)])
        labels = np.array(owner)
        self._target = labels[:, None] == labels[None]
        self._used = ~np.eye(len(labels), dtype=bool)  # never an utterance against itself

    @torch.inference_mode()
    def error_rates(self, encode: nn.Module) -> dict[str, float]:
        """EER in percent, on clean and on augmented test crops."""
        enrol = _embed(encode, self._enrol)
        rates = {}
        for name, waveforms in (("clean", self._test), ("augmented", self._degraded)):
            cosine = enrol @ _embed(encode, waveforms).T
            used = self._used
            rates[name] = 100 * measure(cosine[used], self._target[used], is_llr=False)["eer"]
        return rates


def _fit(x: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
    wanted = round(seconds * SAMPLE_RATE_HZ)
    return np.tile(x, -(-wanted // len(x)))[:wanted]


def _embed(encode: nn.Module, waveforms: Tensor) -> NDArray[np.float64]:
    parts = [encode(x).float() for x in torch.split(waveforms, 64)]
    unit = nn.functional.normalize(torch.cat(parts), dim=1)
    return unit.double().cpu().numpy()


class Learner:
    """Network, losses, optimiser and moving average: everything a checkpoint holds."""

    def __init__(self, config: Config, sampler: Sampler, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.speakers_sha256 = hashlib.sha256("\n".join(sampler.speakers).encode()).hexdigest()
        self.config, self.device, self.step, self.elapsed_s = config, device, 0, 0.0
        self.arch = Architecture(**msgspec.structs.asdict(config.network))
        self.network = NeXtTDNN(self.arch).to(device)
        self.ema = copy.deepcopy(self.network).eval().requires_grad_(False)
        size = self.arch.embedding_size
        loss = config.loss
        self.aam = AAMSoftmax(size, sampler.classes, loss.sub_centres, loss.scale).to(device)
        self.ge2e = GE2E(max(config.data.utterances_per_speaker, 2)).to(device)
        self.front_end = LogMel().to(device)
        modules = [self.network, self.aam, self.ge2e]
        matrices = [p for m in modules for p in m.parameters() if p.ndim > 1 and p.numel() > 1]
        vectors = [p for m in modules for p in m.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": config.schedule.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=config.schedule.learning_rate,
            fused=True,
        )
        # The compiled network shares its parameters with `network`.
        self._forward: Callable[[Tensor], Tensor] = self.network
        if config.schedule.compile:
            self._forward = torch.compile(self.network, dynamic=False)

    def train_step(
        self, features: Tensor, labels: Tensor, targets: Tensor | None
    ) -> dict[str, Tensor]:
        """One update; returns the value of each loss."""
        self._set_schedule()
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            embeddings = self._forward(features)
        losses = self._losses(embeddings.float(), labels, targets)
        weights = msgspec.structs.asdict(self.config.loss)
        total = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        if not torch.isfinite(total):
            raise TrainingError(f"the loss is not finite at step {self.step}: lower learning_rate")
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.schedule.clip_norm)
        self.optimiser.step()
        self.step += 1
        self._average()
        return {**{name: value.detach() for name, value in losses.items()}, "gradient_norm": norm}

    @torch.no_grad()
    def start_classes(self, centres: Tensor) -> None:
        """Start the classifier from ``(classes, size)``, its sub-centres a little apart."""
        self.aam.weight.copy_(centres.unsqueeze(1).expand_as(self.aam.weight))
        if self.config.loss.sub_centres > 1:  # equal ones would share every gradient for ever
            generator = torch.Generator().manual_seed(self.config.seed)
            noise = torch.randn(self.aam.weight.shape, generator=generator).to(self.device)
            self.aam.weight.add_(noise, alpha=SUB_CENTRE_SPREAD / centres.shape[1] ** 0.5)

    def encoder(self) -> nn.Module:
        """The averaged network with its front end: waveform to embedding."""
        return nn.Sequential(self.front_end, self.ema)

    def _losses(
        self, embeddings: Tensor, labels: Tensor, targets: Tensor | None
    ) -> dict[str, Tensor]:
        loss, losses = self.config.loss, {}
        if loss.aam > 0:
            losses["aam"] = self.aam(embeddings, labels)
        if loss.distillation > 0 and targets is not None:
            losses["distillation"] = distillation(embeddings, targets)
        if loss.triplet > 0:
            losses["triplet"] = triplet_margin(embeddings, labels)
        if loss.ge2e > 0:
            # Several unlabelled clips may be of one person: they make no groups.
            losses["ge2e"] = self.ge2e(embeddings[labels >= 0])
        return losses

    def _set_schedule(self) -> None:
        schedule, done = self.config.schedule, self.step / self.config.schedule.steps
        warm = min(1.0, (self.step + 1) / schedule.warmup_steps)
        decay = min(1.0, (1.0 - done) / schedule.decay_share)
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.learning_rate * warm * max(decay, 0.0)
        low, high = self.config.loss.margin_steps
        ramp = min(max((done - low) / max(high - low, 1e-9), 0.0), 1.0)
        self.aam.margin = self.config.loss.margin * ramp

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config.schedule.ema, (1 + self.step) / (10 + self.step))
        own, mean = self.network.state_dict(), self.ema.state_dict()
        for name, value in mean.items():
            if value.is_floating_point():
                value.lerp_(own[name], 1 - decay)
            else:
                value.copy_(own[name])

    def save(self, path: Path) -> None:
        """Write a checkpoint whole or not at all."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "aam": self.aam.state_dict(),
            "ge2e": self.ge2e.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "arch": asdict(self.arch),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "speakers": self.speakers_sha256,
            "config": msgspec.json.encode(self.config, enc_hook=str).decode(),
        }
        partial = path.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of :meth:`save`.

        Losses, schedule and augmentation may differ from those it was saved with; network and
        speakers may not, or speakers that were trained on would count as held out.
        """
        try:
            state = read_checkpoint(path)
            if state["speakers"] != self.speakers_sha256:
                raise TrainingError(f"{path} was trained on other speakers: use another --output")
            for name in ("network", "ema", "aam", "ge2e", "optimiser"):
                getattr(self, name).load_state_dict(state[name])
            self.step, self.elapsed_s = state["step"], state["elapsed_s"]
            self.optimiser.param_groups[0]["weight_decay"] = self.config.schedule.weight_decay
        except (CheckpointError, RuntimeError, KeyError, ValueError) as error:
            raise TrainingError(
                f"{path} is damaged or of another network ({type(error).__name__}): use another"
                " --output"
            ) from error


def run(
    config: Path,
    output: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Train as ``config`` says; everything is written under ``output``.

    ``last.pt`` is the checkpoint, ``log.jsonl`` the curve, ``heldout.txt`` the speakers
    that were kept out, TensorBoard's files lie in ``tensorboard``.
    """
    settings = load_config(config)
    if threads:
        torch.set_num_threads(threads)
    output.mkdir(parents=True, exist_ok=True)
    checkpoint = output / "last.pt"
    if checkpoint.exists() and not resume:
        raise TrainingError(f"{checkpoint} exists: pass --resume to go on, or another --output")
    prepare_data(settings)
    corpus = Corpus(settings.data.cache)
    heldout = held_out(corpus, settings.data)
    if len(heldout) < 2:
        raise TrainingError(
            f"{len(heldout)} speakers to measure progress on: of data.heldout_sources, with"
            " data.heldout_min_s seconds in two utterances, data.heldout_share are held out"
        )
    sampler = Sampler(corpus, settings, heldout)
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    learner = Learner(settings, sampler, _device(where))
    if resume and checkpoint.exists():
        learner.load(checkpoint)
    elif (centres := sampler.class_centres()) is not None:
        learner.start_classes(torch.from_numpy(centres))
    (output / "heldout.txt").write_text("".join(f"{s}\n" for s in heldout))
    (output / "config.toml").write_bytes(config.read_bytes())
    parameters = sum(p.numel() for p in learner.network.parameters())
    tqdm.write(
        f"{parameters / 1e6:.2f} M parameters, {sampler.classes} classes, "
        f"{len(sampler.speakers)} speakers, {len(heldout)} held out, on {where}"
    )
    _loop(learner, sampler, corpus, heldout, output)


def _device(name: str) -> torch.device:
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # what torch raises differs by build
        raise TrainingError(
            f"the device {name!r} cannot be used here: --device auto, cpu, cuda or cuda:N"
        ) from error


def _loop(
    learner: Learner, sampler: Sampler, corpus: Corpus, heldout: list[str], output: Path
) -> None:
    settings = learner.config
    noise = np.load(settings.data.cache / "noise.npy").astype(np.float32)
    rooms = np.load(settings.data.cache / "rooms.npy").astype(np.float32)
    augment = Augment(settings.augment, noise, rooms, settings.seed)
    # Degraded by the default augmentation whatever the run's is: one curve, one test.
    fixed = Augment(AugmentConfig(), noise, rooms, seed=0)
    development = Development(corpus, heldout, fixed)
    writer = SummaryWriter(str(output / "tensorboard"))
    _forget_after(output / "log.jsonl", learner.step)
    schedule, saved = settings.schedule, time.monotonic()
    steps = min(schedule.steps, schedule.until or schedule.steps)
    mark = time.monotonic()
    # Closed before an error is printed, or the message would stand on the bar's line.
    with tqdm(total=steps, initial=learner.step, unit="step", mininterval=5) as bar:
        while learner.step < steps:
            rng = np.random.default_rng([settings.seed, learner.step])
            augment.generator.manual_seed(int(rng.integers(2**62)))
            waveforms, labels, targets = sampler.batch(rng)
            with torch.no_grad():
                features = learner.front_end(augment(waveforms).to(learner.device))
                features = augment.mask_features(features.cpu()).to(learner.device)
            moved = None if targets is None else targets.to(learner.device)
            losses = learner.train_step(features, labels.to(learner.device), moved)
            bar.update()
            learner.elapsed_s += time.monotonic() - mark
            mark = time.monotonic()
            if learner.step % 50 == 0:
                values = {name: round(float(value), 4) for name, value in losses.items()}
                for name, value in values.items():
                    writer.add_scalar(f"loss/{name}", value, learner.step)
                bar.set_postfix(values, refresh=False)
            if learner.step % settings.schedule.evaluate_every == 0 or learner.step == steps:
                rates = development.error_rates(learner.encoder())
                for name, value in rates.items():
                    writer.add_scalar(f"eer/{name}", value, learner.step)
                _append(output / "log.jsonl", learner, losses, rates)
                tqdm.write(f"step {learner.step}: EER {rates}")
            if time.monotonic() - saved > settings.schedule.checkpoint_minutes * 60:
                learner.save(output / "last.pt")
                saved = time.monotonic()
    learner.save(output / "last.pt")
    writer.close()


def _forget_after(path: Path, step: int) -> None:
    """Drop the log of steps that a kill undid: they are trained, and logged, again."""
    if path.exists():
        kept = [e for e in path.read_text().splitlines() if json.loads(e)["step"] <= step]
        path.write_text("".join(f"{entry}\n" for entry in kept))


def _append(
    path: Path, learner: Learner, losses: dict[str, Tensor], rates: dict[str, float]
) -> None:
    entry = {
        "step": learner.step,
        "elapsed_s": round(learner.elapsed_s),
        **{name: round(float(value), 4) for name, value in losses.items()},
        **{f"eer_{name}": round(value, 3) for name, value in rates.items()},
    }
    with open(path, "a") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())
