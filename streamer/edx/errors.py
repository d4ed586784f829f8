"""What the back end for Open edX raises."""

from __future__ import annotations

from engine.errors import VoxwatchError


class EdxError(VoxwatchError):
    """A request of Open edX cannot be answered; the message says why, and names nobody.

    EdxError
      Unauthorised    no client of ours, or a token that does not hold
      NotThere        no such exam or attempt
      BadRequest      what came is not what the API says
    """


class Unauthorised(EdxError):
    """No client of ours asks, or by a token that is wrong, was changed or has expired."""


class NotThere(EdxError):
    """There is no such exam or attempt."""


class BadRequest(EdxError):
    """A body that is not what the API says, or a status that cannot follow."""
