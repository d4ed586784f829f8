"""What somebody who enrols has agreed to, checked, and kept as a row of consent."""

from __future__ import annotations

import time
from dataclasses import dataclass

from streamer.exams.consents import PURPOSE, text_hash
from streamer.exams.exam import ConsentRow
from streamer.server.caller import Caller
from streamer.server.context import Context
from streamer.server.exam_consents import consent_shown
from streamer.server.seats import Sitting
from streamer.store.profile import Profile
from streamer.wire.errors import WireError
from streamer.wire.requests import GivenConsent


@dataclass(frozen=True, slots=True)
class Agreement:
    """The wording, what it is for, and who says so."""

    version: str
    language: str
    text: str
    purpose: str
    signer: str
    sitting: Sitting | None = None
    clips: bool = False

    @classmethod
    def wanted(
        cls, context: Context, caller: Caller, sitting: Sitting | None, given: GivenConsent
    ) -> Agreement:
        """What somebody has to agree to who comes so. Blocks.

        Of what was ``given`` language and hash only choose among the server's own wordings.
        """
        config, signer = context.config, caller.grant.who
        if sitting is None:
            own = config.consent_text is not None
            language = config.consent_language if own else "en"
            return cls(config.consent.version, language, config.consent.text, PURPOSE, signer)
        consent = consent_shown(context, sitting, given)
        purpose = f"{PURPOSE}, in the exam {sitting.exam.name!r}"
        text, clips = consent.whole, consent.clips
        return cls(consent.version, consent.language, text, purpose, signer, sitting, clips)

    def check(self, given: GivenConsent) -> None:
        """Raise :class:`WireError` where it was another wording that somebody agreed to."""
        if given.text_version != self.version:
            message = f"the text of consent is version {self.version}: read that and agree to it"
            raise WireError("consent-missing", message)
        shown = given.text_sha256
        if shown is None and self.sitting is not None:
            message = "consent has to have text_sha256, of the text that `seat` told"
            raise WireError("consent-missing", message)
        if shown is not None and shown != text_hash(self.text):
            message = "the text of consent, or how long is kept, has changed: read it and agree"
            raise WireError("consent-missing", message)

    def keep(self, context: Context, profile: Profile, term_s: float | None) -> None:
        """Write it down, for somebody who was enrolled by it. Blocks."""
        candidate = self.sitting.candidate if self.sitting is not None else None
        row = ConsentRow(
            person=profile.reference,
            candidate=candidate.id if candidate is not None else "",
            text_sha256=text_hash(self.text),
            text_version=self.version,
            language=self.language,
            purpose=self.purpose,
            term_s=term_s,
            signer=self.signer,
            given_at=time.time(),
            clips=self.clips,
        )
        exams = context.seats.exams
        exams.consents.give(row, self.text)
        if candidate is not None and candidate.withdrawn_at is not None:
            exams.agreed_again(candidate)
