"""What a server tells, read as the records that it is made of."""

from __future__ import annotations

import msgspec

from streamer.wire.messages import EnrollMessage, StreamMessage


def decode(text: str | bytes) -> StreamMessage:
    """What is told on a stream's connection. Raises ``msgspec.ValidationError``."""
    return msgspec.json.decode(text, type=StreamMessage)


def decode_enrolment(text: str | bytes) -> EnrollMessage:
    """The same of an enrolment."""
    return msgspec.json.decode(text, type=EnrollMessage)
