from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from engine.model.encoder import Encoder
from models.network import export
from models.network.export import ExportError, Identity, export_bundle, parity_table
from models.network.frontend import LogMel
from models.network.next_tdnn import NeXtTDNN
from models.network.parity import Parity, measure_parity, parity_batches

IDENTITY = Identity("tiny", "1", "Apache-2.0", "tests")


@pytest.fixture(scope="module")
def network(tiny_network: Callable[..., NeXtTDNN]) -> NeXtTDNN:
    return tiny_network()


@pytest.fixture(scope="module")
def whole(tiny_graph: bytes) -> bytes:
    return tiny_graph


def test_fp32_agrees_with_torch_for_any_batch_and_length(network: NeXtTDNN, whole: bytes) -> None:
    rng = np.random.default_rng(0)
    shapes = [(1, 8000), (1, 48000), (3, 16001), (5, 20479), (2, 100_000)]
    batches = [(0.1 * rng.standard_normal(s)).astype(np.float32) for s in shapes]
    parity = measure_parity(network, whole, batches)
    assert parity.cosine_min >= 0.99999
    assert parity.max_abs < 1e-4


def test_half_precision_stays_close(network: NeXtTDNN, whole: bytes) -> None:
    small = export.to_fp16(whole)
    parity = measure_parity(network, small, parity_batches())
    assert 0.9999 <= parity.cosine_min < 1.0
    assert parity.bytes < len(whole)


def test_the_front_end_stays_float32(whole: bytes) -> None:
    def front_end(model: bytes) -> dict[str, NDArray[np.generic]]:
        tensors = onnx.load_from_string(model).graph.initializer
        return {
            t.name: numpy_helper.to_array(t) for t in tensors if t.name.startswith("front_end.")
        }

    before, after = front_end(whole), front_end(export.to_fp16(whole))
    assert {"front_end.cosines", "front_end.sines", "front_end.mel"} <= before.keys()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[k], after[k]) for k in before)


def test_the_graph_says_nothing_of_the_machine_it_was_made_on(whole: bytes) -> None:
    assert str(Path(__file__).resolve().parents[3]).encode() not in whole
    assert b"site-packages" not in whole
    assert b".py" not in whole


def test_the_graph_has_only_plain_operations(whole: bytes) -> None:
    """What CPU, CUDA and TensorRT all run: no Fourier transform, loop or branch, and no slice
    that walks backwards, which TensorRT does not take."""
    model = onnx.load_from_string(whole)
    operations = {node.op_type for node in model.graph.node}
    assert not operations & {"DFT", "STFT", "Loop", "If", "Scan", "Einsum", "NonZero"}
    assert {node.domain for node in model.graph.node} == {""}
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    steps = [n.input[4] for n in model.graph.node if n.op_type == "Slice" and len(n.input) > 4]
    assert all((values[name] > 0).all() for name in steps)


@pytest.mark.usefixtures("exported")
def test_a_bundle_holds_the_parity_of_every_precision(network: NeXtTDNN, tmp_path: Path) -> None:
    speech = [np.sin(np.arange(30_000) / 9).astype(np.float32)]
    bundle = export_bundle(
        network, tmp_path / "b", IDENTITY, precision="fp16", speech=speech, training={"step": 7}
    )
    manifest = bundle.manifest
    assert manifest.precision == "fp16"
    assert manifest.embedding_size == network.arch.embedding_size
    assert manifest.training == {"step": 7}
    figures = manifest.parity["precisions"]
    assert figures["fp32"]["cosine_min"] >= 0.9999
    assert figures["fp16"]["bytes"] == bundle.model_path.stat().st_size
    assert manifest.parity["cosine_min"] == figures["fp16"]["cosine_min"]
    table = parity_table(bundle)
    assert [line.split()[0] for line in table.splitlines()] == ["precision", "fp32", "fp16"]

    waveform = np.random.default_rng(1).standard_normal((1, 24_000)).astype(np.float32) * 0.1
    with torch.no_grad():
        expected = network(LogMel()(torch.from_numpy(waveform)))[0].numpy()
    found = Encoder(bundle, "cpu").embed(waveform)[0]
    assert found @ expected / np.linalg.norm(expected) > 0.99


@pytest.mark.usefixtures("exported")
def test_a_graph_that_disagrees_with_torch_is_not_written(
    network: NeXtTDNN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Parity(cosine_min=0.99, cosine_mean=0.999, max_abs=0.1, bytes=1)
    monkeypatch.setattr(export, "measure_parity", lambda *_: wrong)
    with pytest.raises(ExportError, match="does not match torch"):
        export_bundle(network, tmp_path / "b", IDENTITY)
    assert not (tmp_path / "b").exists()
