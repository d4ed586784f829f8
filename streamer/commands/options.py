"""Options that several commands share, each with its name, help and bounds, and what they lead to.

A command is a frozen record of its options with a method ``run``. An option that is named like
a setting overrides it: see :func:`configured`. `models/commands/options.py` says the same of the
same options; neither room may import the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
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
DataOption = Annotated[  # of the setting data_dir
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="Where key and voiceprints are kept."),
]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FOLDER", help="A model bundle instead of the built-in one."),
]
_PROVIDER = typer.Option("--provider", help="What computes; auto is the fastest that runs here.")
ProviderOption = Annotated[ProviderName | None, _PROVIDER]
ProviderChoice = Annotated[ProviderName, _PROVIDER]  # where no setting stands behind it
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads that compute [one a core].")
]
ChannelOption = Annotated[
    int | None,
    typer.Option("--channel", min=0, help="Of several channels, counted from 0."),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Microphone, by number or part of its name.")
]
EnrollOption = Annotated[
    list[str] | None,
    typer.Option("--enroll", metavar="NAME=FILE", help="A voice for this once; may repeat."),
]
AllowPoorOption = Annotated[
    bool,
    typer.Option("--allow-poor", help="Enrol clipped, noisy, little or unlike speech as well."),
]
ClaimOption = Annotated[
    str | None,
    typer.Option(
        "--claim", metavar="NAMES", help="Who it should be [anyone enrolled: who is it?]."
    ),
]
SpeedOption = Annotated[
    str, typer.Option("--speed", help="Times real time, or `max`: as fast as it can be taken.")
]
WindowOption = Annotated[
    float | None,
    typer.Option("--window", min=2, max=5, help="Seconds of speech in a score, 2 to 5."),
]
HopOption = Annotated[
    float | None,
    typer.Option("--hop", min=0.25, max=5, help="Seconds of speech between scores, 0.25 to 5."),
]
PriorOption = Annotated[
    float | None, typer.Option("--prior", help="Probability of the claim before listening, 0 to 1.")
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
ConsentOption = Annotated[
    bool, typer.Option("--consent", help="The person has read the text and agreed.")
]
AddOption = Annotated[
    bool, typer.Option("--add", help="Another prototype of somebody who is enrolled.")
]
# Not named like the setting ttl_days, which bounds it and must not be overridden by it.
KeptDaysOption = Annotated[
    float | None,
    typer.Option("--ttl-days", min=0, help="Days until the voiceprint is deleted."),
]
FalseAcceptOption = Annotated[
    float | None,
    typer.Option("--false-accept", help="Tolerated share of strangers who are matched, 0 to 0.5."),
]
MissOption = Annotated[
    float | None,
    typer.Option("--miss", help="Tolerated share of right speakers who are denied, 0 to 0.5."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def configured(options: Any, warn: Callable[[str], object] | None = None) -> Config:
    """The configuration: the file, then the environment, then the options that were given.

    ``options`` are a command's: every one that is named like a setting counts. ``config`` is
    the file. ``warn`` is told what does nothing any more; without it that is logged at once.
    """
    from streamer.config_sources import TYPES, find_config, load

    overrides = {name: value for name, value in given(options).items() if name in TYPES}
    path = options.config or find_config(os.environ)
    return load(path, os.environ, overrides, *([warn] if warn else []))


def given(options: Any) -> dict[str, Any]:
    """A command's options by name."""
    return {field.name: getattr(options, field.name) for field in fields(options)}


def parse_speed(text: str) -> float | None:
    """Times real time; None is as fast as it goes."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1000:
        raise typer.BadParameter(f"{text!r} is neither `max` nor a number from 0 to 1000")
    return speed


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
