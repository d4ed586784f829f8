"""CAM++: the published speaker encoder that teaches ours, and a choice for who has the CPU.

Architecture: Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification
Using Context-Aware Masking", Interspeech 2023 (arXiv 2303.00332). The names of the
parameters follow the checkpoint that 3D-Speaker published
(``speech_campplus_sv_zh_en_16k-common_advanced``, Apache-2.0), so that it can be loaded with
``load_state_dict``; the code is ours.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from models.network.checkpoint import CheckpointError, read_checkpoint

SHA256 = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
N_MELS = 80
FRAME_SAMPLES, HOP_SAMPLES = 400, 160  # of the features, at 16 kHz
EMBEDDING_SIZE = 192
FRONT_CHANNELS = 32
TDNN_CHANNELS = 128
GROWTH = 32  # channels that every dense layer adds
BOTTLENECK = 128
SEGMENT_FRAMES = 100  # of the mean that the context mask sees beside that of the whole
BLOCKS = ((12, 1), (24, 2), (16, 2))  # dense layers, and the dilation of their convolutions


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions over (frequency, time), with ``stride`` along frequency."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, channels, 1, (stride, 1), bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class FrontConvolutions(nn.Module):
    """Features ``(B, 80, T)``, seen as an image of one channel, to ``(B, 320, T)``."""

    def __init__(self) -> None:
        super().__init__()
        c = FRONT_CHANNELS
        self.conv1 = nn.Conv2d(1, c, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.layer1 = nn.Sequential(ResidualBlock(c, 2), ResidualBlock(c, 1))
        self.layer2 = nn.Sequential(ResidualBlock(c, 2), ResidualBlock(c, 1))
        self.conv2 = nn.Conv2d(c, c, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)

    def forward(self, features: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(features.unsqueeze(1))))
        y = F.relu(self.bn2(self.conv2(self.layer2(self.layer1(y)))))
        return y.flatten(1, 2)


class BatchNormReLU(nn.Module):
    """Batch norm and ReLU over channels, ``(B, C, T)`` to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.batchnorm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batchnorm(x))


class ContextAwareMask(nn.Module):
    """A convolution ``(B, 128, T) -> (B, 32, T)``, times a mask from means over time.

    The mask sees the mean of the whole plus that of the 100 frames a frame lies in.
    """

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(BOTTLENECK, GROWTH, 3, 1, dilation, dilation, bias=False)
        self.linear1 = nn.Conv1d(BOTTLENECK, BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(BOTTLENECK // 2, GROWTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        segments = F.avg_pool1d(x, SEGMENT_FRAMES, SEGMENT_FRAMES, ceil_mode=True)
        segment = torch.arange(x.shape[2], device=x.device) // SEGMENT_FRAMES
        context = x.mean(dim=2, keepdim=True) + segments.index_select(2, segment)
        mask = torch.sigmoid(self.linear2(F.relu(self.linear1(context))))
        y: Tensor = self.linear_local(x) * mask
        return y


class DenseLayer(nn.Module):
    """Adds 32 channels to its ``(B, C, T)``."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = BatchNormReLU(channels)
        self.linear1 = nn.Conv1d(channels, BOTTLENECK, 1, bias=False)
        self.nonlinear2 = BatchNormReLU(BOTTLENECK)
        self.cam_layer = ContextAwareMask(dilation)

    def forward(self, x: Tensor) -> Tensor:
        y = self.nonlinear2(self.linear1(self.nonlinear1(x)))
        return torch.cat([x, self.cam_layer(y)], dim=1)


class TDNN(nn.Module):
    """Convolution of width 5 that halves the frame rate."""

    def __init__(self) -> None:
        super().__init__()
        inputs = FRONT_CHANNELS * N_MELS // 8
        self.linear = nn.Conv1d(inputs, TDNN_CHANNELS, 5, 2, 2, bias=False)
        self.nonlinear = BatchNormReLU(TDNN_CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.nonlinear(self.linear(x))
        return y


class Transit(nn.Module):
    """Halves the channels after a dense block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.nonlinear = BatchNormReLU(channels)
        self.linear = nn.Conv1d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(self.nonlinear(x))
        return y


class Dense(nn.Module):
    """Pooled statistics ``(B, 2 C)`` to the embedding, with nothing after its batch norm."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, EMBEDDING_SIZE, 1, bias=False)
        norm = nn.BatchNorm1d(EMBEDDING_SIZE, affine=False)
        self.nonlinear = nn.ModuleDict({"batchnorm": norm})

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.nonlinear["batchnorm"](self.linear(x.unsqueeze(2)).squeeze(2))
        return y


class CAMPPlus(nn.Module):
    """Features ``(B, T, 80)`` of :func:`features` to embeddings ``(B, 192)``, not normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.head = FrontConvolutions()
        body: dict[str, nn.Module] = {"tdnn": TDNN()}
        channels = TDNN_CHANNELS
        for number, (layers, dilation) in enumerate(BLOCKS, start=1):
            block = nn.Sequential()
            for i in range(1, layers + 1):
                block.add_module(f"tdnnd{i}", DenseLayer(channels, dilation))
                channels += GROWTH
            body[f"block{number}"] = block
            body[f"transit{number}"] = Transit(channels)
            channels //= 2
        body["out_nonlinear"] = BatchNormReLU(channels)
        body["dense"] = Dense(2 * channels)
        self.xvector = nn.ModuleDict(body)

    def forward(self, features: Tensor) -> Tensor:
        parts = self.xvector
        x = parts["tdnn"](self.head(features.transpose(1, 2)))
        for number in range(1, len(BLOCKS) + 1):
            x = parts[f"transit{number}"](parts[f"block{number}"](x))
        x = parts["out_nonlinear"](x)
        statistics = torch.cat([x.mean(dim=2), x.std(dim=2, unbiased=True)], dim=1)
        embedding: Tensor = parts["dense"](statistics)
        return embedding


def features(waveform: Tensor) -> Tensor:
    """Kaldi's fbank of ``(samples,)`` in [-1, 1] at 16 kHz, its mean over time subtracted.

    ``(T, 80)``; no dither. Whether the waveform is scaled to 16 bits, as Kaldi does, makes
    no difference after the mean is subtracted.
    """
    fbank = torchaudio.compliance.kaldi.fbank(
        waveform[None], num_mel_bins=N_MELS, dither=0.0, sample_frequency=16000
    )
    return cast(Tensor, fbank - fbank.mean(dim=0))


def window_features(windows: Tensor) -> Tensor:
    """:func:`features` of ``(N, samples)`` at once: ``(N, T, 80)``.

    ``samples`` is a multiple of the hop, so that the frames of all windows laid end to end are
    those of each, but for the ones that reach into the next.
    """
    count, samples = windows.shape
    assert samples % HOP_SAMPLES == 0, "windows must be whole hops"
    frames = 1 + (samples - FRAME_SAMPLES) // HOP_SAMPLES
    joined = F.pad(windows.reshape(1, -1), (0, FRAME_SAMPLES - HOP_SAMPLES))
    fbank = torchaudio.compliance.kaldi.fbank(
        joined, num_mel_bins=N_MELS, dither=0.0, sample_frequency=16000
    )
    fbank = fbank.reshape(count, samples // HOP_SAMPLES, N_MELS)[:, :frames]
    return cast(Tensor, fbank - fbank.mean(dim=1, keepdim=True))


def load_campplus(weights: Path) -> CAMPPlus:
    """CAM++ with the published weights, ready to embed.

    Raises :class:`CheckpointError` for a file that is not the published one, by its sha256.
    """
    state = read_checkpoint(weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != SHA256:
        raise CheckpointError(
            f"{weights} is not the published CAM++ (its sha256 is {digest[:12]}..., not"
            f" {SHA256[:12]}...): README says where it comes from"
        )
    network = CAMPPlus()
    network.load_state_dict(state)
    return network.eval()
