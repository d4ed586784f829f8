"""From when on something that is told of a stream is an incident. Part of its record."""

from __future__ import annotations

from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class IncidentRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stream is held to. Seconds of speech are of net speech, the others of the clock."""

    # seconds of speech that have to stay another voice before a mismatch is an incident
    incident_s: Seconds = 5.0
    other_voice_s: Seconds = 1.0  # seconds of speech of others who speak in between
    overlap_s: Seconds = 2.0  # seconds in which two voices speak at once
    undecided_s: Seconds = 60.0  # seconds of speech without a decision
    speaking: bool = True  # whether somebody is expected to speak
    silent_s: Seconds = 120.0  # seconds without speech, where it is expected
    noisy_s: Seconds = 10.0  # seconds of speech in noise, or clipped
    dropped_s: Seconds = 2.0  # seconds without a connection
    notes_only: bool = False  # incidents are notes: they call nobody
