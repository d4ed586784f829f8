"""Files that tell of people: only whoever ran the command may read them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, readable by the user alone, also where it was there before.

    It is removed when what is to be in it fails half-way.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        os.chmod(path, 0o600)
        try:
            yield file
            file.flush()
        except BaseException:
            if path.is_file():  # and no device
                path.unlink()
            raise


def write_private(path: Path, content: bytes) -> None:
    """Write ``content``, readable by the user alone, also where the file was there before."""
    with private_file(path) as file:
        file.write(content)
