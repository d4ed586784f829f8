"""The figures of a server: counted by each worker, and added up for who asks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from streamer.server.context import Context

GREATEST = frozenset({"longest_wait_s", "hop_s"})  # of which the sum would say nothing


def figures(context: Context, streams: int) -> dict[str, Any]:
    """This worker's, by name, as JSON would have them."""
    counts = context.counts
    found = {field.name: getattr(counts, field.name) for field in dataclasses.fields(counts)}
    return _plain(found) | {
        "streams": streams,
        "monitors": len(context.hub),
        "engine": _plain(dataclasses.asdict(context.engine.stats())),
        "record": _record(context),
    }


def _record(context: Context) -> dict[str, float]:
    """Entries of the record; ``failing`` counts the workers whose disk takes none just now."""
    if context.writer is None:
        return {}
    found = context.writer.figures()
    failing = int(bool(found.trouble))
    return {
        "written": found.written,
        "lost": found.lost,
        "waiting": found.waiting,
        "failing": failing,
        "cpu_s": found.cpu_s,
    }


def summed(several: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of several workers as those of one server."""
    names = dict.fromkeys(name for one in several for name in one)
    return {name: _together(name, [one[name] for one in several if name in one]) for name in names}


def _together(name: str, values: Sequence[Any]) -> Any:
    if isinstance(values[0], dict):
        return summed(values)
    return max(values) if name in GREATEST else sum(values)


def _plain(found: Mapping[Any, Any]) -> dict[str, Any]:
    """With names of text only, which JSON has."""
    return {
        str(name): _plain(value) if isinstance(value, Mapping) else value
        for name, value in found.items()
    }
