"""Which rows of LTI come back from a backup: none that stands for something else here by now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from streamer.lti.tables import ATTEMPTS, EXAMS, KEYS

PLACE = ("issuer", "client", "deployment", "link")  # by which an exam of a platform is found


class LtiRows:
    """Of one restoration. ``is_known`` says whether a line of a roster has its key."""

    def __init__(self, target: Connection, is_known: Callable[[bytes], bool]) -> None:
        self._target, self._is_known = target, is_known
        self._exams: dict[str, str] = {}  # of the backup, which are called otherwise here

    def kept(self, table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the ``rows`` that are lacking here which come back, as they are to be here."""
        if table is KEYS:  # one that was given up as it had leaked does not come back
            return [] if self._target.execute(select(KEYS.c.id)).first() else rows
        if table is EXAMS:
            return list(self._new_exams(rows))
        if table is ATTEMPTS:
            return list(self._new_attempts(rows))
        return rows

    def _new_exams(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        columns = (EXAMS.c.id, *(EXAMS.c[name] for name in PLACE))
        there = {tuple(place): id for id, *place in self._target.execute(select(*columns))}
        for row in rows:
            here = there.get(tuple(row[name] for name in PLACE))
            if here is None:
                yield row
            else:
                self._exams[row["id"]] = here

    def _new_attempts(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        there = {bytes(tag) for tag in self._target.scalars(select(ATTEMPTS.c.tag))}
        for row in rows:
            if bytes(row["tag"]) in there:
                continue
            known = self._is_known(bytes(row["candidate"]))
            sealed = row["sealed"] if known else None  # the launch has the learner's name
            lti_exam = self._exams.get(row["lti_exam"], row["lti_exam"])
            yield row | {"sealed": sealed, "lti_exam": lti_exam}


def forget_unreadable(target: Connection) -> None:
    """Another record's secret comes: nothing that was sealed with the old one can be read."""
    for table in (ATTEMPTS, KEYS):
        target.execute(delete(table))
