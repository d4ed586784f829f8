"""Options that several commands share, and the configuration they lead to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from streamer.config import Config

EXIT_NEGATIVE = 1  # an answer, and it is no
EXIT_INTERRUPTED = 130

ProviderName = Literal["auto", "cpu", "cuda", "tensorrt"]
EncodingName = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings in TOML [$VOXWATCH_CONFIG, or voxwatch/config.toml of your own].",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="Where key and voiceprints are kept."),
]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FOLDER", help="A model bundle, not the built-in one."),
]
ProviderOption = Annotated[
    ProviderName | None,
    typer.Option("--provider", help="What computes; auto is the fastest that runs here."),
]
ChannelOption = Annotated[
    int | None, typer.Option(min=0, help="Channel of a recording that has several, from 0.")
]
ServerOption = Annotated[
    str,
    typer.Option("--server", metavar="URL", envvar="VOXWATCH_URL", help="Where the server is."),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="VOXWATCH_TOKEN",
        help="For a server that wants one; others see the command line, not the variable.",
    ),
]
CaOption = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="Who vouches for a server with TLS [the system's]."),
]
FalseAcceptOption = Annotated[
    float | None, typer.Option(help="Tolerated chance that a match is wrong, 0 to 0.5.")
]
MissOption = Annotated[
    float | None, typer.Option(help="Tolerated chance that a mismatch is wrong, 0 to 0.5.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def configured(path: Path | None, **overrides: Any) -> Config:
    """The configuration: the file, then the environment, then the options that were given."""
    from streamer.config import find_config, load

    return load(path or find_config(os.environ), os.environ, overrides)


def trusting(ca: Path | None) -> Any:
    """The TLS context that trusts ``ca``; None leaves that to the system."""
    if ca is None:
        return None
    import ssl

    from engine.errors import VoxwatchError

    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise VoxwatchError(f"--ca {ca}: holds no certificate: give it as PEM") from error
    except OSError as error:
        raise VoxwatchError(f"--ca {ca}: {error.strerror or error}") from error
