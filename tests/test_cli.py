"""The command line as a user meets it: exit status, one clear line, no traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import refused, voxwatch, voxwatch_process
from program import COMMAND, ROOT

from engine.model.bundle import Bundle
from streamer.cli import OFFLINE, load_offline

Speak = Callable[..., Path]
THREADS = "OPENBLAS_NUM_THREADS"

# What the other commands are; their own tests are in tests/streamer/commands.
SERVING = {
    "serve": "Serve streams, enrolment and the dashboard.",
    "listen": "Listen to the microphone and say",
    "enroll": "Enrol a person: 20 s of speech",
    "stream": "Send a recording or raw PCM to a server",
    "replay": "Run a recording through the streaming",
    "profiles": "List, show, export and delete voiceprints.",
    "token": "Make tokens for a server's clients.",
    "bench": "Measure what this machine can do.",
    "doctor": "Check devices, model, providers, store",
}


# What it is, in general.


def test_help_lists_every_command_with_its_summary() -> None:
    done = voxwatch_process("--help")
    assert done.returncode == 0
    for name, summary in (OFFLINE | SERVING).items():
        assert re.search(rf"^  {name} +{re.escape(summary[:40])}", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", OFFLINE)
def test_the_listed_summary_is_the_one_of_the_command(name: str) -> None:
    assert load_offline(name).help.startswith(OFFLINE[name])


@pytest.mark.parametrize("name", OFFLINE)
def test_each_command_has_help_with_an_example(name: str) -> None:
    done = voxwatch(name, "--help")
    assert done.returncode == 0, done.stderr
    assert OFFLINE[name] in done.stdout
    assert f"voxwatch {name} " in done.stdout.partition("Example")[2] or name == "models"


@pytest.mark.parametrize(
    ("command", "given", "held"),
    [("serve", {}, "1"), ("serve", {THREADS: "3"}, "3"), ("replay none.wav", {}, "1")],
)
def test_products_run_on_one_thread_unless_told_otherwise(
    command: str, given: dict[str, str], held: str, tmp_path: Path
) -> None:
    """OpenBLAS reads how many threads it may have when numpy is loaded, and never again."""
    source = f"""
        import os, sys
        class Watching:
            def find_spec(self, name, path=None, target=None):
                if name == "numpy":
                    print("numpy with", os.environ.get("{THREADS}"))
        sys.meta_path.insert(0, Watching())
        from streamer.cli import main
        main()
    """
    others = {name: value for name, value in os.environ.items() if name != THREADS}
    program = [sys.executable, "-c", textwrap.dedent(source), *command.split()]
    done = subprocess.run(
        [*program, "--bundle", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        env=others | {"PYTHONPATH": str(ROOT)} | given,
        check=False,
    )
    assert done.stdout.splitlines() == [f"numpy with {held}"], done.stderr


def test_version() -> None:
    done = voxwatch_process("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"voxwatch \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments", [["verfy"], ["verify", "--test", "x"], ["--nonsense"]])
def test_wrong_usage_exits_2_and_says_what_is_wrong(arguments: list[str]) -> None:
    done = voxwatch(*arguments)
    assert done.returncode == 2
    assert "Usage: voxwatch" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_a_misspelt_command_is_suggested() -> None:
    assert "Did you mean 'verify'" in voxwatch("verfy").stderr


def test_shells_complete_commands_and_options() -> None:
    def complete(words: str, at: int) -> str:
        return voxwatch_process(
            _VOXWATCH_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(at)
        ).stdout

    assert "verify" in complete("voxwatch ver", 1).split()
    assert "--enroll" in complete("voxwatch verify --en", 2).split()


def test_a_closed_pipe_is_no_error() -> None:
    command = " ".join([*COMMAND, "--help"])
    done = subprocess.run(
        ["bash", "-c", f"{command} | true"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stderr == ""


def test_without_the_training_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    # A finder in front of all others stands in for an installation without the extra.
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
            import sys
            class Missing:
                def find_spec(self, name, path=None, target=None):
                    if name in ("torch", "scipy", "onnx"):
                        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            sys.meta_path.insert(0, Missing())
        """)
    )
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    line = refused(voxwatch_process("train", tmp_path / "config.toml", PYTHONPATH=path))
    assert line.endswith("pip install 'voxwatch[train]'")


def test_an_interrupt_ends_with_130_and_no_traceback() -> None:
    # The signal comes while a command is at work, whichever it is.
    code = textwrap.dedent("""
        import os, signal, sys
        import streamer.cli
        # A test run in the background of a shell has the signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def interrupted(name):
            os.kill(os.getpid(), signal.SIGINT)
            signal.sigtimedwait([], 5)
        streamer.cli.load_offline = interrupted
        sys.argv = ["voxwatch", "verify"]
        streamer.cli.main()
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 128 + signal.SIGINT
    assert "Traceback" not in done.stderr


# Output that cannot be written. Below a regular file nobody can make a folder, not even root.


def test_evaluating_into_an_unwritable_output(
    spectral_bundle: Bundle, speak: Speak, tmp_path: Path
) -> None:
    pytest.importorskip("scipy", reason="evaluating needs the extra `train`")
    speak("a.wav", "anna")
    trials = tmp_path / "trials.txt"
    trials.write_text("1 a.wav a.wav\n")
    line = refused(
        voxwatch("evaluate", trials, "--bundle", spectral_bundle.folder, "--output", trials / "out")
    )
    assert str(trials / "out") in line
    assert "choose another" in line


def test_training_into_an_unwritable_output(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs the extra `train`")
    config = ROOT / "models" / "configs" / "streaming_c256_b2.toml"
    blocker = tmp_path / "file"
    blocker.touch()
    line = refused(voxwatch("train", config, "--output", blocker / "run"))
    assert "file/run" in line


def test_training_from_a_config_that_is_wrong(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs the extra `train`")
    config = tmp_path / "config.toml"
    config.write_text("seed = 1\nspeed = 2\n")
    line = refused(voxwatch("train", config, "--output", tmp_path / "run"))
    assert "config.toml" in line
    assert "speed" in line
