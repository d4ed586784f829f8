"""A candidate told by their name, and not by what their voiceprint is called."""

from __future__ import annotations

import msgspec

from streamer.reports.claims import Claim
from streamer.reports.report import Session


def known_as(session: Session, name: str) -> Session:
    """The session of a candidate; the voiceprint is theirs where it is the only one claimed.

    What it is called, which may be a number, stays where enrolments are told.
    """
    own = {claim.enrolments[0].name for claim in session.claims if len(claim.enrolments) == 1}

    def shown(speaker: str | None) -> str | None:
        return name if speaker in own else speaker

    replace = msgspec.structs.replace
    return replace(
        session,
        claims=tuple(_asked(claim, name) for claim in session.claims),
        segments=tuple(replace(one, speaker=shown(one.speaker)) for one in session.segments),
        turns=tuple(replace(one, speaker=shown(one.speaker)) for one in session.turns),
    )


def _asked(claim: Claim, name: str) -> Claim:
    if claim.mode != "verify" or len(claim.enrolments) != 1:
        return claim
    return msgspec.structs.replace(claim, question=f"Is it {name}?")
