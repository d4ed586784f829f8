"""Published encoders in ONNX: what is read from the file, what is refused, and parity."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torchaudio
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engine.errors import BundleError
from engine.model.bundle import Bundle, load_bundle
from engine.model.encoder import Encoder
from models.network.fbank import KaldiFbank
from models.network.feature_encoder import FAMILIES, EncoderError, front_end_of, read_encoder
from models.network.onnx_import import import_onnx

Float32 = NDArray[np.float32]
SIZE = 24
SHERPA_WESPEAKER = {
    "framework": "wespeaker",
    "language": "English",
    "url": "https://example.org/resnet34",
    "sample_rate": "16000",
    "output_dim": str(SIZE),
    "normalize_samples": "0",
}
SHERPA_3D_SPEAKER = {
    "framework": "3d-speaker",
    "sample_rate": "16000",
    "output_dim": str(SIZE),
    "normalize_samples": "1",
    "feature_normalize_type": "global-mean",
}


def encoder_model(
    features: str = "x",
    embedding: str = "embedding",
    shape: tuple[int | str, ...] = ("N", "T", 80),
    metadata: dict[str, str] | None = None,
    opset: int = 13,
    body: str = "mean",
) -> onnx.ModelProto:
    """A small encoder: a linear layer, ReLU, then a mean over time, or what ``body`` says."""
    weight = np.random.default_rng(1).standard_normal((80, SIZE)).astype(np.float32)
    nodes, x = [], features
    if len(shape) == 3 and shape[1] == 80:
        nodes.append(helper.make_node("Transpose", [x], ["turned"], perm=[0, 2, 1]))
        x = "turned"
    nodes += [
        helper.make_node("MatMul", [x, "weight"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["positive"]),
    ]
    constants = [numpy_helper.from_array(weight, "weight")]
    if body == "frames":  # no pooling: (batch, time, size)
        nodes.append(helper.make_node("Identity", ["positive"], [embedding]))
    elif body == "one at a time":
        nodes.append(helper.make_node("Transpose", ["positive"], ["last"], perm=[0, 2, 1]))
        nodes.append(helper.make_node("GlobalAveragePool", ["last"], ["mean"]))
        nodes.append(helper.make_node("Reshape", ["mean", "one"], [embedding]))
        constants.append(numpy_helper.from_array(np.array([1, SIZE]), "one"))
    else:
        nodes.append(helper.make_node("Transpose", ["positive"], ["last"], perm=[0, 2, 1]))
        nodes.append(helper.make_node("GlobalAveragePool", ["last"], ["mean"]))
        nodes.append(helper.make_node("Flatten", ["mean"], [embedding]))
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(features, TensorProto.FLOAT, shape)],
        # As in sherpa-onnx's exports, the output's batch is not marked dynamic.
        [helper.make_tensor_value_info(embedding, TensorProto.FLOAT, [1, SIZE])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    return model


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def save(**options: Any) -> Path:
        path = tmp_path / "encoder.onnx"
        onnx.save(encoder_model(**options), path)
        return path

    return save


def expected(file: Path, config: KaldiFbank, waveforms: Float32) -> Float32:
    """The encoder alone in onnxruntime, on what torchaudio makes of each waveform."""
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    rows = []
    for waveform in torch.from_numpy(waveforms * (32768 if config.int16_range else 1)):
        x = torchaudio.compliance.kaldi.fbank(
            waveform[None], num_mel_bins=80, window_type=config.window, dither=0.0
        )
        features = (x - x.mean(dim=0))[None].numpy()
        if entry.shape[1] == 80:
            features = np.ascontiguousarray(features.transpose(0, 2, 1))
        rows.append(session.run(None, {entry.name: features})[0][0])
    found = np.stack(rows)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def waveforms(samples: int) -> Float32:
    return 0.1 * np.random.default_rng(samples).standard_normal((3, samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("options", "family"),
    [
        ({"metadata": SHERPA_3D_SPEAKER}, "3d-speaker"),
        ({"metadata": SHERPA_WESPEAKER}, "wespeaker"),
        ({"features": "feats", "embedding": "embs", "opset": 14}, "wespeaker"),
        ({"features": "feature", "opset": 11}, "3d-speaker"),
        ({"features": "waveform", "embedding": "front_end.features"}, "3d-speaker"),
        ({"shape": (1, 80, "T"), "opset": 18}, "3d-speaker"),
    ],
    ids=["sherpa 3d", "sherpa we", "wespeaker", "3d-speaker", "our names", "channels first"],
)
def test_import_loads_and_embeds_like_the_encoder_alone(
    write: Any, tmp_path: Path, options: dict[str, Any], family: str
) -> None:
    file = write(**options)
    bundle = import_onnx(file, tmp_path / "bundle")
    assert bundle.manifest.calibration is None
    assert bundle.manifest.format == 1
    assert bundle.manifest.embedding_size == SIZE
    assert bundle.manifest.front_end["window"] == FAMILIES[family].window
    assert bundle.manifest.parity["cosine_min"] > 0.9999
    encoder = Encoder(load_bundle(bundle.folder), "cpu")
    file = write(**(options | {"shape": ("N", 80, "T")})) if "shape" in options else file
    for samples in (8000, 21_003):
        found = encoder.embed(waveforms(samples))
        np.testing.assert_allclose(
            found, expected(file, FAMILIES[family], waveforms(samples)), atol=1e-3
        )


def test_the_families_features_are_not_alike(write: Any, tmp_path: Path) -> None:
    """What is read from the file matters: the wrong front end gives other embeddings."""
    file = write(metadata=SHERPA_WESPEAKER)
    right = Encoder(import_onnx(file, tmp_path / "right"), "cpu")
    wrong = Encoder(import_onnx(file, tmp_path / "wrong", family="3d-speaker"), "cpu")
    sound = waveforms(16_000)
    assert np.abs(right.embed(sound) - wrong.embed(sound)).max() > 1e-3


def test_what_the_file_says_of_itself_is_in_the_manifest(write: Any, tmp_path: Path) -> None:
    manifest = import_onnx(write(metadata=SHERPA_WESPEAKER), tmp_path / "bundle").manifest
    assert manifest.source == "https://example.org/resnet34"
    assert manifest.licence == "unknown"
    assert manifest.architecture["framework"] == "wespeaker"
    assert manifest.front_end["int16_range"] is True


def test_stored_as_float16_it_embeds_the_same(write: Any, tmp_path: Path) -> None:
    file = write(metadata=SHERPA_3D_SPEAKER)
    bundle = import_onnx(file, tmp_path / "bundle", precision="fp16")
    assert bundle.manifest.precision == "fp16"
    found = Encoder(bundle, "cpu").embed(waveforms(8000))
    reference = expected(file, FAMILIES["3d-speaker"], waveforms(8000))
    np.testing.assert_allclose(found, reference, atol=5e-3)


@pytest.mark.parametrize(
    ("metadata", "config"),
    [
        ({**SHERPA_3D_SPEAKER, "normalize_samples": "0"}, KaldiFbank("povey", int16_range=True)),
        ({"framework": "wespeaker", "normalize_features": "1"}, KaldiFbank("hamming")),
        ({}, KaldiFbank("povey")),
    ],
)
def test_the_metadata_decides(write: Any, metadata: dict[str, str], config: KaldiFbank) -> None:
    file = write(metadata=metadata)
    assert front_end_of(read_encoder(file), file) == config
    assert front_end_of(read_encoder(file), file, "wespeaker") == FAMILIES["wespeaker"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metadata": {"sample_rate": "8000"}}, "a sample_rate of 8000: only 16000 fits"),
        ({"metadata": {"framework": "nemo"}}, "features are not Kaldi's"),
        ({"metadata": {"feature_normalize_type": "per_feature"}}, "'per_feature'"),
        ({"metadata": {"normalize_samples": "yes"}}, "only 0 and 1 are known"),
        ({"metadata": {"output_dim": "192"}}, "states output_dim=192 but gives 24"),
        ({"shape": ("N", 80)}, "looks like a waveform"),
        ({"shape": ("N", 1, "T", 80)}, "of 3 axes"),
        ({"shape": ("N", "T", 64)}, "the front end gives 80 numbers a frame"),
        ({"shape": ("N", 300, 80)}, "a fixed length of 300 frames"),
        ({"body": "frames"}, "an embedding is"),
        ({"body": "one at a time"}, "one utterance at a time"),
        ({"opset": 10}, "opset 11 or later"),
    ],
)
def test_what_cannot_fit_is_refused(
    write: Any, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(EncoderError, match=said):
        import_onnx(write(**options), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_file_that_is_no_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="there is no file"):
        import_onnx(tmp_path / "none.onnx", tmp_path / "bundle")
    page = tmp_path / "page.onnx"
    page.write_bytes(b"<!DOCTYPE html><title>moved</title>")
    with pytest.raises(EncoderError, match="not a readable ONNX model"):
        import_onnx(page, tmp_path / "bundle")
    page.write_bytes(b"")
    with pytest.raises(EncoderError, match="not a readable ONNX model"):
        import_onnx(page, tmp_path / "bundle")


def test_a_second_input_is_refused_by_name(tmp_path: Path) -> None:
    model = encoder_model()
    model.graph.input.append(helper.make_tensor_value_info("length", TensorProto.INT64, ["N"]))
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(EncoderError, match=r"2 inputs \(x, length\)"):
        import_onnx(tmp_path / "two.onnx", tmp_path / "bundle")


def test_of_two_outputs_the_embedding_is_taken(tmp_path: Path) -> None:
    model = encoder_model(embedding="embs")
    model.graph.output.append(
        helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, SIZE, 1])
    )
    onnx.save(model, tmp_path / "two.onnx")
    assert import_onnx(tmp_path / "two.onnx", tmp_path / "bundle").manifest.embedding_size == SIZE
    model.graph.output[0].name = "positive"
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(EncoderError, match="positive, mean"):
        import_onnx(tmp_path / "two.onnx", tmp_path / "bundle")


def test_a_calibrated_bundle_is_not_replaced(
    write: Any, tmp_path: Path, spectral_bundle: Bundle
) -> None:
    shutil.copytree(spectral_bundle.folder, tmp_path / "bundle")
    with pytest.raises(BundleError, match="which would be lost"):
        import_onnx(write(), tmp_path / "bundle")
    assert load_bundle(tmp_path / "bundle").manifest == spectral_bundle.manifest
