"""The back end itself: what each request of Open edX does, and what it is answered. No HTTP.

It blocks, as the books do that it is given: call it in a thread. ``now`` is in seconds since 1970.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamer.edx.book import Attempt, EdxBook, EdxExam
from streamer.edx.client import Visit
from streamer.edx.errors import BadRequest, NotThere
from streamer.edx.payloads import NEXT, AttemptCreated, ExamSaved, StatusChanged, parsed
from streamer.exams.book import LONGEST_S, Exams
from streamer.exams.errors import ExamError
from streamer.exams.exam import Exam, Rules
from streamer.exams.guests import enter, exam_for

NAME = "voxwatch"
SETUP_S = 1800.0  # that setting up may take before an exam's own time begins
LINK_S = 3600.0  # that a candidate's link holds beyond the time of the exam
SPEAKING = "expect_speech"
RULES = {
    SPEAKING: "Learners speak all the time: long silence is noted",
}


@dataclass(frozen=True)
class Backend:
    """``address`` makes a candidate's page out of a link's token.

    ``enrolled`` says whether there is a voiceprint of that name. With ``onboarding`` a learner
    without one is sent to a practice exam first.
    """

    book: EdxBook
    exams: Exams
    address: Callable[[str], str]
    enrolled: Callable[[str], bool]
    client: str
    onboarding: bool = False

    def config(self) -> dict[str, Any]:
        """What can be chosen for an exam."""
        return {"name": NAME, "rules": RULES, "instructions": list(_instructions("", ""))[1:]}

    # Exams.

    def save_exam(self, body: bytes, id: str | None) -> dict[str, Any]:
        """An exam was made in Open edX, or changed there.

        One that is not known any more is new, and Open edX takes over its new id.
        """
        told: ExamSaved = parsed(body, ExamSaved)
        try:
            saved = self.book.save(told, id)
        except NotThere:
            saved = self.book.save(told, None)
        return {"id": saved.id} | self._rules(saved)

    def exam(self, id: str) -> dict[str, Any]:
        """What is known of one."""
        found = self.book.exam(id)
        return {"id": found.id, "name": found.name, "is_active": found.active} | self._rules(found)

    def _rules(self, exam: EdxExam) -> dict[str, Any]:
        return {"rules": {rule: exam.rules.get(rule, False) for rule in RULES}}

    # Attempts.

    def create_attempt(self, body: bytes, exam: str, now: float) -> dict[str, Any]:
        """A learner is about to sit an exam: they get a line on the roster of one of ours."""
        created: AttemptCreated = parsed(body, AttemptCreated)
        found = self.book.exam(exam)
        learner = learner_of(self.client, created.user_id)
        practice = found.practice or created.is_sample_attempt
        if self.onboarding and not practice and not self.enrolled(learner):
            return {"status": "onboarding_missing"}
        minutes = created.time_limit_mins
        limit_s = found.limit_s if minutes is None else minutes * 60.0
        if not 0 <= limit_s < LONGEST_S - SETUP_S:
            raise BadRequest("time_limit_mins is longer than an exam may take")
        ours = self._exam_for(found, limit_s, now)
        attempt = Attempt(
            id=secrets.token_hex(8),
            edx_exam=found.id,
            exam=ours.id,
            candidate=enter(self.exams, ours, learner, created.shown).id,
            limit_s=limit_s,
            status="created",
            created_at=now,
            next_at=now,
        )
        self.book.add(attempt)
        return {"id": attempt.id, "status": attempt.status}

    def attempt(self, exam: str, id: str, now: float) -> dict[str, Any]:
        """How it stands, and what the learner has to do."""
        attempt = self.book.attempt(exam, id)
        told: dict[str, Any] = {"id": attempt.id, "status": attempt.status, "instructions": []}
        if attempt.status not in ("created", "started"):
            return told
        candidate = self.exams.candidate(attempt.exam, attempt.candidate)
        until = now + attempt.limit_s + SETUP_S + LINK_S
        try:
            address = self.address(self.exams.link(candidate, expires_at=until)[0])
        except ExamError:  # somebody has ended the exam, or deleted the learner
            return told | {"instructions": ["The exam is over for you: ask your course team."]}
        instructions = _instructions(address, self.book.exam(exam).name)
        return told | {"instructions": instructions, "download_url": address}

    def change_attempt(self, body: bytes, exam: str, id: str, now: float) -> dict[str, Any]:
        """It was started, or submitted, or something went wrong in Open edX."""
        status = parsed(body, StatusChanged).status
        attempt = self.book.attempt(exam, id)
        if status not in NEXT[attempt.status]:
            raise BadRequest(f"an attempt that is {attempt.status} cannot be {status}")
        if status != attempt.status:
            times = {"started_at": now} if status == "started" else {"ended_at": now}
            self.book.change(attempt, status=status, next_at=now, **times)
        return {"id": attempt.id, "status": status}

    def delete_attempt(self, exam: str, id: str) -> dict[str, Any]:
        """It does not count any more; the learner's link holds no more, and the record stays."""
        attempt = self.book.attempt(exam, id)
        with contextlib.suppress(ExamError):  # without the exam there is no link either
            self.exams.renew_link(self.exams.candidate(attempt.exam, attempt.candidate))
        self.book.delete(id)
        return {"status": "deleted"}

    # For course teams.

    def seen(self, visit: Visit, id: str, attempt: str | None = None) -> EdxExam:
        """An exam, if a visit is for it, and for that attempt or all. Raises :class:`NotThere`."""
        found = self.book.exam(id)
        if found.course != visit.course or visit.exam not in (None, id):
            raise NotThere("there is no such exam")
        if visit.attempt not in (None, attempt):
            raise NotThere("there is no such attempt")
        return found

    def name(self, attempt: Attempt) -> str:
        """How the learner is called."""
        try:
            return self.exams.candidate(attempt.exam, attempt.candidate).shown
        except ExamError:
            return f"(deleted {attempt.candidate[:8]})"

    def _exam_for(self, edx: EdxExam, limit_s: float, now: float) -> Exam:
        """The exam of ours that is on, and goes on for long enough; else a new one."""
        found = exam_for(
            self.exams,
            edx.exam,
            edx.name,
            Rules(speaking=edx.rules.get(SPEAKING, False)),
            until=now + limit_s + SETUP_S,
            now=now,
            due_at=edx.due_at,
        )
        if found.id != edx.exam:
            self.book.sit_in(edx.id, found.id)
        return found


def learner_of(client: str, user: str) -> str:
    """What a learner is known by here, in all exams of a client.

    It says nothing of them, and nobody who is enrolled otherwise is called so by chance.
    """
    if not user.strip():
        raise NotThere("there is no such user")
    text = f"{client}\n{user}"
    return "openedx-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _instructions(address: str, exam: str) -> list[str]:
    """What a learner does, in HTML: Open edX shows it as it is."""
    link = f'<a href="{html.escape(address)}" target="_blank" rel="noopener">this page</a>'
    return [
        f"Open {link}. It is yours alone, and for {html.escape(exam) or 'this exam'} only.",
        "Read what you are asked to agree to. If your voice is not known yet, speak for half a"
        " minute.",
        "Keep that page open until you have submitted the exam. It hears that you are speaking.",
        "When the page says that you are heard, come back here and start the exam.",
    ]
