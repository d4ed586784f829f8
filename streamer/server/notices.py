"""What a stream's client is told beside what the engine says, at media time ``t`` in seconds."""

from __future__ import annotations

from engine import events

LAST_TRY = "it ends with the next turn that is a mismatch (limits.attempts_per_hour)"


def ends_soon(t: float, why: str) -> events.Failure:
    """The stream will end, and why."""
    return events.Failure(t=t, code="stream-ends-soon", message=why)


def behind(t: float, behind_s: float) -> events.Lag:
    """So many seconds of live sound wait to be judged."""
    return events.Lag(t=t, reason="overload", behind_s=behind_s, hop_s=None, dropped=0)


def torn(t: float, count: int) -> events.Failure:
    """The last ``count`` bytes of a stream of Opus make no whole page."""
    told = f"the last {count} bytes are no whole page of Opus, and were not heard"
    return events.Failure(t=t, code="torn-end", message=told)


def not_recorded(t: float) -> events.Failure:
    """The record has a gap."""
    told = "what is decided here is not recorded just now: the record has a gap"
    return events.Failure(t=t, code="not-recorded", message=told)


def claim_ended(t: float) -> events.Failure:
    """A person of the claim was deleted."""
    told = "a voiceprint of the claim was deleted: the voice is not compared with it any more"
    return events.Failure(t=t, code="claim-ended", message=told)
