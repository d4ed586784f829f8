"""The command line as a user meets it: exit status, one clear line, no traceback."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from engine.model.bundle import Bundle
from streamer.cli import OFFLINE, load_offline, main

Float32 = NDArray[np.float32]
Speak = Callable[..., Path]
Done = subprocess.CompletedProcess[str]
ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "streamer.cli"]
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


def voxwatch(*arguments: object) -> Done:
    """Run the command through `main`, as its script does, but in this process.

    A failure that `main` does not turn into a line is raised: a user would see a traceback.
    """
    said, complained = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
    ):
        patch.setattr(sys, "argv", ["voxwatch", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    status = end.value.code or 0
    assert isinstance(status, int)
    return Done(COMMAND, status, said.getvalue(), complained.getvalue())


def voxwatch_process(*arguments: object, **settings: str) -> Done:
    """Run the command in a process of its own, as a user would."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        check=False,
    )


def refused(done: Done) -> str:
    """The one line of a refusal."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture
def verify(spectral_bundle: Bundle) -> Callable[..., Done]:
    def run(enroll: Path, test: Path, *more: object, by: Callable[..., Done] = voxwatch) -> Done:
        arguments = ["--enroll", enroll, "--test", test, "--bundle", spectral_bundle.folder]
        return by("verify", *arguments, *more)

    return run


Verify = Callable[..., Done]


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


# verify: what it decides.


def test_a_match_exits_0_and_anything_else_1(verify: Verify, speak: Speak) -> None:
    enroll = speak("a0.wav", "anna")
    same = verify(enroll, speak("a1.wav", "anna", seed=1), by=voxwatch_process)
    assert same.returncode == 0
    assert same.stderr == ""
    assert re.search(r"^decision +match$", same.stdout, re.MULTILINE)
    other = verify(enroll, speak("b.wav", "bert"), by=voxwatch_process)
    assert other.returncode == 1
    assert re.search(r"^decision +mismatch$", other.stdout, re.MULTILINE)


def test_json_is_one_object_for_machines(verify: Verify, speak: Speak) -> None:
    done = verify(speak("a0.wav", "anna"), speak("a1.wav", "anna", seed=1), "--json")
    result = json.loads(done.stdout)
    assert result["decision"] == "match"
    assert result["rule"] == {"prior": 0.5, "false_accept": 0.05, "miss": 0.05}
    for key in ("cosine", "norm", "llr", "posterior"):
        assert isinstance(result[key], float)
    assert result["test"]["net_speech_s"] > 2


def test_prior_and_rates_reach_the_decision(verify: Verify, speak: Speak) -> None:
    files = speak("a0.wav", "anna"), speak("a1.wav", "anna", seed=1)
    doubtful = verify(*files, "--prior", "1e-9")
    assert doubtful.returncode == 1
    assert "prior of 1e-09" in doubtful.stdout
    assert "--prior" in refused(verify(*files, "--prior", "1.5"))
    assert "more than 1" in refused(verify(*files, "--false-accept", 0.7, "--miss", 0.6))


# verify: bad input, each with one line, a non-zero exit and no traceback.


def test_an_empty_file(verify: Verify, speak: Speak, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    line = refused(verify(speak("a.wav", "anna"), empty))
    assert "empty.wav" in line
    assert "empty" in line.replace("empty.wav", "")


def test_shorter_than_the_smallest_window(verify: Verify, speak: Speak) -> None:
    enroll, short = speak("a.wav", "anna"), speak("short.wav", "anna", 0.3)
    done = verify(enroll, short)
    assert done.returncode == 1
    assert re.search(r"^decision +insufficient$", done.stdout, re.MULTILINE)
    (line,) = done.stderr.splitlines()
    assert line.startswith("insufficient: ")
    assert "the model needs 0.5 s: record more" in line
    line = refused(verify(short, enroll, "--allow-poor"))
    assert "0.3 s of speech: 0.5 s are needed" in line


def test_silence(verify: Verify, speak: Speak, tmp_path: Path) -> None:
    sf.write(tmp_path / "silent.wav", np.zeros(48000), 16000)
    assert "silence" in refused(verify(speak("a.wav", "anna"), tmp_path / "silent.wav"))


def test_clipping(
    verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path
) -> None:
    loud = np.clip(6 * voice("anna", 7), -1, 1)
    sf.write(tmp_path / "loud.wav", loud, 16000)
    line = refused(verify(speak("a.wav", "anna"), tmp_path / "loud.wav"))
    assert "clipped" in line
    assert "--allow-poor" in line


def test_nan(verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path) -> None:
    samples = voice("anna", 7)
    samples[5000:5010] = np.nan
    sf.write(tmp_path / "nan.wav", samples, 16000, subtype="FLOAT")
    assert "NaN" in refused(verify(speak("a.wav", "anna"), tmp_path / "nan.wav"))


def test_stereo_needs_a_channel_and_takes_the_one_chosen(
    verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path
) -> None:
    call = np.stack([voice("bert", 7, seed=3), voice("anna", 7, seed=3)], axis=1)
    sf.write(tmp_path / "call.wav", call, 16000)
    enroll = speak("a.wav", "anna")
    assert "--channel 0 or 1" in refused(verify(enroll, tmp_path / "call.wav"))
    assert verify(enroll, tmp_path / "call.wav", "--channel", 0).returncode == 1
    assert verify(enroll, tmp_path / "call.wav", "--channel", 1).returncode == 0
    assert "no channel 2" in refused(verify(enroll, tmp_path / "call.wav", "--channel", 2))


@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000, 192000])
def test_rates_that_are_taken(
    verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path, rate_hz: int
) -> None:
    sf.write(tmp_path / "rate.wav", voice("anna", 5, seed=1, rate_hz=rate_hz), rate_hz)
    done = verify(speak("a.wav", "anna"), tmp_path / "rate.wav", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["test"]["net_speech_s"] > 1


@pytest.mark.parametrize("rate_hz", [4000, 400_000])
def test_rates_that_are_refused(verify: Verify, speak: Speak, tmp_path: Path, rate_hz: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, rate_hz)
    sf.write(tmp_path / "rate.wav", noise, rate_hz)
    line = refused(verify(speak("a.wav", "anna"), tmp_path / "rate.wav"))
    assert f"{rate_hz} Hz" in line
    assert "8 to 192 kHz" in line


def test_a_text_file_called_wav(verify: Verify, speak: Speak, tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear Alice,\nplease find attached nothing.\n")
    line = refused(verify(speak("a.wav", "anna"), tmp_path / "letter.wav"))
    assert "not a sound file" in line


def test_a_truncated_flac(
    verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path
) -> None:
    path = tmp_path / "cut.flac"
    sf.write(path, voice("anna", 7), 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut short" in refused(verify(speak("a.wav", "anna"), path))


def test_a_file_that_is_not_there(verify: Verify, speak: Speak, tmp_path: Path) -> None:
    missing = tmp_path / "none.wav"
    done = verify(speak("a.wav", "anna"), missing, by=voxwatch_process)
    assert "no such file" in refused(done)


def test_a_name_with_a_line_break_stays_one_line(
    verify: Verify, speak: Speak, tmp_path: Path
) -> None:
    assert "no such file" in refused(verify(speak("a.wav", "anna"), tmp_path / "a\nb.wav"))


# Bundles.


def test_a_bundle_that_was_changed(spectral_bundle: Bundle, speak: Speak, tmp_path: Path) -> None:
    folder = shutil.copytree(spectral_bundle.folder, tmp_path / "changed")
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes() + b"\0")
    sound = speak("a.wav", "anna")
    line = refused(voxwatch("verify", "--enroll", sound, "--test", sound, "--bundle", folder))
    assert "sha256" in line


@pytest.mark.parametrize("named", ["folder", "file"])
def test_an_onnx_file_without_our_manifest(
    spectral_bundle: Bundle, speak: Speak, tmp_path: Path, named: str
) -> None:
    shutil.copy(spectral_bundle.model_path, tmp_path / "foreign.onnx")
    bundle = tmp_path if named == "folder" else tmp_path / "foreign.onnx"
    sound = speak("a.wav", "anna")
    line = refused(voxwatch("verify", "--enroll", sound, "--test", sound, "--bundle", bundle))
    assert "voxwatch models import" in line


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
