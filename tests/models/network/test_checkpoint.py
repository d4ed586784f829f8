from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from models.network.block_heads import BlockHeads
from models.network.checkpoint import (
    CheckpointError,
    import_checkpoint,
    load_official,
    load_trained,
    read_checkpoint,
)
from models.network.embedding import embed
from models.network.next_tdnn import NeXtTDNN
from models.network.streaming import StreamingNeXtTDNN

CONFIG = "NeXt_TDNN_light_C192_B1_K65"  # the light block, whose export is tested nowhere else


@pytest.fixture(scope="session")
def official(reference_network: Callable[[str], NeXtTDNN]) -> dict[str, Any]:
    """The content of a checkpoint as the official training module saves it."""
    state = {f"speaker_net.{k}": v for k, v in reference_network(CONFIG).state_dict().items()}
    features = "speaker_net.feature_extractor."
    state[f"{features}pre_emphasis.flipped_filter"] = torch.tensor([[[-0.97, 1.0]]])
    state[f"{features}mel_spectrogram.spectrogram.window"] = torch.hamming_window(400)
    state[f"{features}mel_spectrogram.mel_scale.fb"] = torch.zeros(257, 80)
    state["speaker_net.loss_function.weight"] = torch.zeros(10, 192)
    state["loss_function.weight"] = torch.zeros(10, 192)
    return {"epoch": 3, "state_dict": state, "hyper_parameters": {"code_save_time": "2023"}}


def saved(content: object, folder: Path) -> Path:
    file = folder / "model.pt"
    torch.save(content, file)
    return file


def test_an_official_checkpoint_becomes_a_bundle_that_agrees_with_the_reference(
    official: dict[str, Any],
    reference: dict[str, Any],
    reference_waveform: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    bundle = import_checkpoint(saved(official, tmp_path), CONFIG, tmp_path / "bundle")
    session = ort.InferenceSession(str(bundle.model_path), providers=["CPUExecutionProvider"])
    found = session.run(None, {"waveform": reference_waveform[None]})[0][0]
    expected = np.array(reference[CONFIG]["embedding"])
    expected /= np.linalg.norm(expected)
    assert np.linalg.norm(found - expected) < 1e-4
    assert bundle.manifest.name == CONFIG
    assert bundle.manifest.calibration is None


def refused(content: object, config: str, folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_official(saved(content, folder), config)
    message = str(caught.value)
    assert "\n" not in message
    return message


def changed(official: dict[str, Any], **state: torch.Tensor | None) -> dict[str, Any]:
    new = {**official["state_dict"], **state}
    return {"state_dict": {k: v for k, v in new.items() if v is not None}}


def test_a_missing_weight_is_named(official: dict[str, Any], tmp_path: Path) -> None:
    content = changed(official, **{"speaker_net.model.MFA.0.weight": None})
    assert "1 weights are missing (model.MFA.0.weight)" in refused(content, CONFIG, tmp_path)


def test_a_misshapen_weight_is_named(official: dict[str, Any], tmp_path: Path) -> None:
    content = changed(official, **{"speaker_net.aggregate.fc.bias": torch.zeros(5)})
    assert "aggregate.fc.bias is (5,), not (192,)" in refused(content, CONFIG, tmp_path)


def test_weights_that_are_no_numbers_are_named(official: dict[str, Any], tmp_path: Path) -> None:
    broken = torch.full((192,), torch.nan)
    content = changed(official, **{"speaker_net.aggregate.fc.bias": broken})
    message = refused(content, CONFIG, tmp_path)
    assert "weights that are not finite (aggregate.fc.bias)" in message


def test_only_the_first_few_of_many_are_named(official: dict[str, Any], tmp_path: Path) -> None:
    message = refused(official, "NeXt_TDNN_C128_B3_K65_7", tmp_path)
    assert len(message) < 400
    assert f"it fits {CONFIG}" in message


def test_an_unknown_weight_is_refused_rather_than_left_out(
    official: dict[str, Any], tmp_path: Path
) -> None:
    content = changed(official, **{"speaker_net.model.extra": torch.zeros(1)})
    assert "1 weights have no place (model.extra)" in refused(content, CONFIG, tmp_path)
    content = changed(official, **{"decoder.weight": torch.zeros(1)})
    assert "outside `speaker_net.` (decoder.weight)" in refused(content, CONFIG, tmp_path)


def test_another_front_end_is_refused(official: dict[str, Any], tmp_path: Path) -> None:
    name = "speaker_net.feature_extractor.mel_spectrogram.spectrogram.window"
    content = changed(official, **{name: torch.hann_window(400)})
    assert "another front end" in refused(content, CONFIG, tmp_path)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    assert "no `state_dict`" in refused({"model": {}}, CONFIG, tmp_path)
    assert "list, not a checkpoint" in refused([1, 2], CONFIG, tmp_path)


def test_an_unknown_configuration_lists_the_known_ones(tmp_path: Path) -> None:
    assert CONFIG in refused({}, "NeXt_TDNN_C1", tmp_path)


class Payload:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("form", ["torch", "plain pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(form: str, tmp_path: Path) -> None:
    trace, file = tmp_path / "trace", tmp_path / "model.pt"
    content = {"state_dict": {"speaker_net.x": Payload(trace)}}
    if form == "torch":
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(CheckpointError, match=r"is refused: loading it would execute code \(.+\)"):
        read_checkpoint(file)
    assert not trace.exists()
    if form == "torch":
        torch.load(file, weights_only=False)  # the payload is a real one
    else:
        pickle.loads(file.read_bytes())
    assert trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><title>404</title>",
        b"version https://git-lfs.github.com",
        b"alice",
        b"train notes",
        b"speech_commands-1087",
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"^[^\n]+$"):
        read_checkpoint(file)


def test_a_truncated_checkpoint_is_refused(official: dict[str, Any], tmp_path: Path) -> None:
    file = saved(official, tmp_path)
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(CheckpointError, match="fetch it again"):
        read_checkpoint(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint file"):
        read_checkpoint(tmp_path / "none.pt")


def test_a_training_checkpoint_gives_its_averaged_network(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN], tmp_path: Path
) -> None:
    network = tiny_streaming_network()
    zeros = {k: torch.zeros_like(v) for k, v in network.state_dict().items()}
    content = {
        "network": zeros,
        "ema": network.state_dict(),
        "arch": asdict(network.arch),
        "step": 12,
        "config": "{}",
    }
    loaded, known = load_trained(saved(content, tmp_path))
    assert known == {"step": 12, "config": "{}"}
    sound = [np.random.default_rng(0).random(8000, np.float32)]
    np.testing.assert_array_equal(embed(loaded, sound), embed(network, sound))


def test_a_training_checkpoint_has_its_heads_and_their_figures(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN], tmp_path: Path
) -> None:
    network = tiny_streaming_network()
    assert network.heads is None
    network.heads = BlockHeads(network.arch.pooled_channels)
    content = {"ema": network.state_dict(), "arch": asdict(network.arch), "step": 12}
    loaded, known = load_trained(saved(content | {"heads": {"overlap_auc": 0.9}}, tmp_path))
    assert known["heads"] == {"overlap_auc": 0.9}
    assert loaded.heads is not None
    sums = torch.rand(1, 2, 3, network.arch.pooled_channels)
    torch.testing.assert_close(loaded.heads(sums)[0], network.heads(sums)[0])


def test_an_official_checkpoint_is_no_training_checkpoint(
    official: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="models import"):
        load_trained(saved(official, tmp_path))
