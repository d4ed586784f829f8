"""The key that heads of chains are signed with, and the keys that texts are sealed with.

All follow from one secret of 32 bytes, which lies in the database sealed with the store's key. So a
rotation of the store's key seals it anew, and what was signed before still verifies.
"""

from __future__ import annotations

import base64
import functools
import secrets

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from streamer.records.chain import Head
from streamer.store.seal import KEY_BYTES, BrokenSeal, Seal, derive

SALT = b"records"
SECRET = "secret of the records"  # what is sealed, so that nothing else can stand in its place


class Secret:
    """Signs heads, and seals what people typed with a key of each stream's own."""

    def __init__(self, secret: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(derive(secret, SALT, b"signature"))
        self._texts = Seal(derive(secret, SALT, b"texts"), SALT)
        self.heads_key = derive(secret, SALT, b"heads")
        self._secret = secret

    @classmethod
    def new(cls) -> Secret:
        """One that nobody had before."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def opened(cls, sealed: bytes, store_key: bytes) -> Secret:
        """The one that :meth:`sealed` gave. Raises :class:`BrokenSeal` for another store's key."""
        return cls(_by(store_key).open(sealed, SECRET))

    def sealed(self, store_key: bytes) -> bytes:
        """As it lies in the database."""
        return _by(store_key).close(self._secret, SECRET)

    @functools.cached_property
    def public_key(self) -> str:
        """By which anybody can verify what was signed, in hexadecimal."""
        return self._private.public_key().public_bytes_raw().hex()

    def key_for(self, purpose: bytes) -> bytes:
        """A key for something else that lies in the same database; no rotation changes it."""
        return derive(self._secret, SALT, purpose)

    def sign(self, chain: str, count: int, link: bytes, heads: bytes = b"") -> Head:
        """The head of a chain, signed; that of the register with the sum over all streams' ends."""
        head = Head(chain=chain, count=count, hash=link.hex(), heads=heads.hex())
        signature = self._private.sign(head.signed()).hex()
        return msgspec.structs.replace(head, signature=signature, key=self.public_key)

    def sign_text(self, text: str) -> str:
        """The signature of a text that is no head of a chain, in hexadecimal."""
        return self._private.sign(text.encode()).hex()

    def new_text_key(self, stream: str) -> bytes:
        """A key for the texts of a stream, wrapped: it is kept beside the stream's head."""
        return self._texts.close(secrets.token_bytes(KEY_BYTES), stream)

    def reasons(self, stream: str) -> Texts:
        """What people typed about a stream whose own key went with its record."""
        return Texts(derive(self._secret, SALT, b"reasons"), stream)

    def texts(self, stream: str, wrapped: bytes) -> Texts:
        """Raises :class:`BrokenSeal` where the key is another stream's, or was changed."""
        return Texts(self._texts.open(wrapped, stream), stream)


class Texts:
    """What people typed about a stream, and clips of its sound.

    It is unreadable for good once the stream's key is gone.
    """

    def __init__(self, key: bytes, stream: str) -> None:
        self._seal = Seal(key, stream.encode())

    def close(self, text: str) -> str:
        """A text as it stands in an entry."""
        return base64.b64encode(self._seal.close(text.encode())).decode() if text else ""

    def open(self, sealed: str) -> str:
        """What :meth:`close` was given. Raises :class:`BrokenSeal`."""
        if not sealed:
            return ""
        try:
            return self._seal.open(base64.b64decode(sealed, validate=True)).decode()
        except ValueError as error:
            raise BrokenSeal from error

    def close_clip(self, ogg: bytes, incident: str) -> bytes:
        """The sound of an incident as it lies in the table."""
        return self._seal.close(ogg, "clip", incident)

    def open_clip(self, sealed: bytes, incident: str) -> bytes:
        """What :meth:`close_clip` was given. Raises :class:`BrokenSeal`."""
        return self._seal.open(sealed, "clip", incident)


def is_signed(head: Head, key: str) -> bool:
    """Whether ``head`` was signed with the private half of ``key``."""
    return _verified(head.signed(), head.signature, key)


def is_signed_text(text: str, signature: str, key: str) -> bool:
    """Whether :meth:`Secret.sign_text` gave this, with the private half of ``key``."""
    return _verified(text.encode(), signature, key)


def _verified(content: bytes, signature: str, key: str) -> bool:
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _by(store_key: bytes) -> Seal:
    return Seal(derive(store_key, SALT, b"sealed secret"), SALT)
