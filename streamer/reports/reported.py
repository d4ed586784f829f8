"""The heads that a report has, read from its JSON or its ZIP: all else in it is left aside."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from engine.errors import VoxwatchError
from streamer.records.chain import REGISTER, Head

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


class _Report(msgspec.Struct, frozen=True):
    """Of a candidate or a stream, which has sessions, or of an exam, which has candidates."""

    format: str
    sessions: tuple[_Session, ...] = ()
    candidates: tuple[_Candidate, ...] = ()
    proof: _Proof | None = None


def reported_heads(path: Path) -> tuple[Head, ...]:
    """Those of all sessions and of the register, each once. Raises :class:`NoReport`.

    In a ZIP the files of an exam and of its candidates say the same, unless one was altered.
    """
    try:
        found = dict.fromkeys(head for text in _texts(path) for head in _heads(text))
    except (*UNREADABLE, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NoReport(
            f"{path} is no report as JSON or ZIP ({error}): take one of these, or give the head"
            " that a page shows by --head"
        ) from error
    if not found:
        raise NoReport(f"{path} has no head: no stream was recorded of which it tells")
    return tuple(found)


def _texts(path: Path) -> Iterator[bytes]:
    if not zipfile.is_zipfile(path):
        yield path.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield archive.read(name)


def _heads(text: bytes) -> Iterator[Head]:
    told = msgspec.json.decode(text, type=_Report)
    sessions = [*told.sessions, *(one for who in told.candidates for one in who.sessions)]
    yield from (one.chain.of(one.stream) for one in sessions if one.chain is not None)
    if told.proof is not None:
        yield told.proof.register.of(REGISTER)
