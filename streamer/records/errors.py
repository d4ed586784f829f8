"""What the record raises."""

from __future__ import annotations

from engine.errors import VoxwatchError


class RecordError(VoxwatchError):
    """The record cannot do what was asked; the message says why and what to do.

    RecordError
      UnknownStream    there is no record of it, or not any more
      UnknownClip      no sound of that incident is kept, or not any more
      Held             it is kept from being deleted, by somebody or as it goes on
      BrokenChain      its entries were changed: nothing more is written to it
    """


class UnknownStream(RecordError):
    """There is no record of that stream, or not any more."""


class UnknownClip(RecordError):
    """No sound of that incident is kept, or not any more."""


class BrokenChain(RecordError):
    """The entries of ``stream`` are not what was written: nothing more is written to them."""

    def __init__(self, stream: str) -> None:
        super().__init__(
            f"the record of stream {stream} was changed from elsewhere and is not gone on with: see"
            " `voxwatch records verify`"
        )
        self.stream = stream


class Held(RecordError):
    """The record of that stream is kept from being deleted: somebody holds it, or it goes on."""
