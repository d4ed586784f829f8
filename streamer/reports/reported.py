"""A report that is handed in: its heads, and whether it says what was signed."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from engine.errors import VoxwatchError
from streamer.records.chain import REGISTER, Head
from streamer.reports.forms.carrying import carries, data_in, file_altered
from streamer.reports.forms.writing import SIGNED_FILES
from streamer.reports.signing import altered

T = TypeVar("T")

# What is read of a damaged ZIP raises several of these; RuntimeError where it asks for a password.
UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
Hexadecimal = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]*$")]


class NoReport(VoxwatchError):
    """What was given is no report in a form from which heads can be read."""


class _Chain(msgspec.Struct, frozen=True):
    count: Annotated[int, msgspec.Meta(ge=0)]
    head: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    signature: Hexadecimal = ""
    key: Hexadecimal = ""
    heads: Hexadecimal = ""

    def of(self, chain: str) -> Head:
        return Head(
            chain=chain,
            count=self.count,
            hash=self.head,
            signature=self.signature,
            key=self.key,
            heads=self.heads,
        )


class _Session(msgspec.Struct, frozen=True):
    stream: str
    chain: _Chain | None = None


class _Candidate(msgspec.Struct, frozen=True):
    sessions: tuple[_Session, ...] = ()


class _Proof(msgspec.Struct, frozen=True):
    register: _Chain


class _Line(msgspec.Struct, frozen=True):
    chains: tuple[tuple[str, _Chain | None], ...] = ()


class _Report(msgspec.Struct, frozen=True):
    """Of a candidate or a stream, which has sessions, or of an exam, which has candidates.

    The page of an exam has lines in place of them.
    """

    format: str
    lines: tuple[_Line, ...] = ()
    sessions: tuple[_Session, ...] = ()
    candidates: tuple[_Candidate, ...] = ()
    proof: _Proof | None = None


class Reported:
    """What is handed in. Raises :class:`NoReport`.

    ``heads`` are those of all sessions and of the register, each once. In a ZIP the files of an
    exam and of its candidates say the same, unless one was altered.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zipped = _is_zip(path)
            self._files = _once(list(_zipped(path) if self._zipped else _alone(path)))
            self._told = {name: _read(text) for name, text in self._files.items() if _is_json(name)}
            found = dict.fromkeys(head for told in self._told.values() for head in _heads(told))
        except (*UNREADABLE, msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise NoReport(
                f"{path} is no report ({error}): take it as PDF, HTML, JSON or ZIP, or give the"
                " head that a page shows by --head"
            ) from error
        if not self._told:
            raise NoReport(
                f"{path} carries no data: an earlier version made it, or somebody took them away."
                " Take the report as JSON or ZIP, or give the head that it shows by --head"
            )
        self.heads = tuple(found)

    def altered(self, key: str) -> Iterator[str]:
        """Line by line, what is not as the record with this public key has signed it."""
        for name, told in self._told.items():
            yield from (f"{name}: {what}" for what in _altered(told, key))
            for number, one in enumerate(told.get("candidates", ()), 1):
                who = one.get("candidate") or number
                yield from (f"{name}, candidate {who}: {what}" for what in _altered(one, key))
        for name, content in self._files.items():
            if not self._zipped and not _is_json(name):
                yield from (f"{name}: {what}" for what in file_altered(content, key))
        if self._zipped and (len(self._files) > 1 or SIGNED_FILES in self._told):
            yield from self._files_altered()

    @property
    def whole(self) -> str:
        """What is said of it where nothing was altered."""
        if self._zipped:
            return "all files of this ZIP are as this record signed them"
        if any(carries(content) for content in self._files.values()):
            return "all of it, what it shows and the data in it, is as this record signed it"
        return "all of it is as this record signed it"

    def _files_altered(self) -> Iterator[str]:
        """Which files of a ZIP are not those that were put into it."""
        if SIGNED_FILES not in self._told:
            yield f"{SIGNED_FILES} is missing: nobody can tell whether the other files were altered"
            return
        files = self._told[SIGNED_FILES].get("files")
        signed: dict[str, Any] = files if isinstance(files, dict) else {}
        for name, content in self._files.items():
            if name != SIGNED_FILES and signed.get(name) != hashlib.sha256(content).hexdigest():
                yield f"{name}: {'the file was altered' if name in signed else 'it was added'}"
        for name in signed.keys() - self._files.keys():
            yield f"{name}: it is missing"


def _altered(told: Mapping[str, Any], key: str) -> Iterator[str]:
    try:
        yield from altered(told, key)
    except (msgspec.MsgspecError, ValueError):
        yield "its signature cannot be read: it was altered"


def _is_json(name: str) -> bool:
    return name.endswith(".json")


def _is_zip(path: Path) -> bool:
    """Whether it is one from its first byte on: a ZIP behind a page would be looked at for it."""
    with path.open("rb") as file:
        return file.read(2) == b"PK" and zipfile.is_zipfile(path)


def _alone(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents: of a page or a PDF, what it carries, too."""
    content = path.read_bytes()
    if not carries(content):
        yield f"{path.stem}.json", content
        return
    yield path.name if not _is_json(path.name) else f"{path.name}.html", content
    for number, data in enumerate(data_in(content)):
        yield f"{path.stem}-data{number or ''}.json", data


def _zipped(path: Path) -> Iterator[tuple[str, bytes]]:
    """All that is in a ZIP."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def _read(text: bytes) -> dict[str, Any]:
    """JSON in which nothing is said twice: readers would not agree on which of both holds."""
    told = json.loads(text, object_pairs_hook=_once, parse_constant=_finite, parse_float=_finite)
    if not isinstance(told, dict):
        raise ValueError("it is no object")
    return told


def _once(pairs: list[tuple[str, T]]) -> dict[str, T]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("it says something twice")
    return told


def _finite(word: str) -> float:
    if not math.isfinite(number := float(word)):
        raise ValueError(f"{word} is no number")
    return number


def _heads(content: Mapping[str, Any]) -> Iterator[Head]:
    told = msgspec.convert(content, _Report)
    sessions = [*told.sessions, *(one for who in told.candidates for one in who.sessions)]
    yield from (one.chain.of(one.stream) for one in sessions if one.chain is not None)
    chains = (both for line in told.lines for both in line.chains)
    yield from (chain.of(stream) for stream, chain in chains if chain is not None)
    if told.proof is not None:
        yield told.proof.register.of(REGISTER)
