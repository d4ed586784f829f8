"""The key that voiceprints are encrypted with: from the environment or a file of mode 0600."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from engine.errors import VoxwatchError
from streamer.store.seal import KEY_BYTES
from streamer.store.shred import read_live, sync_folder, write_new

STORE_FILE = "voiceprints.db"
PERSON_KEYS_FILE = "people.keys"
KEY_FILE = "key"
KEY_VARIABLE = "VOXWATCH_KEY"
OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
MAKE_ONE = "make one with `openssl rand -base64 32`"


class KeyFileError(VoxwatchError):
    """A key that is missing, unreadable, malformed or readable by others."""


def load_key(data_dir: Path, *, env: Mapping[str, str]) -> bytes:
    """The store's key, 32 bytes: ``VOXWATCH_KEY`` (base64) or else the file ``data_dir/key``.

    The file is made on first use, whole or not at all, readable by its owner only. Raises
    :class:`KeyFileError`; the key itself is in no message.
    """
    if text := env.get(KEY_VARIABLE, "").strip():
        return decode(text, f"the environment variable {KEY_VARIABLE}")
    path = data_dir / KEY_FILE
    try:
        if not path.exists():
            _check_nothing_is_lost(data_dir)
            _make(path)
        return read_key(path)
    except OSError as error:
        raise KeyFileError(
            f"cannot read or make the key file {path}: {error.strerror}; check the folder's"
            f" permissions, or set {KEY_VARIABLE}"
        ) from error


def read_key(path: Path) -> bytes:
    """The key in a file. Raises :class:`KeyFileError`, ``OSError``."""
    _check_mode(path)
    return decode(read_live(path).decode("ascii", "replace").strip(), str(path))


def write_key(path: Path, key: bytes) -> None:
    """A file with that key, for its owner only; one that is there is overwritten in its place."""
    write_new(path, base64.b64encode(key) + b"\n")


def decode(text: str, source: str) -> bytes:
    """A key written in base64; ``source`` says where. Raises :class:`KeyFileError`."""
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:  # `from None`: the cause would show the text
        raise KeyFileError(
            f"{source} is not a key, which is base64 of {KEY_BYTES} bytes: restore the key that the"
            f" store was made with, or {MAKE_ONE}"
        ) from None
    return key


def has_store(data_dir: Path) -> bool:
    """Whether there is a store whose keys lie in that folder, wherever its database is."""
    return any((data_dir / name).exists() for name in (STORE_FILE, PERSON_KEYS_FILE))


def _check_nothing_is_lost(data_dir: Path) -> None:
    for name in (STORE_FILE, PERSON_KEYS_FILE):
        file = data_dir / name
        if file.exists() and file.stat().st_size:
            raise KeyFileError(
                f"{file} is there but its key {data_dir / KEY_FILE} is not: restore the key file"
                f" or set {KEY_VARIABLE}; without it the voiceprints cannot be read"
            )


def _check_mode(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & OTHERS_MAY:
        raise KeyFileError(f"others may read the key file {path}: run `chmod 600 {path}`")


def _make(path: Path) -> None:
    """Write a fresh key beside ``path`` and link it there: another process sees all or nothing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return  # another process made it first: that one is the key
        sync_folder(path.parent)
    finally:
        fresh.unlink()
