"""docs/HOME_ASSISTANT.md: its settings load, and its commands have the options given there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamer.cli import app
from streamer.config_sources import load
from streamer.server.mqtt.discovery import DECISIONS

TEXT = (Path(__file__).parents[1] / "docs" / "HOME_ASSISTANT.md").read_text()
COMMANDS = re.findall(r"^\$ voxwatch (.*)$", TEXT, re.MULTILINE)


def test_its_settings_turn_discovery_on(tmp_path: Path) -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "config.toml").write_text(toml)
    mqtt = load(tmp_path / "config.toml", {"HOME": str(tmp_path)}, {}).mqtt
    assert mqtt is not None
    assert mqtt.discovery == "homeassistant"


def test_it_names_every_decision() -> None:
    assert [state for state in DECISIONS if f"`{state}`" not in TEXT] == []


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_has_the_options_that_it_is_given(line: str) -> None:
    words = shlex.split(line)
    names = words[: 2 if words[:2] == ["wyoming", "enroll"] else 1]
    told = CliRunner().invoke(app, [*names, "--help"])
    assert told.exit_code == 0, told.output
    options = [word for word in words if word.startswith("--")]
    assert [option for option in options if option not in told.output] == []


def test_commands_were_found() -> None:
    assert len(COMMANDS) == 3
