"""Every limit is in the README, and what is refused by one names the setting."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streamer.config import Limits

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text().split("### Limits")[1].split("\n## ")[0]
SOURCE = "".join(path.read_text() for path in sorted((ROOT / "streamer").rglob("*.py")))
# By which nobody is told off: senders and requests wait, and what is older is gone.
SILENT = {"backlog_s", "requests_per_minute", "resume_s", "resume_events", "strangers"}
# Told by the number of bytes alone, as another bound of the same kind is.
BY_SIZE = {"verify_bytes"}


@pytest.mark.parametrize("limit", [field.encode_name for field in msgspec.structs.fields(Limits)])
def test_a_limit_is_told(limit: str) -> None:
    assert f"`{limit}`" in README
    if limit not in SILENT | BY_SIZE:
        assert f"(limits.{limit})" in SOURCE, "no error names it"
