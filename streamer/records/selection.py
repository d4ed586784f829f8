"""Which recorded streams are asked for, and who is spoken of in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, Select, select

from streamer.records import tables


def narrowed(
    wanted: Select[Any], exam: str | None, person: str | None, since: float | None
) -> Select[Any]:
    """Of the streams that are ``wanted`` those of an exam, of a person, begun since then."""
    streams, people = tables.streams, tables.people
    if exam is not None:
        wanted = wanted.where(streams.c.exam == exam)
    if since is not None:
        wanted = wanted.where(streams.c.started_at >= since)
    if person is not None:
        theirs = select(people.c.stream).where(people.c.person == person)
        wanted = wanted.where(streams.c.stream.in_(theirs) | (streams.c.candidate == person))
    return wanted


def people_of(rows: Iterable[Row[Any]], chosen: Iterable[str]) -> dict[str, list[str]]:
    """Who was claimed or recognised in each stream, by ``rows`` of `people`."""
    found: dict[str, list[str]] = {stream: [] for stream in chosen}
    for row in rows:
        if row.stream in found:
            found[row.stream].append(row.person)
    return found
