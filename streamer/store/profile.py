"""What the store says of an enrolled person, and what they may be called."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from streamer.store.errors import BadName

NAME_LENGTH = 64  # characters


@dataclass(frozen=True, slots=True)
class Consent:
    """When a person agreed (seconds since 1970) and to which version of the text."""

    text_version: str
    given_at: float


@dataclass(frozen=True, slots=True)
class Profile:
    """An enrolled person, without the voiceprint. Times in seconds since 1970.

    ``prototypes`` counts the enrolments, ``net_speech_s`` the speech behind all of them;
    ``consent`` is the newest, given with the newest enrolment. ``reference`` is the person's random
    number in hexadecimal, which stands for them in records and goes with them.
    """

    name: str
    created_at: float
    expires_at: float | None
    prototypes: int
    net_speech_s: float
    model_sha256: str
    model_name: str
    consent: Consent
    reference: str = field(default="", compare=False)


def clean_name(text: str) -> str:
    """``text`` as the name of somebody enrolled: stripped, NFC. Capitals matter.

    1 to 64 printable characters without commas, which separate names in a claim. Raises
    :class:`BadName`.
    """
    name = clean_shown(text)
    if "," in name:
        raise BadName(f"{name!r} cannot be a name: commas separate names in a claim")
    return name


def clean_shown(text: str) -> str:
    """``text`` as a name that is only shown: stripped, NFC. Raises :class:`BadName`."""
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise BadName(f"a name has 1 to {NAME_LENGTH} characters")
    if len(name) > NAME_LENGTH:
        begins = f"{name[:NAME_LENGTH]!r}..."
        raise BadName(
            f"{begins} cannot be a name: it has {len(name)} characters, {NAME_LENGTH} are the most"
        )
    if not name.isprintable():
        raise BadName(f"{name!r} cannot be a name: it has characters that cannot be printed")
    return name
