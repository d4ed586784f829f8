"""A real PostgreSQL, started from Debian's binaries, and a database of its own for each test.

`tests/conftest.py` has the fixtures for all tests: ``postgresql_url``, which is a fresh database,
and ``database_url``, with which a test runs twice: None for SQLite, and a fresh database.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ports import free_port

BINARIES = Path("/usr/lib/postgresql")
USER, PASSWORD = "voxwatch", "kept/secret@here"
QUOTED_PASSWORD = "kept%2Fsecret%40here"  # as it stands in a URL
START_S = 60.0
WAL = "max_wal_size=8MB"


class Cluster:
    """A server on a free port of this machine, with its files in ``folder``."""

    def __init__(self, binaries: Path, folder: Path, user: str | None) -> None:
        self._binaries, self._folder, self._user = binaries, folder, user
        self._numbers = count()
        self._free: list[str] = []  # databases that a test has used, and are empty again
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def make(self) -> None:
        """Make its files."""
        passwords = self._folder / "password"
        passwords.write_text(PASSWORD)
        passwords.chmod(0o644)
        command = [self._binaries / "initdb", "-D", self._folder / "data", "-U", USER, "-E", "UTF8"]
        command += ["--locale=C", "--no-sync", "-A", "scram-sha-256", f"--pwfile={passwords}"]
        command += ["--wal-segsize=1"]  # MB: so that the log can be searched
        subprocess.run(command, check=True, stdout=-3, cwd=self._folder, **self._as_user())

    def start(self) -> None:
        """Run it until it takes connections."""
        command = [self._binaries / "postgres", "-D", self._folder / "data", "-p", str(self.port)]
        for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", WAL):
            command += ["-c", setting]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, **self._as_user()
            )
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres")).close()
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text(errors="replace"))
            time.sleep(0.05)

    def stop(self) -> None:
        """End it, and with it all connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, whose connections are ended afterwards."""
        name = self._free.pop() if self._free else self._make_database()
        try:
            yield self.url(name)
        finally:
            others = f"datname = '{name}' AND pid <> pg_backend_pid()"
            others = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}"
            self.run(others, "DROP SCHEMA IF EXISTS voxwatch CASCADE", database=name)
            self.run(f"ALTER DATABASE {name} RESET ALL")
            self._free.append(name)

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Statements outside a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @property
    def data(self) -> Path:
        """The folder of all its files."""
        return self._folder / "data"

    def bytes(self, url: str) -> bytes:
        """Every byte of a database's tables, and of the log of all of them."""
        self.run("CHECKPOINT")
        name = url.rpartition("/")[2]
        with psycopg.connect(self.url("postgres")) as connection:
            found = connection.execute("SELECT oid FROM pg_database WHERE datname = %s", (name,))
            ((number,),) = found.fetchall()
        folders = (self.data / part for part in (f"base/{number}", "pg_wal"))
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        return b"".join(file.read_bytes() for file in files)

    def _make_database(self) -> str:
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return name

    def _as_user(self) -> dict[str, Any]:
        """It refuses to run as root."""
        if self._user is None:
            return {}
        entry = pwd.getpwnam(self._user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _binaries() -> Path | None:
    """Where `initdb` and `postgres` lie: the newest of Debian's, or else what the machine has."""
    found = sorted(BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    named = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(named).resolve().parent if named else None


def _server_user() -> str | None:
    """As whom a server runs: whoever runs the tests, but never root."""
    if os.geteuid():
        return None
    names = [entry.pw_name for entry in pwd.getpwall()]
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A server for all tests of this process."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip(f"no PostgreSQL in {BINARIES}: install Debian's package `postgresql`")
    # Not below pytest's folder, into which nobody else may look.
    folder = Path(tempfile.mkdtemp(prefix="voxwatch-postgresql-"))
    user = _server_user()
    if user is not None:
        shutil.chown(folder, user)
    cluster = Cluster(binaries, folder, user)
    try:
        cluster.make()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgresql_url(cluster: Cluster) -> Iterator[str]:
    """The URL of an empty database of PostgreSQL, with a password in it."""
    with cluster.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """What the setting ``database`` says: nothing, and an empty database of PostgreSQL."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgresql_url")
    return url
