"""What a session has to tell when its turn comes, and that is no event yet."""

from __future__ import annotations

from dataclasses import dataclass

from engine.decisions.tracker_settings import TrackerSettings


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """The stream has been heard for ``t`` seconds, and ``position`` samples of them are speech."""

    t: float
    position: int
    settings: TrackerSettings


@dataclass(frozen=True, slots=True, eq=False)
class Lapse:
    """At ``t`` seconds the last decision ceases to hold, for ``reason``.

    ``position`` is the net speech so far, in samples.
    """

    t: float
    position: int
    reason: str
    settings: TrackerSettings


@dataclass(frozen=True, slots=True, eq=False)
class Reset:
    """At ``t`` seconds, after so much net speech in samples, the client forgets who spoke."""

    t: float
    position: int
    settings: TrackerSettings


@dataclass(frozen=True, slots=True, eq=False)
class Suspected:
    """At ``t`` seconds the sound seems to be other than declared, or no longer seems so."""

    t: float
    position: int
    settings: TrackerSettings


class Eof:
    """All the sound has been heard. The summary is told after everything that stands before it."""
