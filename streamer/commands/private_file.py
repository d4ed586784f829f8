"""Files that tell of people: only whoever ran the command may read them."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write ``content``, readable by the user alone, also where the file was there before."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        os.chmod(path, 0o600)
        file.write(content)
