"""Where the sound lies in WebM, MP4, AMR and AAC, and whether all of it is there."""

from __future__ import annotations

from collections.abc import Iterator

from engine.audio import ebml
from engine.audio.beginnings import HEAD_BYTES, after_tags, check_alike, check_frames
from engine.audio.containers import Buffer
from engine.audio.media.forms import AAC, AMR, MP4, WEBM, Form
from engine.audio.parts import Layout, NotWholeError, Part, joined
from engine.audio.signatures import aac_frame

# Bytes of a frame with its head, by the kind of frame (RFC 4867, section 5; 3GPP TS 26.101 and
# 26.201).
AMR_NB = (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)
AMR_WB = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)
AMR_MARKS = {b"#!AMR\n": AMR_NB, b"#!AMR-WB\n": AMR_WB}


def media_layout(data: Buffer, form: Form) -> Layout | None:
    """Where the sound lies; ``None``: its form says nothing that could be checked.

    Raises :class:`NotWholeError` where some of it is lacking.
    """
    every = {WEBM: _webm, MP4: _mp4, AMR: _amr, AAC: _aac}.get(form)
    return None if every is None else joined(every(data))


def _webm(data: Buffer) -> Iterator[tuple[Part, str]]:
    start = at = 0
    after: int | None = None  # an element that no Matroska has: another recording may begin there
    while at < len(data):
        try:
            head = ebml.head(data, at)
        except ValueError as error:
            raise NotWholeError("some of it is damaged", after or at) from error
        if head is None:
            raise NotWholeError("its last block is torn", after or at)
        if after is None and head.name not in ebml.KNOWN:
            after = at
        if head.name == ebml.EBML and at > start:
            yield Part(start, at), ""
            start = at
        at += head.length
        # A live recording leaves the lengths of segment and clusters open, and one that died
        # has not filled them in: what is in them counts.
        if head.name in (ebml.SEGMENT, ebml.CLUSTER):
            continue
        if head.size is None or at + head.size > len(data):
            raise NotWholeError("its last block is torn", after)
        at += head.size
    if after is not None:
        check_alike(data, after, len(data), WEBM.name)
    yield Part(start, len(data)), ""


def _mp4(data: Buffer) -> Iterator[tuple[Part, str]]:
    start = at = 0
    indexed = False
    while at + 8 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            size = len(data) - at
        if size < 8 or not all(32 <= code < 127 for code in name):
            check_alike(data, at, len(data), "MP4")
            check_frames(data, at, len(data))
            break  # something was appended
        if name == b"ftyp" and at > start:
            yield _indexed(Part(start, at), indexed), ""
            start, indexed = at, False
        indexed = indexed or name == b"moov"
        if at + size > len(data):
            there = len(data) - at
            raise NotWholeError(f"{there} bytes of {size} of its {name.decode()!r} are there", at)
        at += size
    yield _indexed(Part(start, len(data)), indexed), ""


def _indexed(part: Part, indexed: bool) -> Part:
    if not indexed:
        raise NotWholeError("its index is lacking: the recorder did not complete it")
    return part


def _amr(data: Buffer) -> Iterator[tuple[Part, str]]:
    check_alike(data, HEAD_BYTES, len(data), AMR.name)
    start = at = 0
    sizes = AMR_NB
    while at < len(data):
        mark = next((m for m in AMR_MARKS if data[at : at + len(m)] == m), None)
        if mark is not None:
            if at > start:
                yield Part(start, at), ""
            start, sizes = at, AMR_MARKS[mark]
            at += len(mark)
            continue
        size = sizes[data[at] >> 3 & 0x0F]
        if not size:
            raise NotWholeError("some of it is damaged, or it has several channels", HEAD_BYTES)
        at += size
        if at > len(data):
            raise NotWholeError("its last frame is torn", HEAD_BYTES)
    yield Part(start, len(data)), ""


def _aac(data: Buffer) -> Iterator[tuple[Part, str]]:
    check_alike(data, HEAD_BYTES, len(data), AAC.name)
    at = 0
    while at < len(data):
        size = aac_frame(data[at : at + 6])
        if size is None:
            raise NotWholeError("some of it is damaged", HEAD_BYTES)
        at += size
        if at > len(data):
            raise NotWholeError("its last frame is torn", HEAD_BYTES)
        at = after_tags(data, at)
    yield Part(0, len(data)), ""
