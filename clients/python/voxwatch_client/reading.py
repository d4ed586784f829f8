"""Text from a server made into records; what a newer server says besides is passed on."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from voxwatch_client import messages
from voxwatch_client.errors import ServerError

COMMON = ("seq", "t", "at_time", "stream")  # fields that a message of any kind may have
LONGEST_COMPLAINT = 200  # characters of a parser's complaint that are passed on


class _Head(msgspec.Struct):
    type: str


class Reader:
    """Reads the messages of one kind of connection: the records of ``union``, by their type."""

    def __init__(self, union: Any) -> None:
        kinds = [kind for kind in get_args(union) if kind is not messages.Unknown]
        self._readers: dict[str, msgspec.json.Decoder[Any]] = {
            kind.__struct_config__.tag: msgspec.json.Decoder(kind) for kind in kinds
        }

    def __call__(self, text: str | bytes) -> Any:
        """A record, or :class:`~voxwatch_client.messages.Unknown`. Raises :class:`ServerError`."""
        try:
            kind = _HEAD.decode(text).type
            if reader := self._readers.get(kind):
                return reader.decode(text)
            return _unknown(kind, msgspec.json.decode(text))
        except (ValueError, RecursionError) as error:
            told = str(error)[:LONGEST_COMPLAINT]
            raise ServerError(
                "bad-message", f"the server's message cannot be read: {told}"
            ) from error


def _unknown(kind: str, fields: dict[str, Any]) -> messages.Unknown:
    common = {name: fields[name] for name in COMMON if name in fields}
    shown = {"type": "unknown", "kind": kind, "fields": fields, "t": 0.0, **common}
    return msgspec.convert(shown, messages.Unknown)


def is_last(message: messages.Event) -> bool:
    """Whether the connection closes after this message because of an error."""
    return isinstance(message, messages.Failure) and message.code in messages.LAST


_HEAD = msgspec.json.Decoder(_Head)
stream = Reader(messages.StreamMessage)
enrolment = Reader(messages.EnrollMessage)
monitor = Reader(messages.MonitorMessage)
