"""What became of clips of sound that a record tells of and has no more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo

from streamer.records.book import Book
from streamer.records.entries import AnyEntry, Clip
from streamer.records.register import ERASING, RegisterEntry
from streamer.reports.report import ClipDeletion


def deleted_clips(
    book: Book, stream: str, entries: Iterable[AnyEntry], zone: tzinfo
) -> dict[str, ClipDeletion]:
    """Those that are gone, by incident, with when and why as the register says."""
    told = [entry for entry in entries if isinstance(entry, Clip)]
    kept = book.clips(stream) if told else set()
    gone = [clip for clip in told if clip.incident not in kept]
    if not gone:
        return {}  # the register is long: it is read for who lacks something alone
    notes = [note for note in book.register(stream) if note.act in ERASING]
    return {clip.incident: _deletion(clip, notes, zone) for clip in gone}


def _deletion(clip: Clip, notes: Iterable[RegisterEntry], zone: tzinfo) -> ClipDeletion:
    """The first that erased clips once this one was there."""
    note = next((one for one in notes if one.at >= clip.at), None)
    if note is None:
        return ClipDeletion()
    at = datetime.fromtimestamp(round(note.at, 3), zone)
    return ClipDeletion(at=at, who=note.who, why=note.why)
