"""What the parts of a report have in common."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all parts of a report."""


class Span(Part, frozen=True, kw_only=True):
    """From when to when, by the sound and by the clock; ``until`` None: to the end."""

    since: float
    until: float | None
    since_at: datetime
    until_at: datetime | None
