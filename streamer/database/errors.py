"""What goes wrong with a database, in one line that says what to do.

A message names where the database lies, without the password of a URL.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from engine.errors import VoxwatchError

# Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html
FULL, LOCKED = "53100", ("55P03", "40001", "40P01")
DENIED, READ_ONLY = "42501", "25006"
STOPPED, DAMAGED = ("57P01", "57P02", "57P03", "08"), ("XX001", "XX002")
MESSAGE_CHARACTERS = 300


class DatabaseError(VoxwatchError):
    """A database that cannot be opened, read or written; the message says why and what to do."""


def shown(place: Engine | str) -> str:
    """Where a database lies, as people may read it: a path, or a URL without its password."""
    if isinstance(place, str) and "://" not in place:
        return place
    try:
        url = place.url if isinstance(place, Engine) else make_url(place)
    except (ArgumentError, ValueError):
        return "of the setting `database`"
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    host = url.host or url.query.get("host", "")
    return f"postgresql://{user}{host}{port}/{url.database or ''}"


@contextlib.contextmanager
def explained(
    place: Engine | str,
    what: str = "database",
    raises: type[VoxwatchError] = DatabaseError,
    files: Path | None = None,
) -> Iterator[None]:
    """Errors of the database and of the system as one line of ``raises``.

    ``what`` says what lies there: a store of voiceprints, a record. ``files`` is what an error
    of the system is about, where that is not the database.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, DatabaseError, OSError) as error:
        where = shown(place)
        if isinstance(error, OSError):
            raise raises(_of_system(error, what, str(files or where))) from error
        raise raises(_explanation(error, what, where)) from error


def _explanation(error: Exception, what: str, where: str) -> str:
    if isinstance(error, DatabaseError):
        return str(error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause, what, where)
    if isinstance(error, DBAPIError):
        return _of_postgresql(error, what, where)
    return f"the {what} {where} failed: {_line(error)}"


def _of_system(error: OSError, what: str, where: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no room for the {what} {where}: the disk is full; make room"
    return (
        f"cannot read or write the {what} {where}: {error.filename or where}: {error.strerror};"
        " check the path and its permissions"
    )


def _of_sqlite(error: sqlite3.Error, what: str, where: str) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    match None if code is None else code & 0xFF:  # the rest of the code says more than is needed
        case sqlite3.SQLITE_NOTADB:
            return f"{where} is not a {what}: restore it from a backup, or move it away"
        case sqlite3.SQLITE_CORRUPT:
            return damaged(what, where)
        case sqlite3.SQLITE_FULL:
            return f"no room for the {what} {where}: the disk is full; make room"
        case sqlite3.SQLITE_IOERR:
            return (
                f"reading or writing the {what} {where} failed ({error}): check the disk and its"
                " room"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"cannot write the {what} {where}: check the folder's permissions"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"another program keeps the {what} {where} locked: wait for it or stop it"
    return f"the {what} {where} failed: {_line(error)}"


def _of_postgresql(error: DBAPIError, what: str, where: str) -> str:
    state = getattr(error.orig, "sqlstate", None) or ""
    said = _line(error.orig)
    if not state or state.startswith(STOPPED):  # a login that fails has no state
        advice = "check that the server runs, and what the setting `database` says"
        return f"cannot reach the {what} {where}: {said}; {advice}"
    if state == DENIED:
        return f"the user of {where} may not do that ({said}): let them own the schema voxwatch"
    if state == FULL:
        return f"no room for the {what} {where}: the disk of the server is full; make room"
    if state in LOCKED:
        return f"another program keeps the {what} {where} locked: wait for it or stop it"
    if state == READ_ONLY:
        return f"{where} can only be read: name the primary server in `database`"
    if state in DAMAGED:
        return damaged(what, where)
    return f"the {what} {where} failed: {said}"


def damaged(what: str, where: str) -> str:
    """What is said of one that is damaged."""
    return f"the {what} {where} is damaged: restore it from a backup, or move it away to begin anew"


def _line(error: BaseException | None) -> str:
    return " ".join(str(error).split())[:MESSAGE_CHARACTERS]
