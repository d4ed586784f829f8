"""PyAV, loaded when it is used, and what is said where it is lacking."""

from __future__ import annotations

import importlib.util
from typing import Any

from engine.errors import AudioError

INSTALL = 'pip install "voxwatch[media]"'


class MediaMissing(AudioError):
    """The extra ``media`` is not installed; the message says how to install it."""


def available() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def library(wanted_for: str) -> Any:
    """PyAV, which logs nothing by itself. Raises :class:`MediaMissing`."""
    try:
        import av
    except ImportError as error:
        raise MediaMissing(f"{wanted_for} needs the extra media: {INSTALL}") from error
    return av
