"""The register: which streams there are, and who saw, exported or deleted their records.

It is a chain of its own over all streams, so that a stream which was removed with all its entries
is told, and so that nobody looks at a record without a trace.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from streamer.records import tables
from streamer.records.chain import REGISTER, link
from streamer.records.errors import RecordError
from streamer.records.heads import NONE, counted, moved, total
from streamer.records.signing import Secret

PIECE = 1000  # entries that are read at a time

RegisterAct = Literal[
    "opened",
    "sealed",
    "deleted",
    "pseudonymised",
    "silenced",
    "held",
    "released",
    "viewed",
    "exported",
    "restored",
    "restarted",
]
ERASING = ("pseudonymised", "silenced")  # acts after which the clips of a stream are gone


class RegisterEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was done with a stream, when (s since 1970) and by whom; nobody's name: the server.

    ``opened`` says of which ``exam`` the stream is, and of which ``candidate``.
    ``sealed`` says that the stream's chain had ``count`` entries and ended in ``hash``: when the
    stream ended, and whenever somebody has acted on it. ``deleted`` says the same of what went.
    ``silenced`` says that its clips of sound were deleted, and the rest stays.
    ``restored`` says that a stream, or with the register's own name that all, came from a backup.
    ``restarted`` says that the register's first ``count`` entries were cut, whose chain ended in
    ``hash``, of ``since`` to ``until``. They told of the beginning of so many ``streams``, and of
    all their deletions but those ``awaited``, which come after what was cut.
    """

    at: float
    act: RegisterAct
    stream: str
    who: str = ""
    exam: str = ""
    candidate: str = ""  # a line of the exam's roster
    count: int = 0
    hash: str = ""
    why: str = ""
    sealed_why: str = ""  # what a person typed, which only the record's secret opens
    since: float = 0.0
    until: float = 0.0
    streams: int = 0
    awaited: int = 0


class RegisterEnd(NamedTuple):
    """Where the register ends, and the sum over the ends of all streams."""

    length: int
    hash: bytes
    heads: bytes


class Moved(RecordError):
    """Another process has written since: what was remembered is not so any more."""


_MOVE = (  # made once, as it is a part of every write
    update(tables.about)
    .where(
        tables.about.c.hash == bindparam("before"),
        tables.about.c.heads == bindparam("heads_before"),
    )
    .values({name: bindparam(f"new_{name}") for name in ("length", "hash", "heads", "signature")})
)
_entry = msgspec.json.Decoder(RegisterEntry)


def note(
    connection: Connection,
    secret: Secret,
    *notes: RegisterEntry,
    change: int = 0,
    known: RegisterEnd | None = None,
) -> RegisterEnd | None:
    """Add entries, within the transaction of what they say; where the register ends then.

    ``change`` is by how much the sum over streams' ends is another one, but for streams that the
    entries tell to be deleted. ``known`` spares to look where the register ends; raises
    :class:`Moved` where that is elsewhere. What is not signed, as somebody has changed it, is not
    signed by going on with it either, and nothing is returned then.
    """
    if not notes and not change:
        return known
    end, forged = (known, None) if known is not None else read_end(connection, secret)
    last, rows = end.hash, []
    for number, one in enumerate(notes, end.length + 1):
        body = msgspec.json.encode(one)
        last = link(last, number, body)
        rows.append({"number": number, "hash": last, "body": body})
    change -= sum(counted(secret.heads_key, _Gone(one)) for one in notes if one.act == "deleted")
    after = RegisterEnd(end.length + len(rows), last, moved(end.heads, change))
    signature = forged or bytes.fromhex(secret.sign(REGISTER, *after).signature)
    values = after._asdict() | {"signature": signature}
    told = {"before": end.hash, "heads_before": end.heads} | {f"new_{n}": values[n] for n in values}
    if connection.execute(_MOVE, told).rowcount != 1:
        raise Moved("another process has written to the register")
    if rows:
        connection.execute(insert(tables.register), rows)
    return after if forged is None else None


class _Gone:
    """The end of a stream that was deleted, as the register tells it."""

    def __init__(self, one: RegisterEntry) -> None:
        self.stream, self.length, self.hash = one.stream, one.count, bytes.fromhex(one.hash)


def read_end(connection: Connection, secret: Secret) -> tuple[RegisterEnd, bytes | None]:
    """Where the register ends, and what stands there in place of a signature, if it is none."""
    row = connection.execute(select(tables.about).with_for_update()).one()
    end = RegisterEnd(row.length, bytes(row.hash), bytes(row.heads or NONE))
    signature = secret.sign(REGISTER, *end).signature  # of one text there is one (RFC 8032)
    return end, None if row.signature.hex() == signature else bytes(row.signature) or b"?"


def begin(connection: Connection, secret: Secret) -> None:
    """Sum up the ends of all streams, in a record of before there was a sum."""
    row = connection.execute(select(tables.about).with_for_update()).one()
    if row.heads is not None:
        return
    ends = connection.execute(
        select(tables.streams.c.stream, tables.streams.c.length, tables.streams.c.hash)
    ).all()
    values = {"heads": total(secret.heads_key, ends), "signature": bytes(row.signature)}
    if secret.sign(REGISTER, row.length, row.hash).signature == row.signature.hex():
        head = secret.sign(REGISTER, row.length, row.hash, values["heads"])
        values["signature"] = bytes.fromhex(head.signature)
    connection.execute(update(tables.about).values(values))


def read(connection: Connection, after: int = 0) -> Iterator[RegisterEntry]:
    """All of it from the entry after that number on, oldest first, a piece at a time."""
    listed = tables.register.c
    wanted = select(listed.body).where(listed.number > after).order_by(listed.number)
    with contextlib.closing(
        connection.scalars(wanted.execution_options(yield_per=PIECE))
    ) as bodies:
        for body in bodies:
            yield _entry.decode(body)
