"""What the documents for developers name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
