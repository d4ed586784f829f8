"""What the store raises."""

from __future__ import annotations

from engine.errors import VoxwatchError


class StoreError(VoxwatchError):
    """The store of voiceprints cannot do what was asked; the message says why and what to do.

    StoreError
      BadName          a name that nobody can be enrolled under
      NameTaken        somebody is enrolled under it
      UnknownSpeaker   nobody is
      OtherModel       the voiceprint was made with another model
      WrongKey         the store was made with another key
      Inconsistent     database and keys do not belong together, or one of them has gaps

    A message may hold a person's name: it is for whoever asked, not for a log.
    """


class BadName(StoreError):
    """A name that nobody can be enrolled under."""


class NameTaken(StoreError):
    """Somebody is enrolled under that name."""


class UnknownSpeaker(StoreError):
    """Nobody is enrolled under that name."""


class OtherModel(StoreError):
    """A voiceprint made with another model, whose embeddings mean something else."""


class WrongKey(StoreError):
    """A key that the store, or the backup, was not made with."""


class Inconsistent(StoreError):
    """The database and the file of person keys do not tell the same people.

    Nothing is taken for deleted by it: both are left as they are.
    """
