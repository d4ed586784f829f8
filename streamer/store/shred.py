"""Files whose old content has to be gone: overwritten in their place before they are let go.

A file system that writes in place (ext4, XFS, NTFS, APFS on a plain disk image) puts the new
bytes where the old ones were. One that copies on write (Btrfs, ZFS, snapshots) and the wear
levelling inside a flash drive keep old blocks for a while, out of the reach of any program.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

OLD = ".old"  # a file that was replaced and is about to be overwritten
PIECE_BYTES = 1 << 20


def write_new(path: Path, content: bytes) -> None:
    """Write a file for its owner only, on the disk when this returns; one that is there goes."""
    shred(path)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def replace_with(fresh: Path, path: Path) -> None:
    """Put ``fresh`` in the place of ``path``, at no moment without one; shred what was there.

    Killed half-way it leaves a file that ends in ``.old``: :func:`shred` it.
    """
    old = path.with_name(path.name + OLD)
    shred(old)
    with contextlib.suppress(FileNotFoundError):
        os.link(path, old)
    os.replace(fresh, path)
    sync_folder(path.parent)
    shred(old)


def read_live(path: Path) -> bytes:
    """The content of a file that another process may :func:`replace_with` at this moment.

    What is opened may have lost its name, and be overwritten while it is read: it counts only if
    it has the name still when all of it was read. Raises ``OSError``.
    """
    while True:
        with open(path, "rb") as file:
            content = file.read()
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return content


def shred(path: Path) -> None:
    """Overwrite a file with random bytes, on the disk, and remove it, if it is there."""
    if not path.exists():
        return
    with open(path, "r+b", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0:
            left -= file.write(secrets.token_bytes(min(left, PIECE_BYTES)))
        os.fsync(file.fileno())
    path.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the folder's list of names to the disk, so that a new file outlives a power cut."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
