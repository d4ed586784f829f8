"""Voiceprints that nobody needs: matches are noted, and who is not matched for long is deleted."""

from __future__ import annotations

from collections.abc import Collection

from streamer.exams.consents import Consents
from streamer.store.store import Store

DISUSE = "disuse"  # who deletes them, in the audit log


def note_uses(store: Store, consents: Consents, names: Collection[str], now: float) -> None:
    """People of these names were matched. ``now`` is in seconds since 1970, here and below."""
    people = [one.reference for one in store.profiles(now) if one.name in names]
    consents.used([bytes.fromhex(reference) for reference in people], now)


def delete_unused(store: Store, consents: Consents, unused_s: float, now: float) -> list[str]:
    """Delete whoever was neither enrolled nor matched for so long; their names.

    Nobody counts as unused for a time in which uses were not noted yet.
    """
    noted_since, last_used = consents.noted_since(now), consents.last_used()
    gone = []
    for profile in store.profiles(now):
        used_at = last_used.get(bytes.fromhex(profile.reference), 0.0)
        last = max(noted_since, profile.created_at, profile.consent.given_at, used_at)
        if now - last > unused_s:
            store.delete(profile.name, who=DISUSE)
            gone.append(profile.name)
    return gone
