"""How a benchmark tells its figures: on the terminal, and in the file that is committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def tell(found: dict[str, Any], file: Path | None) -> None:
    """Print figures as JSON and write them to ``file``, if one is named."""
    text = json.dumps(found, indent=2)
    print(text)
    if file:
        file.write_text(text + "\n")
