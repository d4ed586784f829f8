"""What a published encoder in ONNX takes and gives: features of Kaldi in, an embedding out.

What the front end must be comes from the file: from the metadata that sherpa-onnx writes
(``framework``, ``sample_rate``, ``output_dim``, ``normalize_samples``,
``feature_normalize_type``), else from the names that the exporters of WeSpeaker and
3D-Speaker give to input and output. WeSpeaker trains on a Hamming window over samples in the
range of 16 bits, 3D-Speaker on Kaldi's own window over [-1, 1]; both subtract the mean over
time (``wespeaker/bin/infer_onnx.py``, ``speakerlab/process/processor.py``). The metadata of
WeSpeaker's models does not say so: its silence about the mean is not a "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from engine.errors import BundleError
from models.network.fbank import N_MELS, OLDEST_OPSET, SAMPLE_RATE_HZ, KaldiFbank

Family = Literal["wespeaker", "3d-speaker"]

FAMILIES: Mapping[str, KaldiFbank] = {
    "wespeaker": KaldiFbank(window="hamming", int16_range=True),
    "3d-speaker": KaldiFbank(window="povey", int16_range=False),
}
EXPORTED_NAMES: Mapping[tuple[str, str], Family] = {
    ("feats", "embs"): "wespeaker",
    ("feature", "embedding"): "3d-speaker",
}


class EncoderError(BundleError):
    """An ONNX file that is no speaker encoder which the front end fits."""


@dataclass(frozen=True, slots=True)
class FeatureEncoder:
    """An encoder of ``features``; ``time_axis`` is 1 for ``(B, T, 80)``, 2 for ``(B, 80, T)``."""

    model: onnx.ModelProto
    input: str
    output: str
    time_axis: int
    opset: int
    metadata: Mapping[str, str]


def read_encoder(file: Path) -> FeatureEncoder:
    """The encoder in ``file``, its input and output found. Raises :class:`EncoderError`."""
    if not file.is_file():
        raise EncoderError(f"there is no file {file}: check the path")
    try:
        model = onnx.load(file)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "it holds no graph"
        raise EncoderError(f"{file} is not a readable ONNX model ({first})") from error
    return describe(model, str(file))


def describe(model: onnx.ModelProto, where: str) -> FeatureEncoder:
    """Which input takes features, along which axis time runs, which output is the embedding.

    Raises :class:`EncoderError` where the graph has no such input or output.
    """
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST_OPSET:
        raise EncoderError(
            f"{where} is of opset {opset}: export it again with opset {OLDEST_OPSET} or later"
        )
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [x for x in model.graph.input if x.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(x.name for x in inputs)
        raise EncoderError(f"{where} has {len(inputs)} inputs ({names}): only features may go in")
    time_axis = _time_axis(inputs[0], where)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return FeatureEncoder(
        model, inputs[0].name, _embedding_output(model, where), time_axis, opset, metadata
    )


def _time_axis(features: onnx.ValueInfoProto, where: str) -> int:
    shape = _shape(features)
    said = f"{where} takes {features.name} {tuple(shape)}"
    if features.type.tensor_type.elem_type != TensorProto.FLOAT:
        raise EncoderError(f"{said}, but not as 32-bit floats: export it again in fp32")
    if len(shape) == 2:
        raise EncoderError(
            f"{said}, which looks like a waveform: only encoders of features (batch, time,"
            f" {N_MELS}) can be imported"
        )
    if len(shape) != 3:
        raise EncoderError(f"{said}: features (batch, time, {N_MELS}) are needed, of 3 axes")
    if N_MELS not in shape[1:]:
        raise EncoderError(f"{said}: the front end gives {N_MELS} numbers a frame")
    time_axis = 1 if shape[2] == N_MELS else 2
    if isinstance(shape[time_axis], int):
        raise EncoderError(
            f"{said}, of a fixed length of {shape[time_axis]} frames: export it again with a"
            " dynamic time axis"
        )
    return time_axis


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    """Axes of a value: a number where it is fixed, else the name it has or ``?``."""
    dims = value.type.tensor_type.shape.dim
    return [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims]


def _embedding_output(model: onnx.ModelProto, where: str) -> str:
    outputs = [y.name for y in model.graph.output]
    named = [name for name in outputs if name.lower().startswith("emb")]
    if len(outputs) != 1 and len(named) != 1:
        raise EncoderError(
            f"{where} has the outputs {', '.join(outputs)}, and which is the embedding does not"
            " show: export it with one output"
        )
    return str(outputs[0] if len(outputs) == 1 else named[0])


def front_end_of(encoder: FeatureEncoder, file: Path, family: Family | None = None) -> KaldiFbank:
    """The features that an encoder was trained on. Raises :class:`EncoderError` for others.

    By ``family``; else by the file's metadata, else by the names of its input and output, else
    3D-Speaker's, which are Kaldi's own.
    """
    known = encoder.metadata
    for key, needed in (("sample_rate", SAMPLE_RATE_HZ), ("feat_dim", N_MELS)):
        if known.get(key, str(needed)).strip() != str(needed):
            raise EncoderError(f"{file} has a {key} of {known[key]}: only {needed} fits")
    if family is not None:
        return FAMILIES[family]
    named = EXPORTED_NAMES.get((encoder.input, encoder.output), "3d-speaker")
    framework = known.get("framework", named)
    if framework not in FAMILIES:
        raise EncoderError(
            f"{file} is of the framework {framework!r}, whose features are not Kaldi's: only"
            f" {' and '.join(FAMILIES)} fit; if it was trained on theirs, say so by --family"
        )
    return _as_stated(FAMILIES[framework], known, file)


def _as_stated(usual: KaldiFbank, known: Mapping[str, str], file: Path) -> KaldiFbank:
    """A family's front end with what the metadata states otherwise."""
    # The first models of WeSpeaker in sherpa-onnx have the older of the two keys.
    for key in ("normalize_samples", "normalize_features"):
        if key in known and known[key] not in ("0", "1"):
            raise EncoderError(f"{file} has {key}={known[key]!r}: only 0 and 1 are known")
    default = "0" if usual.int16_range else "1"
    normal = known.get("normalize_samples", known.get("normalize_features", default))
    mean = known.get("feature_normalize_type") or "global-mean"
    if mean != "global-mean":
        raise EncoderError(
            f"{file} wants features normalised by {mean!r}: only global-mean is possible"
        )
    return KaldiFbank(usual.window, int16_range=normal == "0")
