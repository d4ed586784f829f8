"""One event as a line of JSON, whether the engine or a server said it."""

from __future__ import annotations

from typing import Any

import msgspec


def kind_of(event: Any) -> str:
    """The ``type`` of an event on the wire: the engine's and the client's records share it."""
    return str(event.__struct_config__.tag)


def as_line(event: Any, number: int | None = None) -> str:
    """An event as it comes over the wire; ``number`` is its ``seq`` where it has none yet."""
    if kind_of(event) == "unknown":  # of a newer server: as it came
        return msgspec.json.encode(event.fields).decode()
    if number is not None:
        event = msgspec.structs.replace(event, seq=number)
    return msgspec.json.encode(event).decode()
