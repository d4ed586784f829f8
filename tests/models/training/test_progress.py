"""Error rates on held-out speakers, and the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from models.network.streaming import StreamingNeXtTDNN
from models.sound.augment import Augment, AugmentConfig
from models.sound.corpus import Corpus
from models.training.progress import Development, Log


def test_rates_are_those_of_every_length_and_condition(
    corpus: Corpus,
    corpus_cache: Path,
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN],
) -> None:
    noise = np.load(corpus_cache / "noise.npy").astype(np.float32)
    augment = Augment(AugmentConfig(), noise, np.zeros((1, 8000), np.float32), seed=0)
    rates = Development(corpus, sorted(corpus.by_speaker)[:6], augment).error_rates(
        tiny_streaming_network()
    )
    assert rates.keys() >= {"1s", "2s", "3s", "1s_degraded", "3s_degraded"}
    assert all(0 <= value <= 100 for value in rates.values())


def test_steps_that_a_kill_undid_are_logged_once(tmp_path: Path) -> None:
    log = Log(tmp_path, 0)
    for step in (10, 20, 30):
        log.add(step, 1.0 * step, {"distillation": torch.tensor(2.0)}, {"1s": 5.0})
    log.close()
    log = Log(tmp_path, 20)
    log.add(30, 31.0, {"distillation": torch.tensor(1.0)}, {"1s": 4.0})
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(e["step"], e["eer_1s"]) for e in lines] == [(10, 5.0), (20, 5.0), (30, 4.0)]
