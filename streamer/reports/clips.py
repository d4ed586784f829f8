"""What became of clips of sound that a record tells of and has no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, tzinfo

from streamer.records.book import Book
from streamer.records.entries import AnyEntry, Clip
from streamer.records.register import RegisterEntry
from streamer.reports.report import ClipDeletion


class DeletedClips:
    """Of all streams of one report. The register is long: it is read when a stream lacks a clip.

    It is read once; of what was written since then the next stream reads the rest.
    """

    def __init__(self, book: Book) -> None:
        self._book, self._read = book, 0
        self._notes = defaultdict[str, list[RegisterEntry]](list)

    def of(self, stream: str, entries: Iterable[AnyEntry], zone: tzinfo) -> dict[str, ClipDeletion]:
        """Those that are gone, by incident, with when and why as the register says."""
        told = [entry for entry in entries if isinstance(entry, Clip)]
        kept = self._book.clips(stream) if told else set()
        gone = [clip for clip in told if clip.incident not in kept]
        if gone:
            self._read_on()
        return {clip.incident: _deletion(clip, self._notes[stream], zone) for clip in gone}

    def _read_on(self) -> None:
        notes, self._read = self._book.erasures(self._read)
        for note in notes:
            self._notes[note.stream].append(note)


def _deletion(clip: Clip, notes: Iterable[RegisterEntry], zone: tzinfo) -> ClipDeletion:
    """The first that erased clips once this one was there."""
    note = next((one for one in notes if one.at >= clip.at), None)
    if note is None:
        return ClipDeletion()
    at = datetime.fromtimestamp(round(note.at, 3), zone)
    return ClipDeletion(at=at, who=note.who, why=note.why)
