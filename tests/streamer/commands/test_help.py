"""The help of the serving commands, and what their options say of what they set."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from engine.format import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, Encoding
from engine.model.providers import ProviderChoice
from streamer.cli import OFFLINE, app, load_offline
from streamer.commands.options import EncodingName, ProviderName
from streamer.commands.token import RoleChoice
from streamer.wire.requests import Hop, Role, Window

ROOT = Path(__file__).parents[3]
GROUP: Any = typer.main.get_group(app)


def commands() -> Iterator[list[str]]:
    """All serving commands, by the words that name them."""
    for name, command in GROUP.commands.items():
        if name in OFFLINE:
            continue
        subcommands = getattr(command, "commands", None)
        yield from [[name, inner] for inner in subcommands] if subcommands else [[name]]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_each_command_has_help_with_an_example(words: list[str]) -> None:
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0
    assert f"voxwatch {' '.join(words)}" in done.stdout.partition("Example")[2]


def test_options_have_the_bounds_and_the_choices_of_what_they_set() -> None:
    """They are stated once more, as `--help` may load nothing that would know them."""
    stream = {option.name: option for option in GROUP.commands["stream"].params}
    serve = {option.name: option for option in GROUP.commands["serve"].params}
    for options in (stream, serve):
        for name, kind in (("window_s", Window), ("hop_s", Hop)):
            _, bounds = get_args(kind)
            assert (options[name].min, options[name].max) == (bounds.ge, bounds.le)
    assert (stream["rate"].min, stream["rate"].max) == (LOWEST_RATE_HZ, HIGHEST_RATE_HZ)
    assert set(get_args(EncodingName)) == set(get_args(Encoding))
    assert set(get_args(ProviderName)) == set(get_args(ProviderChoice))
    assert {str(role) for role in RoleChoice} == set(get_args(Role))


@pytest.mark.parametrize("name", ["bundle", "provider", "channel"])
def test_serving_and_offline_commands_say_the_same_of_an_option(name: str) -> None:
    commands = [GROUP.commands[word] for word in GROUP.commands if word not in OFFLINE]
    commands += [load_offline(word) for word in OFFLINE if word != "calibrate"]
    said = {option.help for c in commands for option in c.params if f"--{name}" in option.opts}
    assert len(said) == 1


def test_no_help_loads_a_model_a_socket_or_a_device() -> None:
    code = f"""
import sys
from typer.testing import CliRunner
from streamer.cli import OFFLINE, app
for words in {list(commands())!r}:
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0, words
heavy = {{"onnxruntime", "numpy", "websockets", "sounddevice", "rich.live", "sqlite3", "msgspec"}}
heavy |= {{"sqlalchemy", "alembic", "psycopg"}}
print(heavy & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
