"""The temporary file of what is too big for memory, of which nothing may be left."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.reports.spool import Spool

SECRET = b"Anna was taken over " * 10_000


def test_what_was_written_is_read_once(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.write(b"one, ")
        spool.write(b"two")
        assert spool.size == 8
        assert b"".join(spool.pieces()) == b"one, two"
        assert spool.read(10) == b""


def test_the_file_is_the_owners_alone_has_no_name_and_cannot_be_read(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.write(SECRET)
        spool.end()
        assert os.listdir(tmp_path) == []
        status = os.fstat(spool._file.fileno())
        assert (stat.S_IMODE(status.st_mode), status.st_nlink) == (0o600, 0)
        assert status.st_size == len(SECRET)
        assert b"Anna" not in os.pread(spool._file.fileno(), len(SECRET), 0)


def test_nothing_is_left_of_a_process_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from streamer.reports.spool import Spool;"
        "spool = Spool(pathlib.Path(sys.argv[1])); spool.write(b'x' * 1_000_000); spool.end();"
        "print('written', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_at_the_latest_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = open("/dev/full", "r+b", 8192)  # noqa: SIM115 - the spool closes it
    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: full)
    with Spool(tmp_path) as spool:
        spool.write(b"little")
        with pytest.raises(OSError, match="No space left"):
            spool.end()
    assert full.closed
