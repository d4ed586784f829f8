"""How far a run is: error rates on held-out speakers, the log and the curves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from engine.format import SAMPLE_RATE_HZ, unit
from models.metrics import measure
from models.network.embedding import embed
from models.network.streaming import StreamingNeXtTDNN
from models.sound.augment import Augment
from models.sound.corpus import Corpus

Float32 = NDArray[np.float32]


class Development:
    """EER on held-out training speakers: half of a speaker's utterances against the others.

    ``ENROL_S`` of the first half enrol; the second half is cut into pieces of each length, of
    which at most ``MOST_TESTS`` are tested, as they are and degraded.
    """

    ENROL_S, TESTED_S, MOST_TESTS = 8.0, 12.0, 400
    DURATIONS_S = (1.0, 2.0, 3.0)

    def __init__(self, corpus: Corpus, speakers: list[str], augment: Augment) -> None:
        self._enrol: list[Float32] = []
        pieces: dict[float, list[tuple[int, Float32]]] = {d: [] for d in self.DURATIONS_S}
        for index, speaker in enumerate(speakers):
            utterances = corpus.by_speaker[speaker]
            half = max(1, len(utterances) // 2)
            first, second = (
                np.concatenate([corpus.waveform(u) for u in part])
                for part in (utterances[:half], utterances[half:])
            )
            self._enrol.append(first[: round(self.ENROL_S * SAMPLE_RATE_HZ)])
            second = second[: round(self.TESTED_S * SAMPLE_RATE_HZ)]
            for duration_s, found in pieces.items():
                samples = round(duration_s * SAMPLE_RATE_HZ)
                starts = range(0, len(second) - samples + 1, samples)
                found.extend((index, second[s : s + samples]) for s in starts)
        self._tests: dict[str, tuple[NDArray[np.int64], list[Float32]]] = {}
        for duration_s, found in pieces.items():
            self._add(duration_s, found, augment)

    def _add(self, duration_s: float, found: list[tuple[int, Float32]], augment: Augment) -> None:
        if not found:
            return
        rng = np.random.default_rng(round(duration_s))
        chosen = [found[i] for i in sorted(rng.permutation(len(found))[: self.MOST_TESTS])]
        owners = np.array([owner for owner, _ in chosen])
        clean = [sound for _, sound in chosen]
        stacked = torch.from_numpy(np.stack(clean))
        degraded = torch.cat([augment(x.clone()) for x in torch.split(stacked, 64)]).numpy()
        self._tests[f"{duration_s:g}s"] = owners, clean
        self._tests[f"{duration_s:g}s_degraded"] = owners, list(degraded)

    def error_rates(self, network: StreamingNeXtTDNN) -> dict[str, float]:
        """EER in percent by length and condition of the tests, raw cosine."""
        enrol = unit(embed(network, self._enrol))
        rates = {}
        for name, (owners, waveforms) in self._tests.items():
            cosine = (unit(embed(network, waveforms)) @ enrol.T).astype(np.float64)
            target = owners[:, None] == np.arange(len(enrol))[None]
            rates[name] = 100 * measure(cosine.ravel(), target.ravel(), is_llr=False)["eer"]
        return rates


class Log:
    """``log.jsonl`` and TensorBoard's files, under the output of a run."""

    def __init__(self, output: Path, step: int) -> None:
        """Entries after ``step`` are dropped: a kill undid those steps, and they come again."""
        self._path = output / "log.jsonl"
        if self._path.exists():
            lines = self._path.read_text().splitlines()
            kept = [e for e in lines if json.loads(e)["step"] <= step]
            self._path.write_text("".join(f"{entry}\n" for entry in kept))
        self._writer = SummaryWriter(str(output / "tensorboard"))

    def add_losses(self, step: int, losses: dict[str, float]) -> None:
        """To the curves alone."""
        for name, value in losses.items():
            self._writer.add_scalar(f"loss/{name}", value, step)

    def add(
        self, step: int, elapsed_s: float, losses: dict[str, Tensor], rates: dict[str, float]
    ) -> None:
        """One line of the log, on disk when this returns."""
        entry = {
            "step": step,
            "elapsed_s": round(elapsed_s),
            **{name: round(float(value), 4) for name, value in losses.items()},
            **{f"eer_{name}": round(value, 3) for name, value in rates.items()},
        }
        for name, value in rates.items():
            self._writer.add_scalar(f"eer/{name}", value, step)
        with open(self._path, "a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        self._writer.close()
