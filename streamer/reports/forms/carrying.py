"""Pages and PDFs carry what they were made from, as signed JSON, and a signature of themselves.

The JSON stands in a page as a link that no reader shows, and is attached to a PDF. What the file
itself is, byte for byte, is signed in a comment: at the end of a page, and in a PDF where nothing
has a place by number any more. Who altered what can be seen breaks the second. Who only saved a PDF
anew does, too, and the data that it carries are then as they were.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from streamer.reports.exam_report import SignedFiles
from streamer.reports.signing import Sign, altered, with_signature

NAME = "report.json"  # of what is attached to a PDF
WHAT = "What this report was made from, signed by the record"
_LINK = '<link rel="alternate" type="application/json" href="data:application/json;base64,'
_CARRIED = re.compile(re.escape(_LINK).encode() + rb'([A-Za-z0-9+/=]*)"')
_STREAM = re.compile(rb"stream\r?\n")
_BEGINNING = b'{"format":"voxwatch-'  # of any report as JSON, without its white space
_SHORT_BYTES, _PROBE_BYTES = 64, 1024  # of what a stream holds, and of it as it is packed
MOST_BYTES = 1 << 29  # of the data in a PDF: more is no report
OTHER_FILE = (
    "it is not the file that was signed: what it shows may have been altered, or another program"
    " has saved it anew. Rely on the data in it alone, as far as nothing is said against them here"
)
UNSIGNED_FILE = "what it shows is not signed: somebody took that away. Rely on the data in it alone"


class _Comment(NamedTuple):
    """How the signature of a file stands in it, and before what."""

    begin: bytes
    end: bytes
    before: bytes


_PDF, _HTML = b"%PDF-", b"<!doctype html>"
_COMMENTS = {
    _PDF: _Comment(b"%voxwatch ", b"\n", b"startxref"),
    _HTML: _Comment(b"<!-- voxwatch ", b" -->\n", b""),
}


def with_data(page: str, data: bytes) -> str:
    """A page that carries a report as JSON."""
    link = f'{_LINK}{base64.b64encode(data).decode()}"/>'
    return page.replace("</head>", f"{link}</head>", 1)


def carries(content: bytes) -> bool:
    """Whether this is a file of a kind that carries data: a page or a PDF."""
    return _kind(content) is not None


def data_in(content: bytes) -> Iterator[bytes]:
    """The JSON that a page or a PDF carries; of one that was altered there may be none, or more."""
    if _kind(content) == _HTML:
        yield from (base64.b64decode(found[1]) for found in _CARRIED.finditer(content))
        return
    for found in _STREAM.finditer(content):  # whatever program wrote it: what is in it shows which
        begun = _inflated(content[found.end() : found.end() + _PROBE_BYTES], _SHORT_BYTES)
        if b"".join(begun.split()).startswith(_BEGINNING):
            yield _inflated(content[found.end() :], MOST_BYTES)


def _inflated(packed: bytes, most: int) -> bytes:
    """What a stream begins with; nothing where it is none."""
    try:
        return zlib.decompressobj().decompress(packed, most)
    except zlib.error:
        return b""


def with_signature_of_file(content: bytes, sign: Sign) -> bytes:
    """A page or a PDF that says by whom it was made; what is neither stays as it is."""
    kind = _kind(content)
    if kind is None:
        return content
    comment = _COMMENTS[kind]
    files = SignedFiles(files={_name(kind): hashlib.sha256(content).hexdigest()})
    line = comment.begin + msgspec.json.encode(with_signature(files, sign)) + comment.end
    place = _place(content, comment)
    assert place >= 0, "a PDF without an end was made"
    return content[:place] + line + content[place:]


def file_altered(content: bytes, key: str) -> Iterator[str]:
    """What is wrong with a page or a PDF as a file; nothing: it is as it was made."""
    kind = _kind(content)
    assert kind is not None
    comment = _COMMENTS[kind]
    before, there, rest = content.rpartition(comment.begin)
    line, ended, after = rest.partition(comment.end)
    if not (there and ended):
        yield UNSIGNED_FILE
        return
    try:
        told = msgspec.json.decode(line, type=SignedFiles)
        signed = not any(altered(msgspec.to_builtins(told), key))
    except (msgspec.MsgspecError, ValueError):
        yield OTHER_FILE
        return
    # What else stood in the comment could end it, and be seen.
    signed = signed and msgspec.json.encode(told) == line
    file = before + after
    whole = told.files == {_name(kind): hashlib.sha256(file).hexdigest()}
    # Elsewhere the comment could be in the way of what the file shows.
    if not (signed and whole and _place(file, comment) == len(before)):
        yield OTHER_FILE


def _place(file: bytes, comment: _Comment) -> int:
    """Where the comment of a file stands that has none; before its beginning if nowhere."""
    return file.rfind(comment.before)


def _kind(content: bytes) -> bytes | None:
    return next((kind for kind in _COMMENTS if content.startswith(kind)), None)


def _name(kind: bytes) -> str:
    return "pdf" if kind == _PDF else "html"
