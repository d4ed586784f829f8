"""Every failure that a user can cause or cure, as one tree.

    VoxwatchError
      AudioError      sound that cannot be used: unreadable, too short, silent, not finite
        WrongFormat   bytes that are not of the form that was declared
      BundleError     a model bundle that is missing, damaged, foreign or unwritable
      ProviderError   an execution provider that cannot run here, or failed while it ran
      EngineError     a stream that cannot go on: its detection failed, or the engine closed

Each room of ours adds its own below these: models/ has errors of training, evaluation,
calibration, conversion and download.

The message is one line that says what is wrong and what to do about it: the command
line prints it as it stands, without a traceback. Errors of the programmer (a wrong
shape, a wrong type) stay ``ValueError`` and ``TypeError``.
"""

from __future__ import annotations


class VoxwatchError(Exception):
    """Something the user can put right; ``str()`` of it is one clear line."""


class AudioError(VoxwatchError):
    """Sound that cannot be used as it is."""


class WrongFormat(AudioError):
    """Bytes that are not of the form that was declared; the message says what they are."""


class BundleError(VoxwatchError):
    """A model bundle that cannot be read, trusted or written."""


class ProviderError(VoxwatchError):
    """An execution provider that was asked for by name and cannot run here."""


class EngineError(VoxwatchError):
    """A stream that the engine cannot go on with."""

    @classmethod
    def by(cls, error: Exception) -> EngineError:
        """The end of a stream that ``error``, which may be any, has brought about."""
        failure = cls(str(error) or type(error).__name__)
        failure.__cause__ = error
        return failure
