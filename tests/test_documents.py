"""What the documents for developers name is there."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from streamer.config import Config

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
ROOMS = ("engine", "streamer", "models", "web", "scripts", "tests")


def named(text: str) -> set[str]:
    """Files and folders of the repository that a text names, in a link, a command or in code."""
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    paths = re.findall(rf"(?<![\w/.])(?:{'|'.join(ROOMS)})/[\w./-]*", text)
    return {*links, *(path.rstrip(".") for path in paths)}


def test_files_are_found_wherever_they_are_named() -> None:
    text = "See [it](a/b.md), [the web](https://c.d), `engine/x.py`; run scripts/demo or tests/."
    assert named(text) == {"a/b.md", "engine/x.py", "scripts/demo", "tests/"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    names = named(document.read_text())
    assert len(names) > 5
    assert [name for name in sorted(names) if not (ROOT / name).exists()] == []


def test_every_room_inside_a_room_is_described() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    inside = [
        path.parent.relative_to(ROOT)
        for room in ("engine", "streamer", "models")
        for path in (ROOT / room).glob("*/__init__.py")
    ]
    assert [str(one) for one in inside if f"`{one}/`" not in text] == []


@pytest.mark.parametrize("document", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_a_link_in_the_documents_for_operators_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_settings_that_the_law_asks_for_are_settings() -> None:
    named_there = set(re.findall(r"`([a-z]+_[a-z_]+)`", (ROOT / "docs/LAW.md").read_text()))
    settings = {field.name for field in msgspec.structs.fields(Config)}
    assert {"records_days", "unused_days"} <= named_there <= settings
