"""Nothing that is committed tells where it lay on somebody's machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A folder that is somebody's own or holds a checkout, in weights and manifests too, so in bytes.
# Ann and someone are the made-up people of other tests.
OWNERS = rb"root|work|home/(?!ann/|someone/)[a-z0-9_-]+|Users/[A-Za-z]+"
OWN = re.compile(rb"/(?:" + OWNERS + rb")/[A-Za-z0-9_.-]+/[A-Za-z0-9_./-]+")


def committed() -> list[Path]:
    """The files of the repository; without git, what a release has is not known here."""
    try:
        listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, stderr=-3)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_file_has_a_path_of_the_machine_it_was_made_on() -> None:
    found = {
        str(file.relative_to(ROOT)): names
        for file in committed()
        if (names := sorted({path.decode() for path in OWN.findall(file.read_bytes())}))
    }
    assert found == {}


@pytest.mark.parametrize("owner", ["root", "work", "home/bob", "Users/Bob"])
def test_such_a_path_is_noticed(owner: str) -> None:
    assert OWN.search(f'"cache": "/{owner}/runs/cache"'.encode())
