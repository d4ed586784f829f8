"""What the server says of a live stream, to its client and to monitors, and of who is enrolled."""

from __future__ import annotations

import time
from typing import Any

from engine.arrival.moments import rfc3339
from streamer.server.live_stream import LiveStream
from streamer.store.profile import Profile
from streamer.wire import messages


def ready(stream: LiveStream, *, resume_from: int | None) -> messages.Ready:
    """The first message on a connection; ``resume_from`` is the number with which it goes on."""
    return messages.Ready(
        seq=0 if resume_from is None else resume_from - 1,
        t=stream.session.received_s,
        at_time=rfc3339(time.time()),
        session=stream.secret,
        stream=stream.id,
        server=stream.context.server,
        first_s=stream.windows.first_s,
        operating_points=stream.context.operating_points,
        limits=stream.context.limits,
        received_bytes=stream.intake.received_bytes,
        resumed=resume_from is not None,
        **_settings(stream),
    )


def opened(stream: LiveStream) -> messages.Opened:
    """For monitors: a stream has begun."""
    t = stream.session.received_s
    return messages.Opened(t=t, label=stream.label, **_seat(stream), **_settings(stream))


def state(stream: LiveStream) -> messages.StreamState:
    """For monitors that come later: how the stream stands."""
    decision = stream.decision
    return messages.StreamState(
        stream=stream.id,
        label=stream.label,
        state=decision.state if decision else None,
        speaker=decision.speaker if decision else None,
        since=decision.since if decision else None,
        speaking=stream.speaking.since is not None,
        stalled=stream.stalled,
        speech_s=stream.speech_s,
        received_s=stream.session.received_s,
        opened_at=stream.opened_at,
        **_seat(stream),
        **_settings(stream),
    )


def _seat(stream: LiveStream) -> dict[str, Any]:
    """Whose stream it is, where it is a candidate's."""
    if stream.sitting is None:
        return {}
    candidate = stream.sitting.candidate
    return {
        "exam": candidate.exam,
        "candidate": candidate.id,
        "accommodations": candidate.accommodations,
        "link_expires_at": stream.sitting.expires_at,
    }


def _settings(stream: LiveStream) -> dict[str, Any]:
    """What a stream is told by, which all of these messages have."""
    return {
        "mode": stream.claim.mode,
        "claims": stream.claim.verified,
        "bounds": stream.bounds,
        "expected_rates": stream.expected_rates,
        "model": stream.context.model,
        "window_s": stream.windows.window_s,
        "hop_s": stream.windows.hop_s,
        "decide_s": stream.decisions.decide_s,
    }


def enrolled(profile: Profile, model: messages.Model) -> dict[str, Any]:
    """Who is enrolled, and never their voiceprint, to whoever may see it."""
    return {
        "name": profile.name,
        "created_at": profile.created_at,
        "expires_at": profile.expires_at,
        "prototypes": profile.prototypes,
        "net_speech_s": profile.net_speech_s,
        "usable": profile.model_sha256 == model.sha256,
        "consent": {
            "given_at": profile.consent.given_at,
            "text_version": profile.consent.text_version,
        },
    }
