"""What can go wrong between a client and its server.

ClientError
  ConnectionFailed   nobody answers, or the connection was lost for good
  ServerError        the server said no; ``code`` is one of wire version 1
"""

from __future__ import annotations

import os


class ClientError(Exception):
    """Base of what this package raises; the message says what to do."""


class ConnectionFailed(ClientError):
    """No connection; ``transient`` where trying again may help."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class ServerError(ClientError):
    """The server refused or ended the stream, and why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code, self.message = code, message


def reason(error: OSError) -> str:
    """Why, in the system's words: asyncio's own hold an address, and differ by Python's version."""
    if error.errno is not None and error.errno > 0:  # failed look-ups of names have others
        return os.strerror(error.errno)
    return error.strerror or str(error)
