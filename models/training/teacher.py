"""What the teacher says of the very speech that a batch is made of.

The teacher is CAM++ (:mod:`models.network.campplus`), used only while training. It hears every
piece of speech anew, as the voice that was made of it (:mod:`models.sound.voices`) and before noise
and rooms: the function of sound that it is can be learned from any sound, and the more kinds of it
the better (Beyer et al., "Knowledge distillation: a good teacher is patient and consistent", CVPR
2022, arXiv 2106.05237).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from engine.format import SAMPLE_RATE_HZ
from models.network.campplus import CAMPPlus, window_features
from models.sound.corpus import Corpus

WINDOW_SAMPLES = 3 * SAMPLE_RATE_HZ
LEAST_REST_SAMPLES = SAMPLE_RATE_HZ  # after the last whole window, for one more at the end
WINDOWS_AT_ONCE = {"cpu": 8, "cuda": 128}  # some 0.2 and 2.5 GB of activations
SPEAKERS_AT_ONCE = 64  # in whose speech the mean is taken

Float32 = NDArray[np.float32]
Embed = Callable[[Float32], Float32]  # (N, samples) to (N, D)


def window_starts(length: int) -> list[int]:
    """Where the windows of speech of ``length`` samples begin; one that is shorter has one."""
    if length < WINDOW_SAMPLES:
        return [0]
    starts = list(range(0, length - WINDOW_SAMPLES + 1, WINDOW_SAMPLES))
    if length - WINDOW_SAMPLES - starts[-1] > LEAST_REST_SAMPLES:
        starts.append(length - WINDOW_SAMPLES)
    return starts


def windows_of(speech: Float32) -> Float32:
    """``(n, WINDOW_SAMPLES)``; speech that does not fill one is said again and again."""
    if len(speech) < WINDOW_SAMPLES:
        return np.resize(speech, (1, WINDOW_SAMPLES))
    return np.stack([speech[s : s + WINDOW_SAMPLES] for s in window_starts(len(speech))])


def share_of_windows(length: int, span: tuple[int, int], local: float) -> Float32:
    """How much each of the windows of ``length`` samples counts for samples ``span`` of them.

    ``(windows,)``, one in all. ``local`` is the share of the windows that the span lies in, each
    by how much of it; the rest is of all alike: what is short tells little about itself.
    """
    starts = np.array(window_starts(length))
    overlap = np.minimum(starts + WINDOW_SAMPLES, span[1]) - np.maximum(starts, span[0])
    own = np.clip(overlap, 0, None).astype(np.float32)
    if not own.any():
        own = np.ones_like(own)
    share: Float32 = (local * own / own.sum() + (1 - local) / len(starts)).astype(np.float32)
    return share


def teacher_embed(network: CAMPPlus, device: torch.device) -> Embed:
    """``network`` as a function of windows, in single precision."""
    network = network.to(device)

    @torch.inference_mode()
    def embed(windows: Float32) -> Float32:
        parts = torch.split(torch.from_numpy(windows), WINDOWS_AT_ONCE.get(device.type, 8))
        found = [network(window_features(part.to(device))).cpu().numpy() for part in parts]
        return np.concatenate(found).astype(np.float32)

    return embed


class Teacher:
    """Unit targets of windows, about what the teacher says of everybody.

    It computes in bfloat16, in batches of one size, so that it can be compiled: of 200 windows of
    speech the cosine to what it says in single precision was 0.999 in the mean and 0.99 at least.
    A copy in another process loads the weights anew.
    """

    def __init__(
        self,
        load: Callable[[], nn.Module],
        centre: Float32,
        device: torch.device,
        *,
        compile: bool,
    ) -> None:
        self._load, self._compile, self.device = load, compile, device
        self.centre = torch.from_numpy(centre).to(device)
        self._network: Callable[[Tensor], Tensor] | None = None

    def __call__(self, windows: Tensor) -> Tensor:
        """``(N, WINDOW_SAMPLES)`` to ``(N, D)`` on the same device."""
        size, count, network = WINDOWS_AT_ONCE.get(self.device.type, 8), len(windows), self.network
        with torch.inference_mode():
            features = window_features(windows)
            features = torch.cat([features, features[-1:].expand(-count % size, -1, -1)])
            with torch.autocast(self.device.type, torch.bfloat16):
                parts = [network(x.contiguous()).float() for x in torch.split(features, size)]
            found = torch.cat(parts)[:count] - self.centre
        return torch.nn.functional.normalize(found.clone(), dim=1)

    @property
    def network(self) -> Callable[[Tensor], Tensor]:
        """The network, loaded when it is first wanted: a process that only hands it on need not."""
        if self._network is None:
            network = self._load().to(self.device)
            self._network = compiled(network) if self._compile else network
        return self._network

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_network": None}


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """``network`` for one shape of input, its weights frozen.

    It is compiled without child processes: a data loader's process may have none.
    """
    settings = torch._inductor.config.patch(freezing=True, compile_threads=1)
    function = torch.compile(network, dynamic=False)

    def call(x: Tensor) -> Tensor:
        with settings:
            found: Tensor = function(x)
        return found

    return call


def mean_embedding(corpus: Corpus, embed: Embed) -> Float32:
    """What the teacher says of everybody ``(D,)``: of the middle of every speaker's speech."""
    names, found = list(corpus.by_speaker), []
    for first in tqdm(range(0, len(names), SPEAKERS_AT_ONCE), desc="teacher"):
        rows = []
        for name in names[first : first + SPEAKERS_AT_ONCE]:
            start, length = corpus.span(name)
            kept = min(length, WINDOW_SAMPLES)
            rows.append(windows_of(corpus.read(start + (length - kept) // 2, kept)))
        found.append(embed(np.concatenate(rows)))
    mean: Float32 = np.concatenate(found).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def write_mean(path: Path, mean: Float32) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".part.npy")
    np.save(partial, mean)
    partial.replace(path)
