"""What ends a candidate's stream from without: exam, link, or consent that is taken back."""

from __future__ import annotations

import dataclasses

from engine import events
from streamer.server.live_stream import LiveStream
from streamer.server.seats import Seats, Sitting
from streamer.wire.errors import WireError

WARNED_S = 60.0  # before a link expires


async def follow_seat(stream: LiveStream, seats: Seats, now: float) -> None:
    """Look at how it stands with the candidate at ``now`` (seconds since 1970)."""
    assert stream.sitting is not None
    sitting = seats.now(stream.sitting.candidate.id)
    if sitting is None or sitting.candidate.forgotten:
        stream.fail(WireError("unauthorised", "the candidate was taken off the roster"))
    elif sitting.candidate.withdrawn_at is not None:
        stream.fail(WireError("consent-withdrawn", "the consent was taken back: nothing is heard"))
    elif sitting.candidate.link != stream.sitting.candidate.link:
        stream.fail(WireError("unauthorised", "the link was replaced by another one"))
    elif sitting.exam.ended_at is not None:
        _tell(stream, "exam-ended", "the exam was ended: thank you")
        await stream.intake.cut(None)
    else:
        _follow_clips(stream, sitting)
        await _follow_link(stream, sitting.exam.ends_at, now)


def _follow_clips(stream: LiveStream, sitting: Sitting) -> None:
    """Hold sound, or let go of it, once they say something else of it than before."""
    assert stream.sitting is not None
    if stream.sitting.clips != sitting.clips:
        stream.sitting = dataclasses.replace(stream.sitting, clips=sitting.clips)
        stream.record.ask_about_clips()


async def _follow_link(stream: LiveStream, ends_at: float, now: float) -> None:
    assert stream.sitting is not None
    if (until := stream.sitting.expires_at) is None:
        return
    if now >= until:
        if until < ends_at:  # It may go on for the candidate, who then needs another link.
            _tell(stream, "link-expired", "the link has expired: get another if your exam goes on")
        else:
            _tell(stream, "exam-ended", "the link has expired")
        await stream.intake.cut(None)
    elif now >= until - WARNED_S and not stream.warned:
        stream.warned = True
        _tell(stream, "stream-ends-soon", f"the link expires in {until - now:.0f} s")


def _tell(stream: LiveStream, code: str, message: str) -> None:
    stream.tell(events.Failure(t=stream.session.received_s, code=code, message=message))
