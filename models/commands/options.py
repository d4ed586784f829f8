"""Options that several offline commands share, each with its name, help and bounds.

A command is a frozen record of its options with a method ``run``, as in `streamer/commands`,
whose options of the same names have the same help.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.model.encoder import ProviderChoice

BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FOLDER", help="A model bundle instead of the built-in one."),
]
ProviderOption = Annotated[
    ProviderChoice,
    typer.Option("--provider", help="What computes; auto is the fastest that runs here."),
]
ChannelOption = Annotated[
    int | None,
    typer.Option("--channel", min=0, help="Of several channels, counted from 0."),
]
AllowPoorOption = Annotated[
    bool,
    typer.Option("--allow-poor", help="Use clipped, noisy, little or unlike speech as well."),
]
ReliableOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reliable",
        metavar="NAME",
        help="A list whose labels are right; may repeat. These come first, the means are theirs.",
    ),
]
NoiseOption = Annotated[
    Path | None,
    typer.Option(
        "--noise",
        metavar="FOLDER",
        help="Noise recordings; only those held out from training are used, about a quarter,"
        " by a hash of the name up to its last hyphen [pink noise is synthesised].",
    ),
]


def given(command: Any) -> dict[str, Any]:
    """A command's options by name."""
    return {field.name: getattr(command, field.name) for field in fields(command)}
