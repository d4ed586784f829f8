"""What Open edX sends and is answered. What is not needed is not kept: no e-mail address."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from streamer.edx.errors import BadRequest

Status = Literal["created", "started", "submitted", "error"]
# Open edX may say a status twice, when it did not hear the answer.
NEXT: dict[Status, frozenset[Status]] = {
    "created": frozenset(("created", "started", "submitted", "error")),
    "started": frozenset(("started", "submitted", "error")),
    "submitted": frozenset(("submitted", "error")),
    "error": frozenset(("error",)),
}
ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


class ExamSaved(msgspec.Struct, frozen=True, kw_only=True):
    """An exam as Open edX knows it; ``id`` is its number there. Unknown fields are ignored."""

    id: int
    course_id: str
    exam_name: str = ""
    name: str = ""  # as the documentation of `edx-proctoring` calls it
    time_limit_mins: float = 0
    due_date: str | None = None
    is_practice_exam: bool = False
    is_proctored: bool = True
    is_active: bool = True
    rules: dict[str, bool] = msgspec.field(default_factory=dict)

    @property
    def title(self) -> str:
        """How people call it."""
        return self.exam_name or self.name or f"Exam {self.id}"

    @property
    def due_at(self) -> float | None:
        """When it has to be done, in seconds since 1970. Raises :class:`BadRequest`."""
        if self.due_date is None:
            return None
        try:
            due = datetime.fromisoformat(self.due_date)
        except ValueError as error:
            raise BadRequest("due_date is no time of ISO 8601") from error
        return (due if ZONE.search(self.due_date) else due.replace(tzinfo=UTC)).timestamp()


class AttemptCreated(msgspec.Struct, frozen=True, kw_only=True):
    """A learner is about to sit an exam. ``user_id`` is a hash that Open edX makes of theirs."""

    user_id: str
    full_name: str | None = None
    user_name: str | None = None  # as the documentation calls it
    time_limit_mins: float | None = None
    is_sample_attempt: bool = False

    @property
    def shown(self) -> str:
        """How people call them."""
        return self.full_name or self.user_name or ""


class StatusChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The learner has begun, has finished, or something went wrong there."""

    status: Status


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a review, in seconds from where the learner was first heard."""

    comment: str
    status: Literal["suspicious", "unknown"]
    start: int
    stop: int
    duration: int


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What Open edX is told of an attempt. Whether it is a violation people decide there."""

    status: Literal["passed", "suspicious", "not_reviewed"]
    comments: tuple[Comment, ...] = ()


def parsed(body: bytes, kind: Any) -> Any:
    """A body as one of the records above. Raises :class:`BadRequest`, which repeats no value."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)[:200]) from error
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is no JSON") from error
