"""The chain of hashes over a stream's entries, and over the register of streams.

Each link is the SHA-256 of the link before, the entry's number and its bytes, so that an entry can
be neither changed, nor removed, nor put elsewhere, without all links after it being others. The
last link is signed (:mod:`streamer.records.signing`).
"""

from __future__ import annotations

import hashlib

import msgspec

NUMBER_BYTES = 8
REGISTER = "register"  # the name of the chain of the register; no stream is called so


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a chain: how many entries it has, and the last link. Bytes are in hexadecimal.

    ``key`` is the public key (Ed25519) that ``signature`` is made with. ``heads`` is the sum of
    :mod:`~streamer.records.heads` that is signed with the head of the register.
    """

    chain: str
    count: int
    hash: str
    signature: str = ""
    key: str = ""
    heads: str = ""

    def signed(self) -> bytes:
        """The bytes that the signature is over."""
        also = [self.heads] if self.heads else []
        return msgspec.json.encode(["voxwatch record", self.chain, self.count, self.hash, *also])


def start(chain: str) -> bytes:
    """The link before the first entry, another one for each chain: none can be exchanged."""
    return hashlib.sha256(b"voxwatch record " + chain.encode()).digest()


def link(before: bytes, number: int, body: bytes) -> bytes:
    """The link of entry ``number`` (from 1), whose bytes are ``body``."""
    return hashlib.sha256(before + number.to_bytes(NUMBER_BYTES, "big") + body).digest()
