"""What all that a client says has in common, in any module of the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec

MAX_NAME = 64  # characters of a speaker's name and of a stream's label
LanguageTag = Annotated[  # RFC 5646, like de or pt-BR
    str, msgspec.Meta(pattern="^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35)
]


class ClientMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what clients send: an unknown field is an error, never ignored."""
