"""Torch to ONNX: one graph from waveform to unit embedding, checked against torch.

Precisions of the same graph, with the front end in float32 in all of them:

- ``fp32``
- ``fp16``: weights are stored as float16 and cast back, once, when a session loads. The
  arithmetic is that of fp32 on every provider; only the file is half as long.
- ``int8``: linear layers compute with whole numbers, which CPUs do faster
  (:mod:`models.network.quantise`). Everything else as in ``fp16``. Streaming networks have it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from engine.errors import VoxwatchError
from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import Bundle, check_output, write_bundle
from engine.model.manifest import MODEL_FILE, Manifest
from models.network.frontend import FrontEndConfig, LogMel
from models.network.inference import NetworkInference, WaveformEncoder
from models.network.next_tdnn import NeXtTDNN
from models.network.parity import Parity, measure_parity, parity_batches
from models.network.quantise import Play, quantise_linear_layers

# Opset 20 is the first with Gelu as one operation, which runtimes fuse with the bias.
OPSET = 20
IR_VERSION = 10
INPUT, OUTPUT = "waveform", "embedding"
FRONT_END = "front_end."
COSINE_GATE = 0.9999
BLOCK_HEADS = "heads."  # They have one row a block: nothing to save.
SMALL_WEIGHT = 256  # numbers; below this a cast costs more room than it saves

Float32 = NDArray[np.float32]
FloatPrecision = Literal["fp32", "fp16"]
FLOAT_PRECISIONS: tuple[FloatPrecision, ...] = ("fp32", "fp16")


class ExportError(VoxwatchError):
    """An exported graph that does not compute what the network computes."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a manifest says of where a model comes from."""

    name: str
    version: str
    licence: str
    source: str


def to_onnx(network: NeXtTDNN, front_end: FrontEndConfig | None = None) -> bytes:
    """The whole graph in fp32: ``waveform (B, samples)`` to unit ``embedding (B, D)``."""
    encoder = WaveformEncoder(network.eval(), LogMel(front_end))
    return _export(encoder, torch.zeros(2, SAMPLE_RATE_HZ), INPUT, "samples")


def network_to_onnx(network: NeXtTDNN) -> bytes:
    """The network alone in fp32, ``features (B, n_mels, T)`` in: to measure the front end by."""
    features = torch.zeros(2, network.arch.n_mels, 100)
    return _export(NetworkInference(network.eval()), features, "features", "frames")


def _export(module: nn.Module, example: torch.Tensor, name: str, length: str) -> bytes:
    shapes = {0: torch.export.Dim("batch"), example.ndim - 1: torch.export.Dim(length)}
    return export_graph(module, (example,), [name], [OUTPUT], (shapes,))


def export_graph(
    module: nn.Module,
    examples: tuple[torch.Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    shapes: tuple[dict[int, Any], ...],
) -> bytes:
    """``module`` as a graph; ``shapes`` names the axes of its inputs that vary."""
    # Loggers are quietened by name, not globally: they announce each step and each
    # absent optional package, none of which the user can act on.
    loggers = [logging.getLogger(n) for n in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # The exporter warns of deprecations within torch itself, by the hundred. Whether
            # the graph is right is measured, not guessed from them.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                examples,
                dynamo=True,
                opset_version=OPSET,
                input_names=inputs,
                output_names=outputs,
                dynamic_shapes=shapes,
                external_data=False,
                verbose=False,
            )
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    assert program is not None
    return bytes(bare(program.model_proto).SerializeToString())


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the exporter's notes, which hold source paths of the machine it ran on."""
    model.ir_version = IR_VERSION
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    graph.ClearField("quantization_annotation")
    return model


def to_fp16(model: bytes) -> bytes:
    """An fp32 graph with its weights as float16."""
    proto = onnx.load_from_string(model)
    _store_as_float16(proto)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def to_int8(model: bytes, play: Play) -> bytes:
    """An fp32 graph with linear layers of whole numbers, on scales by what ``play`` plays it.

    Raises :class:`QuantisationError` for one without linear layers, or that heard no speech.
    """
    proto = onnx.load_from_string(model)
    quantise_linear_layers(proto, play, (FRONT_END, BLOCK_HEADS))
    _store_as_float16(proto)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def _store_as_float16(model: onnx.ModelProto) -> None:
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name.startswith(FRONT_END) or values.dtype != np.float32:
            continue
        # A scale of quantisation is small, and so are biases and norms: they stay exact.
        if values.size < SMALL_WEIGHT or values.ndim < 2:
            continue
        name, half = tensor.name, f"{tensor.name}.fp16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def variants(
    network: NeXtTDNN, speech: Sequence[Float32] = (), front_end: FrontEndConfig | None = None
) -> Iterator[tuple[FloatPrecision, bytes, Parity]]:
    """Each precision of the graph with its parity; the first, fp32, passed the gate.

    Raises :class:`ExportError` when fp32 does not agree with torch to a cosine of 0.9999.
    """
    batches = parity_batches(speech)
    full = to_onnx(network, front_end)
    for precision in FLOAT_PRECISIONS:
        model = full if precision == "fp32" else to_fp16(full)
        parity = measure_parity(network, model, batches, front_end)
        if precision == "fp32" and not parity.cosine_min >= COSINE_GATE:
            raise ExportError(
                f"the exported graph does not match torch (cosine {parity.cosine_min:.6f}, at least"
                f" {COSINE_GATE} is needed): nothing was written; please report this"
            )
        yield precision, model, parity


def export_bundle(
    network: NeXtTDNN,
    output: Path,
    identity: Identity,
    *,
    precision: FloatPrecision = "fp32",
    speech: Sequence[Float32] = (),
    training: dict[str, Any] | None = None,
    front_end: FrontEndConfig | None = None,
) -> Bundle:
    """Write ``network`` as an uncalibrated bundle, with the parity of both precisions.

    ``speech`` holds 16 kHz waveforms to measure parity on. Raises :class:`ExportError`
    when the graph does not match torch, ``BundleError`` when ``output`` cannot be written or
    holds a calibrated bundle.
    """
    check_output(output, uncalibrated=True)
    measured = {
        kind: (model, parity) for kind, model, parity in variants(network, speech, front_end)
    }
    model, chosen = measured[precision]
    figures = {kind: asdict(parity) for kind, (_, parity) in measured.items()}
    manifest = Manifest(
        name=identity.name,
        version=identity.version,
        licence=identity.licence,
        source=identity.source,
        architecture=asdict(network.arch),
        front_end=asdict(front_end or FrontEndConfig()),
        embedding_size=network.arch.embedding_size,
        precision=precision,
        parity={
            "cosine_min": chosen.cosine_min,
            "max_abs": chosen.max_abs,
            "measured_on": "speech" if len(speech) else "made-up voices",
            "precisions": figures,
        },
        training=training or {},
    )
    return write_bundle(output, manifest, {MODEL_FILE: model})


def parity_table(bundle: Bundle) -> str:
    """The parity of every precision, as the export measured it, one line each."""
    every = bundle.manifest.parity.get("precisions", {})
    columns = [name for name in next(iter(every.values()), {}) if name != "bytes"]
    heads = [name.replace("_", " ") for name in columns]
    lines = [f"{'precision':<10} {'MB':>6} " + " ".join(f"{head:>17}" for head in heads)]
    for kind, f in every.items():
        mark = " *" if kind == bundle.manifest.precision else ""
        shown = " ".join(f"{f[name]:>17.6g}" for name in columns)
        lines.append(f"{kind:<10} {f['bytes'] / 1e6:>6.2f} {shown}{mark}")
    return "\n".join(lines)
