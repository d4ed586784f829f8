"""What the scripts install, and when: with an interpreter that only notes what pip is asked for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = 'make_environment 1 "a moment"'
TEST = 'make_environment 2 "a while" train,dev'
MORE_THAN_ANY_DISK = 10**15  # MB
OURS = "-m pip install --no-deps --no-build-isolation --editable . --editable clients/python"


class Checkout:
    """A folder with the scripts' functions, a detector, and a `.venv` of a stand-in."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked = root, root / "asked.txt"
        for folder in (
            "scripts",
            "requirements",
            "clients/python",
            ".venv/bin",
            "engine/speech/silero",
        ):
            (root / folder).mkdir(parents=True)
        source = ROOT / "scripts" / "environment.sh"
        (root / "scripts" / "environment.sh").write_text(source.read_text())
        (root / "pyproject.toml").write_text("version = 1")
        (root / "clients" / "python" / "pyproject.toml").write_text("version = 1")
        (root / "requirements" / "serve.txt").write_text("locked 1")
        self.detector = root / "engine" / "speech" / "silero" / "silero_vad.onnx"
        self.detector.touch()
        python = root / ".venv" / "bin" / "python"
        python.write_text(f'#!/bin/sh\necho "$*" >>{self.asked}\n')
        python.chmod(0o755)

    def run(self, call: str) -> list[str]:
        """What pip was asked for by ``call``."""
        self.try_run(call).check_returncode()
        return self.asked.read_text().splitlines()

    def try_run(self, call: str) -> subprocess.CompletedProcess[str]:
        self.asked.write_text("")
        script = f"source {self.root}/scripts/environment.sh; {call}"
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True)


def locked(name: str) -> str:
    return f"-m pip install --require-hashes --requirement requirements/{name}.txt"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_demonstration_installs_no_extra_and_the_tests_add_them(checkout: Checkout) -> None:
    assert checkout.run(DEMO) == [locked("serve"), OURS]
    assert checkout.run(TEST) == [locked("develop"), OURS]


def test_what_is_in_place_is_left_alone(checkout: Checkout) -> None:
    checkout.run(TEST)
    assert checkout.run(TEST) == []
    assert checkout.run(DEMO) == []


def test_new_dependencies_are_installed_with_the_extras_that_were_there(checkout: Checkout) -> None:
    checkout.run(TEST)
    (checkout.root / "pyproject.toml").write_text("version = 2")
    assert checkout.run(DEMO) == [locked("develop"), OURS]
    (checkout.root / "requirements" / "serve.txt").write_text("locked 2")
    assert checkout.run(DEMO) == [locked("develop"), OURS]


@pytest.mark.parametrize("first", [None, DEMO])
def test_a_disk_without_room_is_told_before_anything_is_installed(
    checkout: Checkout, first: str | None
) -> None:
    if first is not None:
        checkout.run(first)
    done = checkout.try_run(f'make_environment {MORE_THAN_ANY_DISK} "for ever" train,dev')
    assert done.returncode == 2
    assert f"error: the disk of {checkout.root} has" in done.stderr
    assert f"to install takes {MORE_THAN_ANY_DISK * 14 // 10} MB: delete" in done.stderr
    assert checkout.asked.read_text() == ""


def test_what_a_broken_off_installation_left_needs_no_room_again(checkout: Checkout) -> None:
    """Its files are there, and what says that it was finished is not."""
    free_mb = shutil.disk_usage(checkout.root).free // 2**20
    much = f'make_environment {free_mb} "a while" train,dev'
    assert checkout.try_run(much).returncode == 2
    there_kb = 1024 * free_mb // 2
    du = checkout.root / "programs" / "du"
    du.parent.mkdir()
    du.write_text(f'#!/bin/sh\n[ "$*" = "-sk .venv" ] && printf "{there_kb}\\t.venv\\n"\n')
    du.chmod(0o755)
    path = f"PATH={du.parent}:$PATH"
    assert checkout.run(f"{path}; {much}") == [locked("develop"), OURS]


def test_what_is_only_brought_up_to_date_needs_no_room(checkout: Checkout) -> None:
    checkout.run(TEST)
    (checkout.root / "pyproject.toml").write_text("version = 2")
    assert checkout.run(f'make_environment {MORE_THAN_ANY_DISK} "for ever" train,dev') != []


def test_a_detector_that_was_deleted_is_fetched_again(checkout: Checkout) -> None:
    checkout.run(DEMO)
    checkout.detector.unlink()
    assert checkout.run(DEMO) == [locked("serve"), OURS]


OLD_PYTHON = "exit 1"  # what is asked of it is whether it has venv and is new enough
NEW_PYTHON = "exit 0"


class System:
    """Programs that a script finds, and nothing beside them: a stand-in for a fresh machine."""

    def __init__(self, root: Path) -> None:
        self.programs, self.asked = root / "programs", root / "apt.txt"
        self.programs.mkdir()
        self.asked.touch()
        for name in ("bash", "dirname"):
            (self.programs / name).symlink_to(shutil.which(name) or name)
        self.add("id", "echo 0")

    def add(self, name: str, does: str) -> None:
        (self.programs / name).write_text(f"#!{shutil.which('bash')}\n{does}\n")
        (self.programs / name).chmod(0o755)

    def find_python(self) -> subprocess.CompletedProcess[str]:
        script = f"source {ROOT}/scripts/environment.sh; find_python"
        command = [self.programs / "bash", "-c", script]
        return subprocess.run(
            command, capture_output=True, text=True, env={"PATH": str(self.programs)}
        )


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def apt_with(system: System, python: str) -> None:
    """An apt-get of a machine without lists, which installs that ``python`` once it has some."""
    lists, program = system.programs.parent / "lists", system.programs / "python3"
    touch, chmod = shutil.which("touch"), shutil.which("chmod")
    system.add(
        "apt-get",
        f"""echo Reading; echo "$*" >>{system.asked}
[ "$1" != update ] || {{ {touch} {lists}; exit 0; }}
[ -e {lists} ] || exit 100
printf '#!%s\\n%s\\n' {shutil.which("bash")} '{python}' >{program}; {chmod} +x {program}""",
    )


@pytest.mark.parametrize("there", [None, OLD_PYTHON], ids=["none", "without venv"])
def test_root_is_installed_the_python_of_the_system(system: System, there: str | None) -> None:
    if there:
        system.add("python3", there)
    apt_with(system, NEW_PYTHON)
    done = system.find_python()
    assert done.stdout == f"{system.programs / 'python3'}\n"  # and nothing that apt said
    assert "installing system packages: python3 python3-venv" in done.stderr
    install = "install -qq -y --no-install-recommends python3 python3-venv"
    assert system.asked.read_text().splitlines() == [install, "update -qq", install]


@pytest.mark.parametrize("name", ["python3", "python3.12"])
def test_who_has_python_is_installed_none(system: System, name: str) -> None:
    system.add("python3", OLD_PYTHON)
    system.add(name, NEW_PYTHON)
    apt_with(system, NEW_PYTHON)
    assert system.find_python().stdout == f"{system.programs / name}\n"
    assert system.asked.read_text() == ""


@pytest.mark.parametrize("user", ["0", "1000"])
def test_python_that_cannot_be_had_is_said(system: System, user: str) -> None:
    system.add("id", f"echo {user}")
    apt_with(system, OLD_PYTHON)
    done = system.find_python()
    assert done.returncode == 2
    assert done.stdout == ""
    assert "apt-get install python3 python3-venv" in done.stderr
    assert (system.asked.read_text() == "") == (user == "1000")


def test_a_peer_has_an_environment_of_its_own_which_is_there_once(checkout: Checkout) -> None:
    lock = checkout.root / "requirements" / "peers" / "edx.txt"
    place = checkout.root / ".venv-peers" / "edx"
    (place / "bin").mkdir(parents=True)
    lock.parent.mkdir()
    lock.write_text("locked 1")
    python = place / "bin" / "python"
    python.write_text(f'#!/bin/sh\necho "$*" >>{checkout.asked}\n[ ! -e {checkout.root}/broken ]\n')
    python.chmod(0o755)
    said = "-m pip install --quiet --require-hashes --no-deps"
    asked = [f"{said} --requirement requirements/peers/edx.txt"]
    (checkout.root / "broken").touch()
    assert checkout.run("make_peer edx || true") == asked
    (checkout.root / "broken").unlink()
    assert checkout.run("make_peer edx") == asked  # as it failed before
    assert checkout.run("make_peer edx") == []
    lock.write_text("locked 2")
    assert checkout.run("make_peer edx") == asked
