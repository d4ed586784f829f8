"""A published encoder in ONNX, features in and embedding out, to a bundle with its front end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torchaudio
from numpy.typing import NDArray
from onnx import TensorProto, helper

from engine.model.bundle import Bundle, check_output, write_bundle
from engine.model.manifest import MODEL_FILE, Manifest
from models.network.export import (
    COSINE_GATE,
    FRONT_END,
    INPUT,
    OUTPUT,
    ExportError,
    FloatPrecision,
    Identity,
    bare,
    to_fp16,
)
from models.network.fbank import INT16_SCALE, N_MELS, KaldiFbank, fbank_graph
from models.network.feature_encoder import (
    EncoderError,
    Family,
    FeatureEncoder,
    front_end_of,
    read_encoder,
)
from models.network.parity import Parity, cpu_session, parity_batches

Float32 = NDArray[np.float32]
Embed = Callable[[Float32], Float32]

ENCODER = "encoder."
PARITY_BATCHES = 8  # one and four waveforms of 0.5, 1, 2 and 3 s
PROBE_FRAMES = (98, 151)  # 1 s and 1.5 s


def import_onnx(
    file: Path,
    output: Path,
    *,
    family: Family | None = None,
    identity: Identity | None = None,
    precision: FloatPrecision = "fp32",
) -> Bundle:
    """Put Kaldi's filter bank before the encoder in ``file`` and write an uncalibrated bundle.

    ``family`` says whose features the encoder was trained on where the file does not, or says
    it wrongly. Raises :class:`EncoderError` for a file that does not fit, ``ExportError`` when
    the graph does not compute what the encoder computes, ``BundleError`` when ``output`` cannot
    be written or holds a calibrated bundle.
    """
    check_output(output, uncalibrated=True)
    encoder = read_encoder(file)
    config = front_end_of(encoder, file, family)
    embed = _runs(encoder, file)
    size = _embedding_size(encoder, embed, file)
    identity = identity or Identity(
        name=file.stem,
        version="imported",
        licence=encoder.metadata.get("license", "unknown"),
        source=encoder.metadata.get("url", f"imported from {file.name}"),
    )
    return bundle_with_fbank(encoder, config, embed, size, output, identity, precision)


def bundle_with_fbank(
    encoder: FeatureEncoder,
    config: KaldiFbank,
    embed: Embed,
    size: int,
    output: Path,
    identity: Identity,
    precision: FloatPrecision = "fp32",
) -> Bundle:
    """Write the grafted encoder, once it gives what ``embed`` makes of torchaudio's features.

    ``embed`` takes features ``(1, T, 80)`` and returns ``(1, size)``. Raises
    :class:`ExportError` where they do not agree to a cosine of 0.9999.
    """
    model = graft(encoder, config)
    batches = parity_batches()[:PARITY_BATCHES]
    parity = measure(model, config, embed, batches)
    if not parity.cosine_min >= COSINE_GATE:
        raise ExportError(
            f"with its front end inside, the encoder does not give the same embeddings (cosine"
            f" {parity.cosine_min:.6f}, at least {COSINE_GATE} is needed): nothing was written"
        )
    if precision == "fp16":
        model = to_fp16(model)
        parity = measure(model, config, embed, batches)
    manifest = Manifest(
        name=identity.name,
        version=identity.version,
        licence=identity.licence,
        source=identity.source,
        architecture={"encoder": "imported ONNX", **encoder.metadata},
        front_end={"kind": "kaldi-fbank", "n_mels": N_MELS, **asdict(config)},
        embedding_size=size,
        precision=precision,
        parity={**asdict(parity), "measured_on": "made-up voices"},
    )
    return write_bundle(output, manifest, {MODEL_FILE: model})


def _runs(encoder: FeatureEncoder, file: Path) -> Embed:
    """The encoder alone, ``(B, T, 80)`` to ``(B, D)``, tried with several lengths and batches."""
    session = _session(_relaxed(encoder).SerializeToString())

    def embed(features: Float32) -> Float32:
        if encoder.time_axis == 2:
            features = np.ascontiguousarray(features.transpose(0, 2, 1))
        return np.asarray(session.run([encoder.output], {encoder.input: features})[0])

    rng = np.random.default_rng(0)
    short, long = (rng.standard_normal((2, t, N_MELS)).astype(np.float32) for t in PROBE_FRAMES)
    _try(lambda: embed(short[:1]), file, "does not run")
    _try(lambda: embed(long[:1]), file, f"does not run on another length than {PROBE_FRAMES[0]}")
    both = _try(lambda: embed(short), file, "takes one utterance at a time, not batches")
    alone = np.concatenate([embed(row[None]) for row in short])
    if both.shape != alone.shape or not np.allclose(both, alone, rtol=1e-3, atol=1e-4):
        raise EncoderError(
            f"{file} gives other embeddings in a batch than alone: export it again with a dynamic"
            " batch axis"
        )
    return embed


def _relaxed(encoder: FeatureEncoder) -> onnx.ModelProto:
    """The encoder with its batch axis declared dynamic; whether it is, trying must show."""
    model = onnx.ModelProto()
    model.CopyFrom(encoder.model)
    for value in (*model.graph.input, *model.graph.output):
        if value.name == encoder.input:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        elif value.name == encoder.output:
            value.type.tensor_type.ClearField("shape")
    return model


def _try(run: Callable[[], Float32], file: Path, what: str) -> Float32:
    try:
        return run()
    except Exception as error:  # onnxruntime's own exceptions share no narrower base
        first = str(error).strip().splitlines()[0]
        raise EncoderError(f"{file} {what} ({first}): export it again with dynamic axes") from error


def _embedding_size(encoder: FeatureEncoder, embed: Embed, file: Path) -> int:
    found = embed(np.zeros((1, PROBE_FRAMES[0], N_MELS), np.float32))
    if found.ndim != 2:
        raise EncoderError(
            f"{file} gives {encoder.output} of shape {found.shape}: an embedding is (batch, size)"
        )
    stated = encoder.metadata.get("output_dim", str(found.shape[1]))
    if stated != str(found.shape[1]):
        raise EncoderError(f"{file} states output_dim={stated} but gives {found.shape[1]} numbers")
    return int(found.shape[1])


def graft(encoder: FeatureEncoder, config: KaldiFbank) -> bytes:
    """One graph, ``waveform (batch, samples)`` to ``embedding``, in the encoder's own opset."""
    model = onnx.compose.add_prefix(encoder.model, ENCODER)
    front = fbank_graph(config, encoder.opset, prefix=FRONT_END)
    features, wanted = front.output[0].name, ENCODER + encoder.input
    if encoder.time_axis == 2:
        bridge = helper.make_node("Transpose", [features], [wanted], perm=[0, 2, 1])
    else:
        bridge = helper.make_node("Identity", [features], [wanted])
    last = helper.make_node("Identity", [ENCODER + encoder.output], [OUTPUT])
    nodes = [*front.node, bridge, *model.graph.node, last]
    embedding = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", None])
    graph = model.graph
    for part, content in (
        (graph.node, nodes),
        (graph.input, [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", "n"])]),
        (graph.output, [embedding]),
    ):
        del part[:]
        part.extend(content)
    graph.initializer.extend(front.initializer)
    model = bare(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def measure(model: bytes, config: KaldiFbank, embed: Embed, batches: list[Float32]) -> Parity:
    """The grafted graph against ``embed`` on torchaudio's features, over ``(B, samples)``."""
    session = _session(model)
    cosines, differences = [], []
    for batch in batches:
        expected = _unit(np.concatenate([embed(_features(config, row)) for row in batch]))
        found = _unit(session.run(None, {INPUT: batch})[0])
        cosines.append((found * expected).sum(axis=1))
        differences.append(np.abs(found - expected).max())
    every = np.concatenate(cosines)
    return Parity(float(every.min()), float(every.mean()), float(np.max(differences)), len(model))


def _features(config: KaldiFbank, waveform: Float32) -> Float32:
    """Features ``(1, T, 80)`` of ``(samples,)`` as torchaudio computes them."""
    x = torch.from_numpy(waveform)[None] * (INT16_SCALE if config.int16_range else 1.0)
    features = torchaudio.compliance.kaldi.fbank(
        x, num_mel_bins=N_MELS, window_type=config.window, dither=0.0
    )
    mean = features.mean(dim=0) if config.subtract_mean else 0.0
    return np.asarray((features - mean)[None].numpy())


def _unit(embeddings: NDArray[Any]) -> NDArray[np.float64]:
    rows = embeddings.astype(np.float64)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _session(model: bytes) -> ort.InferenceSession:
    return cpu_session(model, 4)  # a shape that does not fit is answered here, in words
