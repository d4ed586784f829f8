"""Checkpoints to networks: the official Lightning layout, and that of our own training.

Files come from strangers, so nothing in one is ever executed: torch reads them with
``weights_only=True``, and one that asks for more than tensors and plain data is refused.
"""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import BundleError
from engine.model.bundle import Bundle
from models.network.architectures import ARCHITECTURES
from models.network.block_heads import BlockHeads
from models.network.export import FloatPrecision, Identity, export_bundle
from models.network.frontend import FrontEndConfig, LogMel
from models.network.next_tdnn import Architecture, NeXtTDNN
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN

PREFIX = "speaker_net."
HEADS_PREFIX = "heads."  # in a checkpoint of ours
# What the official training module holds beside the network. Its front end is ours (a test
# compares them) and its losses are not needed to embed; any other key is one we would
# misunderstand by leaving out.
IGNORED = (
    "speaker_net.feature_extractor.",
    "speaker_net.spec_aug.",
    "speaker_net.loss_function.",
    "loss_function.",
)
PRE_EMPHASIS_KEY = "speaker_net.feature_extractor.pre_emphasis.flipped_filter"
WINDOW_KEY = "speaker_net.feature_extractor.mel_spectrogram.spectrogram.window"
SHOWN = 3  # names in a message


# What torch's reader raises for bytes that are no checkpoint, by where it stumbles over them.
UNREADABLE = (
    *(RuntimeError, EOFError, OSError, ValueError, LookupError),
    *(AttributeError, TypeError, struct.error),
)


class CheckpointError(BundleError):
    """A checkpoint that cannot be turned into a bundle."""


def architecture(config: str) -> Architecture:
    """The published architecture called ``config``. Raises :class:`CheckpointError`."""
    try:
        return ARCHITECTURES[config]
    except KeyError as error:
        raise CheckpointError(
            f"there is no configuration {config!r}: choose one of {', '.join(ARCHITECTURES)}"
        ) from error


def read_checkpoint(file: Path) -> dict[str, Any]:
    """What a checkpoint holds, without executing any of it. Raises :class:`CheckpointError`."""
    if not file.is_file():
        raise CheckpointError(f"there is no checkpoint file {file}: check the path")
    try:
        with warnings.catch_warnings():
            # Torch warns of old pickle protocols before it refuses: the refusal says enough.
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(file, error)) from error
    except UNREADABLE as error:
        raise CheckpointError(
            f"{file} is not a readable torch checkpoint: it may be cut off; fetch it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{file} holds {type(content).__name__}, not a checkpoint: save a dictionary with a"
            " `state_dict`"
        )
    return content


def _refusal(file: Path, error: Exception) -> str:
    """Why the safe reader stopped: the file asks for code, or it is no checkpoint at all."""
    # A pickle names the functions and classes it wants; torch repeats the first one here.
    if "Unsupported global" in str(error) or "GLOBAL" in str(error):
        wanted = str(error).split("GLOBAL ", 1)[-1].split()[0].rstrip(".,")
        return (
            f"{file} is refused: loading it would execute code ({wanted}); only tensors and plain"
            " data are accepted; have its author save the state_dict alone"
        )
    if zipfile.is_zipfile(file):
        return f"{file} is refused: it holds more than tensors and plain data, which is not safe"
    return f"{file} is not a torch checkpoint: check that the download is complete and no web page"


def load_official(file: Path, config: str) -> NeXtTDNN:
    """The network of a checkpoint in the official layout, ready for evaluation.

    ``state_dict`` has the weights under names that start with ``speaker_net.``; losses,
    augmentation and front-end buffers beside them are ignored. Raises
    :class:`CheckpointError` for anything missing, misshapen or unknown.
    """
    arch = architecture(config)
    content = read_checkpoint(file)
    state = content.get("state_dict")
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f"{file} has no `state_dict` of tensors: it is not in the official NeXt-TDNN layout"
        )
    _check_front_end(file, state)
    network = NeXtTDNN(arch)
    own = {k: v for k, v in state.items() if not k.startswith(IGNORED)}
    unknown = [k for k in own if not k.startswith(PREFIX)]
    if unknown:
        raise CheckpointError(
            f"{file} has weights outside `{PREFIX}` ({_some(unknown)}): it is not in the official"
            " NeXt-TDNN layout"
        )
    weights = {k.removeprefix(PREFIX): v for k, v in own.items()}
    problem = _mismatch(network.state_dict(), weights)
    if problem:
        fitting = [name for name in ARCHITECTURES if _fits(name, weights)]
        advice = f"it fits {', '.join(fitting)}" if fitting else "no published configuration fits"
        raise CheckpointError(f"{file} does not fit {config}: {problem}; {advice}")
    network.load_state_dict(weights)
    _check_finite(file, weights)
    return network.eval()


def _check_finite(file: Path, weights: Mapping[str, Tensor]) -> None:
    broken = [k for k, v in weights.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        raise CheckpointError(
            f"{file} holds weights that are not finite ({_some(broken)}): the file is damaged or"
            " its training had diverged; take an earlier checkpoint"
        )


def _check_front_end(file: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse weights that were trained on other features than those of our front end."""
    ours = FrontEndConfig()
    coefficient, window = state.get(PRE_EMPHASIS_KEY), state.get(WINDOW_KEY)
    same = coefficient is None or torch.allclose(
        coefficient.float().flatten(), torch.tensor([-ours.pre_emphasis, 1.0]), atol=1e-6
    )
    if window is not None:
        expected = LogMel(ours).window
        same = same and window.shape == expected.shape and torch.allclose(window.float(), expected)
    if not same:
        raise CheckpointError(
            f"{file} was trained with another front end (pre-emphasis or window): its embeddings"
            " would be wrong here"
        )


def _mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    missing = [k for k in expected if k not in found]
    if missing:
        return f"{len(missing)} weights are missing ({_some(missing)})"
    extra = [k for k in found if k not in expected]
    if extra:
        return f"{len(extra)} weights have no place ({_some(extra)})"
    shapes = [
        f"{k} is {tuple(found[k].shape)}, not {tuple(v.shape)}"
        for k, v in expected.items()
        if found[k].shape != v.shape
    ]
    return f"{len(shapes)} weights have another shape ({_some(shapes)})" if shapes else None


def _fits(name: str, weights: Mapping[str, Tensor]) -> bool:
    with torch.device("meta"):  # shapes without memory
        return _mismatch(NeXtTDNN(ARCHITECTURES[name]).state_dict(), weights) is None


def _some(names: list[str]) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def import_checkpoint(
    file: Path,
    config: str,
    output: Path,
    *,
    identity: Identity | None = None,
    precision: FloatPrecision = "fp32",
) -> Bundle:
    """Convert a checkpoint in the official layout to an uncalibrated bundle at ``output``.

    ``identity`` is what its manifest says of its origin; by default only what the file
    itself tells. Raises :class:`CheckpointError`, ``ExportError`` or ``BundleError``.
    """
    network = load_official(file, config)
    identity = identity or Identity(
        name=config, version="imported", licence="unknown", source=f"imported from {file.name}"
    )
    return export_bundle(network, output, identity, precision=precision)


def load_trained(file: Path) -> tuple[StreamingNeXtTDNN, dict[str, Any]]:
    """The averaged network of a checkpoint of `voxwatch train`, and what is known of it.

    The second part has ``step`` and ``config``, and of a network with heads the figures of
    these under ``heads``. Weights may be float16: the network is float32.
    Raises :class:`CheckpointError`.
    """
    content = read_checkpoint(file)
    if not {"ema", "arch", "step"} <= content.keys():
        raise CheckpointError(
            f"{file} is not a checkpoint of `voxwatch train`: for one in the official layout use"
            " `voxwatch models import`"
        )
    try:
        network = StreamingNeXtTDNN(StreamingArchitecture(**content["arch"]))
        if any(name.startswith(HEADS_PREFIX) for name in content["ema"]):
            network.heads = BlockHeads(network.arch.pooled_channels)
        network.load_state_dict(content["ema"])
    except (TypeError, ValueError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(f"{file} does not hold the network it names: {first}") from error
    _check_finite(file, content["ema"])
    known = {"step": content["step"], "config": content.get("config")}
    if "heads" in content:
        known["heads"] = content["heads"]
    return network.eval(), known
