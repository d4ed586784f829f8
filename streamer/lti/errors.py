"""What the tool for LTI raises."""

from __future__ import annotations

from engine.errors import VoxwatchError


class LtiError(VoxwatchError):
    """Something of LTI cannot be done; the message says why, and names nobody.

    LtiError
      Refused      a login, a launch or a visit that is not as it has to be
      NotThere     no such exam or attempt
      PlatformError   the platform could not be reached, or refused
    """


class Refused(LtiError):
    """Somebody comes by a login, a launch or a cookie that does not hold."""


class NotThere(LtiError):
    """There is no such exam or attempt."""


class PlatformError(LtiError):
    """The platform could not be reached, or refused. ``final``: trying again is of no use."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final
