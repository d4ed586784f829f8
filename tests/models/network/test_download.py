from __future__ import annotations

import errno
import hashlib
import http.client
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from models.network.download import DownloadError, fetch, sha256_of

BODY = bytes(range(256)) * 1500
SHA256 = hashlib.sha256(BODY).hexdigest()

Site = Any  # the misbehaving server of conftest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "model.pt"


def get(site: Site, file: Path, sha256: str | None = SHA256, attempts: int = 3) -> None:
    fetch(site.url, file, sha256=sha256, progress=False, attempts=attempts, wait_s=0)


def only(file: Path) -> bool:
    return [p.name for p in file.parent.iterdir()] == [file.name]


def test_a_file_arrives_whole_and_alone(site: Site, file: Path) -> None:
    get(site, file)
    assert file.read_bytes() == BODY
    assert only(file)


def test_a_broken_connection_is_resumed_where_it_stopped(site: Site, file: Path) -> None:
    site.cut_after = 100_000
    get(site, file)
    assert file.read_bytes() == BODY
    assert site.ranges == [None, "bytes=100000-"]


def test_any_fault_of_the_network_is_resumed(
    site: Site, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reads = http.client.HTTPResponse.read, count(1)

    def failing(response: http.client.HTTPResponse, size: int | None = None) -> bytes:
        if next(reads) == 2:
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        return read(response, size)

    monkeypatch.setattr(http.client.HTTPResponse, "read", failing)
    get(site, file)
    assert file.read_bytes() == BODY
    assert len(site.ranges) == 2


def test_a_later_call_resumes_too(site: Site, file: Path) -> None:
    site.cut_after = 70_000
    with pytest.raises(DownloadError, match=r"70000 of 384000 bytes.*try again later"):
        get(site, file, attempts=1)
    assert not file.exists()
    get(site, file)
    assert file.read_bytes() == BODY
    assert site.ranges[1] == "bytes=70000-"
    assert only(file)


def test_another_version_is_not_glued_to_the_first(site: Site, file: Path) -> None:
    site.cut_after = 50_000
    with pytest.raises(DownloadError):
        get(site, file, attempts=1)
    site.body, site.etag = bytes(reversed(BODY)), '"two"'
    get(site, file, sha256=hashlib.sha256(site.body).hexdigest())
    assert file.read_bytes() == site.body


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_version_it_starts_over(site: Site, file: Path, etag: str | None) -> None:
    site.etag, site.cut_after = etag, 50_000
    get(site, file)
    assert site.ranges == [None, None]
    assert file.read_bytes() == BODY


def test_a_server_that_cannot_resume_sends_all_again(site: Site, file: Path) -> None:
    site.ignore_range, site.cut_after = True, 50_000
    get(site, file)
    assert site.ranges == [None, "bytes=50000-"]
    assert file.read_bytes() == BODY


def test_a_part_that_is_too_long_is_thrown_away(site: Site, file: Path) -> None:
    file.parent.mkdir()
    part = file.with_name("model.pt.part")
    part.write_bytes(BODY + b"more")
    part.with_name("model.pt.part.etag").write_text('"one"')
    get(site, file)
    assert file.read_bytes() == BODY


def test_a_busy_server_is_asked_again(site: Site, file: Path) -> None:
    site.failures = 2
    get(site, file)
    assert file.read_bytes() == BODY


def test_a_server_that_stays_busy_is_given_up(site: Site, file: Path) -> None:
    site.failures = 9
    with pytest.raises(DownloadError, match=r"failed 3 times \(HTTP 503\)"):
        get(site, file)


def test_a_corrupted_file_is_thrown_away(site: Site, file: Path) -> None:
    site.body = b"x" + BODY[1:]
    with pytest.raises(DownloadError, match=r"has the sha256 .+ damaged or changed"):
        get(site, file)
    assert list(file.parent.iterdir()) == []


def test_a_missing_file_is_said_at_once(site: Site, file: Path) -> None:
    site.status = 404
    with pytest.raises(DownloadError, match=r"HTTP 404 .*`voxwatch models import`"):
        get(site, file)
    assert len(site.ranges) == 1
    assert not file.exists()


def test_no_server_is_said(file: Path) -> None:
    with pytest.raises(DownloadError, match="failed 2 times"):
        fetch("http://127.0.0.1:9/x", file, sha256=None, progress=False, attempts=2, wait_s=0)


def test_a_place_that_cannot_be_written_is_said(site: Site, tmp_path: Path) -> None:
    (tmp_path / "blocker").touch()
    with pytest.raises(DownloadError, match="cannot write the download to"):
        get(site, tmp_path / "blocker" / "model.pt")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    assert sha256_of(tmp_path / "a") == SHA256
