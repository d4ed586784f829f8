"""Authenticated encryption of what the store keeps of a voice (AES-256-GCM, NIST SP 800-38D)."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32  # AES-256
NONCE_BYTES = 12  # random: one key may seal 2**32 times before nonces are likely to meet


class BrokenSeal(Exception):
    """Sealed with another key, for another place, or changed since."""


class Seal:
    """Seals data to one key, one store (or file) and one place. ``ValueError`` for a short key."""

    def __init__(self, key: bytes, store_id: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        self._store_id = store_id

    def close(self, data: bytes, *place: Any) -> bytes:
        """``data`` encrypted, with its nonce before it; opens only with the same ``place``."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, self._bound(place))

    def open(self, sealed: bytes, *place: Any) -> bytes:
        """What :meth:`close` was given. Raises :class:`BrokenSeal`."""
        nonce, encrypted = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, encrypted, self._bound(place))
        except (InvalidTag, ValueError) as error:  # ValueError: too short to be anything
            raise BrokenSeal from error

    def _bound(self, place: tuple[Any, ...]) -> bytes:
        return msgspec.json.encode([self._store_id, *place])  # unambiguous, unlike joined text


def derive(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    """A key for one purpose that follows from another (HKDF, RFC 5869)."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return HKDF(SHA256(), KEY_BYTES, salt, b"voxwatch " + purpose).derive(key)
