"""Names and references: whoever is spoken of in a record is told by a random number.

A person's number goes with the person, so that a record of somebody who was deleted names nobody,
and its chain still verifies: nothing in it was changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

# 16 random bytes in hexadecimal, but for a line of a roster.
STORED = re.compile(rb'(?<!"candidate":")\b[0-9a-f]{32}\b')
VOICE = re.compile(r"voice-\d+")  # a session's label of a voice that it has no name for
SOMEBODY = "somebody"  # stands for a name that has no reference: never the name itself
NAMED = ("speaker", "runner_up", "from_speaker", "to_speaker")  # fields that hold one name
TEXTS = ("reason", "advice")  # fields in which names may stand among other words

T = TypeVar("T", bound=msgspec.Struct)


class References:
    """The references of those that a stream may speak of, by name."""

    def __init__(self, by_name: Mapping[str, str]) -> None:
        self._by_name = dict(by_name)
        longest_first = sorted(map(re.escape, by_name), key=len, reverse=True)
        # Between letters a name is no name: "Al" in "Also".
        pattern = rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)" if by_name else r"(?!)"
        self._pattern = re.compile(pattern)

    def of(self, name: str) -> str:
        """The reference of a name; a session's label of a voice stays as it is."""
        if (found := self._by_name.get(name)) is not None:
            return found
        return name if VOICE.fullmatch(name) else SOMEBODY

    def without_names(self, event: T) -> T:
        """An event in which references stand where names stood."""
        told: dict[str, Any] = {}
        for field in NAMED:
            if name := getattr(event, field, None):
                told[field] = self.of(name)
        for field in TEXTS:
            if text := getattr(event, field, ""):
                told[field] = self._pattern.sub(lambda m: self._by_name[m[0]], text)
        return msgspec.structs.replace(event, **told) if told else event


def deleted(reference: str) -> str:
    """How somebody is told of who is not there any more, as in the store's audit log."""
    return f"(deleted {reference[:8]})"


def named(body: bytes, names: Mapping[str, str]) -> bytes:
    """A stored entry, which is JSON, with names in place of references.

    The line of a roster stays a reference: whoever reads may ask the roster for more than a name.
    """

    def name(found: re.Match[bytes]) -> bytes:
        reference = found[0].decode()
        return msgspec.json.encode(names.get(reference, deleted(reference)))[1:-1]

    return STORED.sub(name, body)
