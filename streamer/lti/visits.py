"""Cookies by which those are known who came by a launch: a learner by an attempt, a teacher by a
place.
"""

from __future__ import annotations

from typing import Any

import jwt
import msgspec

from streamer.lti.errors import Refused
from streamer.lti.messages import Place
from streamer.lti.tool import SITTING_S

VISIT_S = 3600.0  # that a teacher may look around
ALGORITHM = "HS256"


class Visits:
    """Signs and reads them, with a key that is for nothing else. ``now``: s since 1970."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def learner(self, attempt: str, now: float) -> str:
        """For whoever sits an attempt."""
        return self._signed({"attempt": attempt}, now + SITTING_S)

    def teacher(self, place: Place, now: float) -> str:
        """For whoever teaches at a place."""
        return self._signed({"place": msgspec.to_builtins(place)}, now + VISIT_S)

    def check_learner(self, cookie: str, attempt: str) -> None:
        """Raises :class:`Refused` for a cookie of anything else."""
        if self._read(cookie).get("attempt") != attempt:
            raise Refused("open this from your course")

    def place(self, cookie: str) -> Place:
        """Where a teacher came from. Raises :class:`Refused`."""
        found = self._read(cookie).get("place")
        if found is None:
            raise Refused("open this from your course")
        return msgspec.convert(found, Place)

    def _signed(self, claims: dict[str, Any], until: float) -> str:
        return jwt.encode(claims | {"exp": int(until)}, self._key, ALGORITHM)

    def _read(self, cookie: str) -> dict[str, Any]:
        try:
            return dict(jwt.decode(cookie, self._key, [ALGORITHM], options={"require": ["exp"]}))
        except jwt.PyJWTError as error:
            raise Refused("open this from your course") from error
