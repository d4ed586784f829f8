"""An entry of the record as a line for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamer.records.entries import AnyEntry


def entry_line(number: int, entry: AnyEntry, fields: dict[str, Any]) -> str:
    """An entry for people: number, time of day, media time, kind, and what it says."""
    kind, said = fields.pop("kind"), {k: v for k, v in fields.items() if k not in ("at", "t")}
    if "event" in said:
        event: dict[str, Any] = said.pop("event")
        kind, said = event.pop("type"), {k: v for k, v in event.items() if k != "t"}
    day = datetime.fromtimestamp(entry.at, UTC).isoformat(" ", "milliseconds")[:-6]
    told = "  ".join(f"{k}={_short(v)}" for k, v in said.items() if v not in (None, "", [], {}))
    return f"{number:6d}  {day}  {entry.t:9.2f} s  {kind:10s}  {told}"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
