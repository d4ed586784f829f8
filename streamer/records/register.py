"""The register: which streams there are, and who saw, exported or deleted their records.

It is a chain of its own over all streams, so that a stream which was removed with all its entries
is told, and so that nobody looks at a record without a trace.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import Connection, insert, select, update

from streamer.records import tables
from streamer.records.chain import REGISTER, link
from streamer.records.signing import Secret

RegisterAct = Literal[
    "opened",
    "sealed",
    "deleted",
    "pseudonymised",
    "held",
    "released",
    "viewed",
    "exported",
    "restored",
]


class RegisterEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was done with a stream, when (s since 1970) and by whom; nobody's name: the server.

    ``opened`` says of which ``exam`` the stream is.
    ``sealed`` says that the stream's chain had ``count`` entries and ended in ``hash``: when the
    stream ended, whenever somebody has acted on it, and while it has no end from time to time
    (:meth:`~streamer.records.journal.Journal.seal`). ``deleted`` says the same of what went.
    ``restored`` says that a stream, or with the register's own name that all, came from a backup.
    """

    at: float
    act: RegisterAct
    stream: str
    who: str = ""
    exam: str = ""
    count: int = 0
    hash: str = ""
    why: str = ""


def note(connection: Connection, secret: Secret, *notes: RegisterEntry) -> None:
    """Add entries, within the transaction of what they say."""
    if not notes:
        return
    about = tables.about.c
    end = connection.execute(select(about.length, about.hash).with_for_update()).one()
    last, rows = end.hash, []
    for number, one in enumerate(notes, end.length + 1):
        body = msgspec.json.encode(one)
        last = link(last, number, body)
        rows.append({"number": number, "hash": last, "body": body})
    connection.execute(insert(tables.register), rows)
    length = end.length + len(rows)
    head = secret.sign(REGISTER, length, last)
    connection.execute(
        update(tables.about).values(
            length=length, hash=last, signature=bytes.fromhex(head.signature)
        )
    )


def read(connection: Connection) -> list[RegisterEntry]:
    """All of it, oldest first."""
    found = connection.execute(select(tables.register.c.body).order_by(tables.register.c.number))
    return [msgspec.json.decode(body, type=RegisterEntry) for (body,) in found]


def sealed(connection: Connection) -> dict[str, int]:
    """Of how many entries of each stream it tells the end, at most."""
    counts: dict[str, int] = {}
    for one in read(connection):
        if one.act == "sealed":
            counts[one.stream] = max(one.count, counts.get(one.stream, 0))
    return counts
