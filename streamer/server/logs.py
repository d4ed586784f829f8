"""Where the server's log goes: a line an entry, as text or as JSON.

What the server logs holds public ids of streams and connections, codes and counts; no
names, tokens, sessions or addresses.
"""

from __future__ import annotations

import json
import logging


class JsonLines(logging.Formatter):
    """One JSON object a line: ``at`` (seconds since 1970), ``level``, ``logger``, ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        entry = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(entry, ensure_ascii=False)


def log_to_stderr(level: str, *, as_json: bool = False) -> None:
    """Set up the process's log."""
    lines = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    lines.setFormatter(JsonLines() if as_json else plain)
    logging.basicConfig(level=level.upper(), handlers=[lines])
