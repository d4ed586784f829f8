"""What of secrets can be read in stored bytes."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST = 6  # bytes; 1 MB of a cipher has a word of six by chance once in 280 million runs


def readable(secrets: Iterable[bytes], content: bytes) -> list[bytes]:
    """The secrets that stand in the content.

    Raises ValueError for a secret that is so short that encrypted bytes hold it by chance: 100 kB
    hold any three bytes once in 170 runs, and a test would fail that has found nothing.
    """
    secrets = list(secrets)
    if short := [secret for secret in secrets if len(secret) < SHORTEST]:
        raise ValueError(f"too short to be looked for among random bytes: {short}")
    return [secret for secret in secrets if secret in content]
