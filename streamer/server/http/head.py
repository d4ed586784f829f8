"""Whether a connection begins as a WebSocket: all else is plain HTTP. Sans-IO."""

from __future__ import annotations

import re

GET = b"GET "
MOST_BYTES = 1 << 14  # of a request without its body
END = re.compile(rb"\n\r?\n")
UPGRADE = re.compile(rb"^upgrade[ \t]*:.*websocket", re.IGNORECASE | re.MULTILINE)


def is_websocket(came: bytes) -> bool | None:
    """Whether what has come so far asks for a WebSocket. None: that is not known yet."""
    if came[: len(GET)] != GET[: len(came)]:
        return False
    if (end := END.search(came)) is not None:
        return UPGRADE.search(came, 0, end.end()) is not None
    return False if len(came) > MOST_BYTES else None
