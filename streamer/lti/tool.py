"""The tool itself: what each message of a platform does, and what it is answered. No HTTP.

It blocks, as the books do that it is given: call it in a thread. ``now`` is in seconds since 1970.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jwt

from streamer.exams.book import Exams
from streamer.exams.errors import ExamError
from streamer.exams.exam import Exam, Rules
from streamer.exams.guests import enter, exam_for
from streamer.lti.book import Attempt, LtiBook, LtiExam
from streamer.lti.errors import NotThere, Refused
from streamer.lti.http import PublicKeys
from streamer.lti.keys import OwnKeys
from streamer.lti.library import CLOCKS_S, log_in, verified
from streamer.lti.messages import Launch, Login, Place, launch_of, start_assessment
from streamer.lti.platform import Platform
from streamer.records.book import Book, StreamFacts
from streamer.records.entries import Told

SITTING_S = 12 * 3600.0  # that an attempt takes at most, and its candidate link holds
SETTLE_S = 15.0  # after its end, until all that was recorded of it can be read
ANSWER_S = 600.0  # that what begins an assessment holds
RENEW_S = 300  # after which it is made anew on a page that is still open


class Begin(NamedTuple):
    """What a learner's browser posts to their platform so that the assessment begins."""

    url: str
    token: str


class Sitting(NamedTuple):
    """How it stands with an attempt.

    ``address`` is that of the candidate's page, None where the exam is over for them; ``begin`` is
    there once the learner is heard.
    """

    attempt: Attempt
    name: str
    address: str | None = None
    begin: Begin | None = None


@dataclass(frozen=True)
class Tool:
    """``base`` is the address of this server, ``address`` makes a candidate's page out of a link's
    token, ``enrolled_at`` says since when there is a voiceprint of that name.
    """

    platforms: Sequence[Platform]
    book: LtiBook
    exams: Exams
    record: Book
    keys: OwnKeys
    public_keys: PublicKeys
    base: str
    address: Callable[[str], str]
    enrolled_at: Callable[[str], float | None]

    @property
    def launch_url(self) -> str:
        """Where launches come in, and nowhere else."""
        return f"{self.base}/lti/launch"

    def login(self, asked: Mapping[str, str], now: float) -> Login:
        """A platform wants somebody in. Raises :class:`Refused`."""
        login = log_in(self.platforms, asked, self.launch_url)
        self.book.expect(login, now)
        return login

    def launch(self, form: Mapping[str, str], cookie: str, now: float) -> Launch:
        """Somebody comes back from their platform. Raises :class:`Refused`, `PlatformError`."""
        if form.get("error"):
            raise Refused("the platform lets nobody in: log in there, and open this anew")
        issuer, client, nonce = self.book.take(form.get("state", ""), now)
        platform = self.platform(issuer, client)
        return launch_of(verified(platform, self.public_keys, form, nonce, cookie), platform)

    def platform(self, issuer: str, client: str) -> Platform:
        """One that is registered. Raises :class:`Refused`."""
        for one in self.platforms:
            if (one.issuer, one.client_id) == (issuer, client):
                return one
        raise Refused("this platform is not registered any more (lti)")

    # Learners.

    def sit(self, launch: Launch, now: float) -> Attempt:
        """A learner is about to begin: they get a line on the roster of one of our exams.

        Raises :class:`Refused` for an attempt that is over.
        """
        exam = self.book.save(launch)
        found = self.book.find(launch)
        if found is None:
            ours = self._exam_for(exam, now)
            made = Attempt(
                id=secrets.token_hex(16),
                lti_exam=exam.id,
                exam=ours.id,
                candidate=enter(self.exams, ours, learner_of(launch), launch.name).id,
                created_at=now,
                launch=launch,
                next_at=now + SITTING_S + SETTLE_S,
            )
            return self.book.add(made)
        over = found.ended_at is not None or now > found.created_at + SITTING_S
        if over or found.launch is None:  # done with: what is told now would never be deleted
            raise Refused("this attempt is over: begin another one in your course")
        self.book.change(found.id, launch=launch)
        return self.book.attempt(found.id)

    def sitting(self, id: str, now: float) -> Sitting:
        """What the learner has to do. Raises :class:`NotThere`."""
        attempt = self.book.attempt(id)
        name = self.book.exam(attempt.lti_exam).name
        over = attempt.ended_at is not None or now > attempt.created_at + SITTING_S
        if over or attempt.launch is None:
            return Sitting(attempt, name)
        try:
            candidate = self.exams.candidate(attempt.exam, attempt.candidate)
            link, _ = self.exams.link(candidate, expires_at=attempt.created_at + SITTING_S)
        except ExamError:  # somebody has ended the exam, or deleted the learner
            return Sitting(attempt, name)
        streams = self._streams(attempt)
        begin = None
        if any(one.ended_at is None for one in streams):
            if attempt.heard_at is None:
                self.book.change(id, heard_at=now)
            known = self._is_known(attempt, candidate.voiceprint, streams)
            begin = self._begin(attempt.launch, known, now)
        return Sitting(attempt, name, self.address(link), begin)

    def end(self, launch: Launch, now: float) -> None:
        """The platform says that an attempt is over: nobody is heard in it any more."""
        attempt = self.book.find(launch)
        if attempt is None or attempt.ended_at is not None:
            return
        self.book.change(attempt.id, ended_at=now, tries=0, next_at=now + SETTLE_S)
        with contextlib.suppress(ExamError):  # without the exam there is no link either
            self.exams.renew_link(self.exams.candidate(attempt.exam, attempt.candidate))

    def _begin(self, launch: Launch, known: bool, now: float) -> Begin:
        key, place = self.keys.signing(now), launch.place
        claims = start_assessment(launch, known) | {
            "iss": place.client,
            "aud": [place.issuer],
            "iat": int(now - CLOCKS_S),  # the platform's clock may be behind
            "exp": int(now + ANSWER_S),
            "nonce": secrets.token_urlsafe(24),
        }
        token = jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.id})
        return Begin(launch.start_url, token)

    def _is_known(self, attempt: Attempt, voiceprint: str, streams: list[StreamFacts]) -> bool:
        """Whether it is the voice that was enrolled for this learner before the attempt."""
        enrolled_at = self.enrolled_at(voiceprint)
        if enrolled_at is None or enrolled_at >= attempt.created_at:
            return False
        entries = (entry for one in streams for entry in self.record.history(one.stream))
        return any(
            isinstance(entry, Told) and getattr(entry.event, "state", None) == "match"
            for entry in entries
        )

    def _streams(self, attempt: Attempt) -> list[StreamFacts]:
        """Those of the learner that have begun since the attempt."""
        found = self.record.streams(exam=attempt.exam, person=attempt.candidate)
        return [one for one in found if one.started_at >= attempt.created_at]

    def _exam_for(self, exam: LtiExam, now: float) -> Exam:
        """The exam of ours that is on, and goes on for long enough; else a new one."""
        rules, until = Rules(speaking=exam.speaking), now + SITTING_S
        found = exam_for(self.exams, exam.exam, exam.name, rules, until=until, now=now)
        if found.id != exam.exam:
            self.book.sit_in(exam.id, found.id)
        return found

    # Teachers.

    def seen_attempt(self, place: Place, exam: str, id: str) -> Attempt:
        """An attempt, if whoever came from ``place`` may see it. Raises :class:`NotThere`."""
        attempt = self.book.attempt(id)
        if attempt.lti_exam != self.seen(place, exam).id:
            raise NotThere("there is no such attempt")
        return attempt

    def seen(self, place: Place, id: str) -> LtiExam:
        """An exam, if whoever came from ``place`` may see it. Raises :class:`NotThere`."""
        for one in self.book.seen_from(place):
            if one.id == id:
                return one
        raise NotThere("there is no such exam")

    def name(self, attempt: Attempt) -> str:
        """How the learner is called."""
        try:
            return self.exams.candidate(attempt.exam, attempt.candidate).shown
        except ExamError:
            return f"(deleted {attempt.candidate[:8]})"


def learner_of(launch: Launch) -> str:
    """What a learner is known by here, in all exams of their platform."""
    text = f"{launch.place.issuer}\n{launch.user}"
    return "lti-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
