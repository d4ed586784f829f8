"""Where the server's log goes: a line an entry, as text or as JSON.

What the server logs holds public ids of streams and connections, codes and counts; no
names, tokens, sessions or addresses.
"""

from __future__ import annotations

import json
import logging


class JsonLines(logging.Formatter):
    """One JSON object a line: ``at`` (seconds since 1970), ``level``, ``logger``, ``message``.

    Of several workers each adds ``worker``, its number.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._whose = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        entry = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._whose,
            "message": record.getMessage(),
        }
        return json.dumps(entry, ensure_ascii=False)


def log_to_stderr(level: str, *, as_json: bool = False, worker: int | None = None) -> None:
    """Set up the process's log. Of several workers each says which it is."""
    lines = logging.StreamHandler()
    whose = "" if worker is None else f" worker {worker}"
    plain = logging.Formatter(f"%(asctime)s %(levelname)s{whose} %(message)s")
    lines.setFormatter(JsonLines(worker) if as_json else plain)
    logging.basicConfig(level=level.upper(), handlers=[lines])
