"""The rows behind the store: what is written and read of profiles and prototypes.

No locks and no transactions: `streamer.store.store` has them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np

from engine.scoring.voiceprints import Prototype, Voiceprint
from streamer.store.errors import NameTaken, OtherModel, StoreError, UnknownSpeaker
from streamer.store.profile import NAME_LENGTH, Consent, Profile
from streamer.store.seal import BrokenSeal, Seal

ALIVE = "(expires_at IS NULL OR expires_at > :now)"
PROFILES = f"""
SELECT p.name, p.created_at, p.expires_at, count(*) AS prototypes, sum(t.speech_s) AS speech_s,
       p.model_sha256, p.model_name, t.consent_version, max(t.consent_at) AS consent_at
FROM profiles p JOIN prototypes t ON t.profile = p.id
WHERE {ALIVE} AND (:name IS NULL OR p.name = :name)
GROUP BY p.id ORDER BY p.name
"""  # with max(), SQLite takes consent_version from the row that has the maximum
PROTOTYPES = f"""
SELECT p.id AS profile, p.name, p.model_sha256, p.model_name, t.*
FROM profiles p JOIN prototypes t ON t.profile = p.id
WHERE {ALIVE} AND (:name IS NULL OR p.name = :name)
ORDER BY p.name, t.number
"""


class Tables:
    """Profiles and sealed prototypes in a prepared database."""

    def __init__(self, database: sqlite3.Connection, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def version(self) -> int:
        """How often the content was changed."""
        row = self._database.execute("SELECT value FROM about WHERE name = 'version'").fetchone()
        return int(row[0])

    def count_up(self) -> None:
        """Note a change of content."""
        self._database.execute("UPDATE about SET value = value + 1 WHERE name = 'version'")

    def delete(self, name: str) -> bool:
        """Delete a profile; whether there was one."""
        return bool(self._database.execute("DELETE FROM profiles WHERE name = ?", (name,)).rowcount)

    def delete_expired(self, now: float) -> int:
        """Delete the profiles whose time has run out; how many they were."""
        return self._database.execute("DELETE FROM profiles WHERE expires_at <= ?", (now,)).rowcount

    def create(
        self, name: str, now: float, ends: float | None, model_name: str, model_sha256: str
    ) -> int:
        """Add a profile and give its number."""
        taken = self._database.execute("SELECT 1 FROM profiles WHERE name = ?", (name,))
        if taken.fetchone():
            raise NameTaken(
                f"{name!r} is enrolled already: choose another name, delete that profile first, or"
                " add to it"
            )
        row = self._database.execute(
            "INSERT INTO profiles (name, created_at, expires_at, model_name, model_sha256)"
            " VALUES (?, ?, ?, ?, ?) RETURNING id",
            (name, now, ends, model_name, model_sha256),
        )
        return int(row.fetchone()["id"])

    def extend(self, name: str, model_sha256: str, ends: float | None) -> int:
        """Give the number of the profile that more prototypes are added to."""
        found = self._database.execute("SELECT * FROM profiles WHERE name = ?", (name,))
        row = found.fetchone()
        if row is None:
            raise unknown(name)
        check_model(row, model_sha256)
        if ends is not None:
            self._database.execute(
                "UPDATE profiles SET expires_at = ? WHERE id = ?", (ends, row["id"])
            )
        return int(row["id"])

    def insert(
        self,
        profile: int,
        name: str,
        prototypes: Sequence[Prototype],
        model_sha256: str,
        consent: Consent,
        now: float,
    ) -> None:
        """Add prototypes after those that the profile has."""
        row = self._database.execute(
            "SELECT coalesce(max(number), 0) FROM prototypes WHERE profile = ?", (profile,)
        )
        for number, prototype in enumerate(prototypes, row.fetchone()[0] + 1):
            speech_s = float(prototype.speech_s)
            data = prototype.embedding.astype("<f4").tobytes()
            sealed = self._seal.close(data, profile, number, name, model_sha256, speech_s)
            self._database.execute(
                "INSERT INTO prototypes VALUES (?, ?, ?, ?, ?, ?, ?)",
                (profile, number, speech_s, now, consent.text_version, consent.given_at, sealed),
            )

    def profiles(self, name: str | None, now: float) -> list[Profile]:
        """Everybody of that name, or everybody, whose time has not run out."""
        rows = self._database.execute(PROFILES, {"now": now, "name": name})
        return [_profile(row) for row in rows]

    def rows(self, name: str | None, now: float) -> list[sqlite3.Row]:
        """Their prototypes, still sealed."""
        return self._database.execute(PROTOTYPES, {"now": now, "name": name}).fetchall()

    def voiceprints(self, rows: Sequence[sqlite3.Row]) -> dict[str, Voiceprint]:
        """Voiceprints by name from :meth:`rows`."""
        found: dict[str, list[Prototype]] = {}
        for row in rows:
            found.setdefault(row["name"], []).append(self._prototype(row))
        return {name: Voiceprint(name, tuple(prototypes)) for name, prototypes in found.items()}

    def _prototype(self, row: sqlite3.Row) -> Prototype:
        keys = ("profile", "number", "name", "model_sha256", "speech_s")
        try:
            data = self._seal.open(row["sealed"], *(row[key] for key in keys))
        except BrokenSeal as error:
            raise StoreError(
                f"the voiceprint of {row['name']!r} was damaged or changed on the disk: delete it"
                " and enrol again"
            ) from error
        return Prototype(np.frombuffer(data, "<f4").astype(np.float32), row["speech_s"])


def unknown(name: str) -> UnknownSpeaker:
    """The error for a name that is not enrolled."""
    return UnknownSpeaker(f"{name[:NAME_LENGTH]!r} is not enrolled: check the name, or enrol first")


def check_model(row: sqlite3.Row, model_sha256: str) -> None:
    """Raise :class:`OtherModel` when the row's profile was made with another one."""
    if row["model_sha256"] != model_sha256:
        raise OtherModel(
            f"{row['name']!r} was enrolled with another model ({row['model_name']}): delete the"
            " profile and enrol again, or use that model"
        )


def _profile(row: sqlite3.Row) -> Profile:
    return Profile(
        row["name"],
        row["created_at"],
        row["expires_at"],
        row["prototypes"],
        row["speech_s"],
        row["model_sha256"],
        row["model_name"],
        Consent(row["consent_version"], row["consent_at"]),
    )
