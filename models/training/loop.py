"""Training: ``voxwatch train CONFIG``. One process, one loop.

Every batch is drawn from a generator seeded by the run's seed and the step, so a resumed run
sees the batches it would have seen, and a run is reproducible from its configuration.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from models.network.campplus import load_campplus
from models.sound.augment import Augment, AugmentConfig
from models.sound.corpus import Corpus
from models.training.config import Config, TrainingError, load_config
from models.training.data import TEACHER_MEAN, held_out, prepare_data
from models.training.learner import Learner
from models.training.progress import Development, Log
from models.training.sampler import Sampler, TrainingBatch
from models.training.start import start_network
from models.training.teacher import Teacher

CHECKPOINT = "last.pt"
MEAN_BATCHES = 4  # that the mean of the training features is taken over
SHOWN_EVERY = 50  # steps
BATCHES_AHEAD = 4  # that each worker makes


def run(
    config: Path,
    output: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
    workers: int = 0,
) -> None:
    """Train as ``config`` says; everything is written under ``output``.

    ``workers`` processes make the batches, none: this one does between steps.
    ``last.pt`` is the checkpoint, ``log.jsonl`` the curve, ``heldout.txt`` the speakers
    that were kept out, TensorBoard's files lie in ``tensorboard``.
    """
    settings = load_config(config)
    if threads:
        torch.set_num_threads(threads)
    output.mkdir(parents=True, exist_ok=True)
    checkpoint = output / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise TrainingError(f"{checkpoint} exists: pass --resume to go on, or another --output")
    where = _device(_best() if device == "auto" else device)
    prepare_data(settings, where)
    corpus = Corpus(settings.data.cache)
    heldout = held_out(corpus, settings.data)
    if len(heldout) < 2:
        raise TrainingError(
            f"{len(heldout)} speakers to measure progress on: of data.heldout_sources, with"
            " data.heldout_min_s seconds in two utterances, data.heldout_share are held out"
        )
    sounds = Sounds(settings)
    augment = sounds.augment(settings.augment, settings.seed)
    sampler = Sampler(corpus, settings, heldout, augment)
    learner = Learner(settings, sampler, where)
    if resume and checkpoint.exists():
        learner.load(checkpoint)
    else:
        _begin(learner, sampler)
    (output / "heldout.txt").write_text("".join(f"{s}\n" for s in heldout))
    (output / "config.toml").write_bytes(config.read_bytes())
    parameters = sum(p.numel() for p in learner.network.parameters())
    tqdm.write(
        f"{parameters / 1e6:.2f} M parameters, {len(sampler.speakers)} speakers, "
        f"{len(heldout)} held out, on {where}"
    )
    # Degraded by the default augmentation whatever the run's is: one curve, one test.
    development = Development(corpus, heldout, sounds.augment(AugmentConfig(), seed=0))
    teacher = Teacher(
        partial(load_campplus, settings.data.teacher),
        np.load(settings.data.cache / TEACHER_MEAN),
        where,
        compile=settings.schedule.compile,
    )
    _loop(learner, Batches(sampler, teacher, settings), development, output, workers)


def _best() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _device(name: str) -> torch.device:
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # what torch raises differs by build
        raise TrainingError(
            f"the device {name!r} cannot be used here: --device auto, cpu, cuda or cuda:N"
        ) from error


class Sounds:
    """The noise and the rooms of a run."""

    def __init__(self, settings: Config) -> None:
        self._noise = np.load(settings.data.cache / "noise.npy").astype(np.float32)
        self._rooms = np.load(settings.data.cache / "rooms.npy").astype(np.float32)

    def augment(self, config: AugmentConfig, seed: int) -> Augment:
        """An augmentation with them."""
        return Augment(config, self._noise, self._rooms, seed)


class Batches(Dataset[TrainingBatch]):
    """The batch of every step. Whoever makes it asks the teacher, unless that runs on a GPU.

    What the teacher says may differ in its last bits between one thread and several.
    """

    def __init__(self, sampler: Sampler, teacher: Teacher, config: Config) -> None:
        self._sampler, self.teacher, self._seed = sampler, teacher, config.seed

    def __getitem__(self, step: int) -> TrainingBatch:
        batch = self._sampler.batch(np.random.default_rng([self._seed, step]))
        return batch.asked(self.teacher) if self.teacher.device.type == "cpu" else batch

    def of_steps(self, steps: range, workers: int, pinned: bool) -> DataLoader[TrainingBatch]:
        """The batches of ``steps`` in their order, whoever makes them."""
        ahead = BATCHES_AHEAD if workers else None
        return DataLoader(
            self,
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            pin_memory=pinned,
            prefetch_factor=ahead,
        )


def _begin(learner: Learner, sampler: Sampler) -> None:
    """What a run starts from: the features' mean, older weights."""
    config = learner.config
    if config.schedule.start_from is not None:
        source = config.schedule.start_from
        learner.start_network(start_network(source, learner.arch, config.seed))
    if learner.network.prior_mean.any():
        return  # the older weights have theirs
    rng, means = np.random.default_rng(config.seed), []
    for _ in range(MEAN_BATCHES):
        sound = sampler.batch(rng).sound.to(learner.device)
        means.append(learner.front_end(sound).mean(dim=(0, 1)))
    learner.start_mean(torch.stack(means).mean(dim=0))


def _loop(
    learner: Learner, batches: Batches, development: Development, output: Path, workers: int
) -> None:
    settings, log = learner.config, Log(output, learner.step)
    schedule, saved = settings.schedule, time.monotonic()
    steps = min(schedule.steps, schedule.until or schedule.steps)
    mark = time.monotonic()
    # Closed before an error is printed, or the message would stand on the bar's line.
    with tqdm(total=steps, initial=learner.step, unit="step", mininterval=5) as bar:
        pinned = learner.device.type == "cuda"
        for batch in batches.of_steps(range(learner.step, steps), workers, pinned):
            on_device = batch.to(learner.device)
            losses = learner.train_step(on_device.asked(batches.teacher))
            bar.update()
            learner.elapsed_s += time.monotonic() - mark
            mark = time.monotonic()
            if learner.step % SHOWN_EVERY == 0:
                values = {name: round(float(value), 4) for name, value in losses.items()}
                log.add_losses(learner.step, values)
                bar.set_postfix(values, refresh=False)
            if learner.step % schedule.evaluate_every == 0 or learner.step == steps:
                rates = development.error_rates(learner.ema)
                log.add(learner.step, learner.elapsed_s, losses, rates)
                tqdm.write(f"step {learner.step}: EER {rates}")
                mark = time.monotonic()  # what a measurement takes is no training
            if time.monotonic() - saved > schedule.checkpoint_minutes * 60:
                learner.save(output / CHECKPOINT)
                saved = time.monotonic()
    learner.save(output / CHECKPOINT)
    log.close()
