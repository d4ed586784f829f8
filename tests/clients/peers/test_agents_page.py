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


def block(title: str) -> str:
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
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


@pytest.mark.parametrize("title", SECTIONS)
def test_it_takes_at_most_ten_lines_of_ones_own(title: str) -> None:
    lines = [line for line in block(title).splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(("import ", "from "))]
    assert 0 < len(own) <= MOST_LINES
