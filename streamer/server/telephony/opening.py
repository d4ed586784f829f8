"""How a telephone call begins as a stream: its format, its parameters and who calls. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.format import Encoding
from streamer.wire.client_message import MAX_NAME
from streamer.wire.errors import WireError
from streamer.wire.parsing import start_from_query
from streamer.wire.requests import StartStream

# What an application may ask for in a call, beside its token: parameters of /v1/stream.
PARAMETERS = frozenset(
    {"claim", "label", "false_accept", "miss", "window_s", "hop_s", "exam", "candidate"}
    | {"channel", "live"}
)
FORMAT = frozenset({"encoding", "sample_rate", "channels"})
TOKEN = "token"
ENCODINGS: dict[str, Encoding] = {  # names that telephone systems give to what is G.711
    "audio/x-mulaw": "mulaw",
    "audio/pcmu": "mulaw",
    "mulaw": "mulaw",
    "ulaw": "mulaw",
    "pcmu": "mulaw",
    "audio/x-alaw": "alaw",
    "audio/pcma": "alaw",
    "alaw": "alaw",
    "pcma": "alaw",
}


@dataclass(frozen=True, slots=True)
class Format:
    """The sound of a call. ``swapped``: the two bytes of a sample come in the order of networks."""

    encoding: Encoding
    sample_rate_hz: int
    channels: int = 1
    swapped: bool = False

    def fields(self) -> dict[str, str]:
        """As parameters of a stream."""
        return {
            "encoding": self.encoding,
            "sample_rate": str(self.sample_rate_hz),
            "channels": str(self.channels),
        }


@dataclass(frozen=True, slots=True)
class Opening:
    """A call has begun: ``call`` is its telephone system's name for it.

    With ``silent`` its system says nothing of itself before, and yet is told nothing.
    """

    start: StartStream
    call: str
    format: Format
    token: str | None = field(default=None, repr=False)
    silent: bool = False


def opening(
    call: str, sound: Format, given: Mapping[str, Any], token: str | None = None
) -> Opening:
    """How a call with the parameters ``given`` begins. Raises :class:`WireError`."""
    parameters = {name: _text(value) for name, value in given.items() if name in PARAMETERS}
    parameters.setdefault("label", call[:MAX_NAME])
    start = start_from_query(parameters | sound.fields())
    shown = given.get(TOKEN, token)
    return Opening(start, call, sound, None if shown is None else str(shown))


def check_parameters(given: Mapping[str, Any]) -> None:
    """Raise :class:`WireError` for a parameter that nobody knows: it may be one misspelt."""
    if unknown := sorted(given.keys() - PARAMETERS - {TOKEN}):
        names = ", ".join(repr(str(name)[:MAX_NAME]) for name in unknown)
        known = ", ".join(sorted(PARAMETERS | {TOKEN}))
        raise WireError("bad-parameter", f"unknown in the call: {names}; known are {known}")


def whole(value: Any, what: str) -> int:
    """A number that may be written as text. Raises :class:`WireError`."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError("bad-start", f"{what} is no whole number") from error


def _text(value: Any) -> str:
    """As an address would have it: names as a JSON list."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
