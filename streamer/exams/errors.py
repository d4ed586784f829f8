"""What the exams raise."""

from __future__ import annotations

from engine.errors import VoxwatchError


class ExamError(VoxwatchError):
    """An exam, a roster or a link cannot be what was asked; the message says why and what to do.

    ExamError
      UnknownExam        there is no exam of that id
      UnknownCandidate   nobody on the roster is called so
      BadRoster          a line of a roster cannot be used; the message names the line
      BadLink            a candidate link that holds no more, or never did

    A message may hold a person's name: it is for whoever asked, not for a log.
    """


class UnknownExam(ExamError):
    """There is no exam of that id."""


class UnknownCandidate(ExamError):
    """Nobody on the exam's roster is called so."""


class BadRoster(ExamError):
    """A roster that cannot be read, or a line of it."""


class BadLink(ExamError):
    """A candidate link that has expired, was replaced, or is none."""
