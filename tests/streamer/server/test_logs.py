"""Log entries as JSON: one line each, whatever is in the message."""

from __future__ import annotations

import json
import logging

from streamer.server.logs import JsonLines


def test_an_entry_is_one_line_of_json() -> None:
    record = logging.LogRecord("voxwatch.server", logging.INFO, "", 0, "a %s\nb", ("ü",), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("info", "voxwatch.server", "a ü\nb")
    assert told["at"] > 0
