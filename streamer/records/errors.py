"""What the record raises."""

from __future__ import annotations

from engine.errors import VoxwatchError


class RecordError(VoxwatchError):
    """The record cannot do what was asked; the message says why and what to do.

    RecordError
      UnknownStream    there is no record of it, or not any more
      Held             it is kept from being deleted
    """


class UnknownStream(RecordError):
    """There is no record of that stream, or not any more."""


class Held(RecordError):
    """The record of that stream is kept from being deleted."""
