"""The text that a person agrees to before a voiceprint is made of them."""

from __future__ import annotations

from typing import NamedTuple

TEXT_VERSION = "2026-11"

TEXT = """\
What is stored: a voiceprint. It is a list of numbers worked out from your voice, kept \
encrypted under the name you enrol with, with the time of your consent. The sound itself is \
not stored.
Why: so that the people who run this service can check, while somebody speaks, whether the \
voice is yours. A voiceprint can identify you. It is used for nothing else.
How long: {kept}
How to delete it: at any time, with Delete on the dashboard or with \
`voxwatch profiles delete NAME`, or by asking the people who run this service. It is then \
erased and cannot be brought back.
You can say no. Do not enrol anybody else's voice without their consent."""


class ConsentText(NamedTuple):
    """What is shown, and the version of it that is recorded with each consent."""

    version: str
    text: str


def default_text(ttl_days: float | None) -> ConsentText:
    """The text that ships, for voiceprints kept at most ``ttl_days`` days (None: no limit)."""
    if ttl_days is None:
        kept = "until it is deleted, or until the end of the time chosen when you enrol."
    else:
        unit = "day" if ttl_days == 1 else "days"
        kept = f"at most {ttl_days:g} {unit}. Then it is erased by itself."
    return ConsentText(TEXT_VERSION, TEXT.format(kept=kept))
