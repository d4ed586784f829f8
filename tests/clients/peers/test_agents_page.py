"""What docs/AGENTS.md shows runs in the frameworks that it is for."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from peer_environments import ROOT, environment

PAGE = (ROOT / "docs" / "AGENTS.md").read_text()
SECTIONS = {"Pipecat": "pipecat", "LiveKit Agents": "livekit", "OpenAI Agents SDK": "openai-agents"}
MOST_LINES = 10  # of a user's own code
NUMBERS = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def block(title: str) -> str:
    found = re.search(r"```(?:python|json)\n(.*?)```", section(title), re.DOTALL)
    assert found, f"no code under {title}"
    return found[1]


@pytest.mark.parametrize("title", SECTIONS)
def test_what_the_page_shows_runs(title: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.py"
    path.write_text(block(title))
    python = environment(SECTIONS[title])
    env = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    done = subprocess.run([python, path], capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("title", [*SECTIONS, "MCP"])
def test_it_takes_at_most_ten_lines_of_ones_own_and_says_how_many(title: str) -> None:
    lines = [line for line in block(title).splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(("import ", "from "))]
    said = re.search(r"(\w+) lines of\s(?:your own|settings)", section(title))
    assert said
    assert NUMBERS.index(said[1].lower()) == len(own) <= MOST_LINES
