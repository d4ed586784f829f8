"""Fetches one file over HTTP: resumed, retried, and checked before it appears.

Standard library only. The bytes go to ``NAME.part``; the server's version tag lies beside
it in ``NAME.part.etag``, so that a part is continued only with more of the same file.
"""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from engine.errors import BundleError

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30.0
ATTEMPTS = 4
FIRST_WAIT_S = 1.0
LARGEST_BYTES = 1 << 30  # the largest published file is some 100 MB: more is not a checkpoint


class DownloadError(BundleError):
    """A published checkpoint that cannot be fetched, or is not what it should be."""


def sha256_of(file: Path) -> str:
    """Hexadecimal sha256 of a file of any size."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(
    url: str,
    file: Path,
    *,
    sha256: str | None,
    progress: bool = True,
    attempts: int = ATTEMPTS,
    wait_s: float = FIRST_WAIT_S,
) -> None:
    """Download ``url`` to ``file``, resuming a ``.part`` beside it and trying again on faults.

    ``file`` appears only when it is whole and its ``sha256``, if one is given, is right.
    Raises :class:`DownloadError`.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(attempts):
            if attempt:
                time.sleep(wait_s * 2 ** (attempt - 1))
            try:
                _fetch_once(url, part, progress)
                break
            except _Interrupted as error:
                problem = error
        else:
            raise DownloadError(
                f"the download of {url} failed {attempts} times ({problem}): try again later, it"
                " goes on where it stopped"
            )
        _accept(part, file, url, sha256)
    except OSError as error:
        raise DownloadError(
            f"cannot write the download to {file.parent}: {error.strerror or error}; free some"
            " space, or set XDG_DATA_HOME to another folder"
        ) from error


class _Interrupted(Exception):
    """A fault that may pass: worth another attempt."""


def _fetch_once(url: str, part: Path, progress: bool) -> None:
    have, tag = _resumable(part)
    request = urllib.request.Request(url, headers={"User-Agent": "voxwatch"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag)  # another version of the file comes from its start
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            _receive(response, part, have, progress)
    except urllib.error.HTTPError as error:
        error.close()  # it is the answer itself, with the connection
        if error.code == 416:  # the part is no beginning of the file: start over
            _discard(part)
            raise _Interrupted("the partial file did not fit") from error
        if error.code >= 500 or error.code == 429:
            raise _Interrupted(f"HTTP {error.code}") from error
        raise DownloadError(
            f"{url} cannot be downloaded: HTTP {error.code} {error.reason}; the file may have"
            " moved: fetch it by hand and use `voxwatch models import`"
        ) from error
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error
    except urllib.error.URLError as error:
        raise _Interrupted(str(error.reason)) from error


def _receive(response: Any, part: Path, have: int, progress: bool) -> None:
    resumed = have > 0 and response.status == 206
    stated = response.headers.get("Content-Length")
    expected = None if stated is None else int(stated) + (have if resumed else 0)
    if expected is not None and expected > LARGEST_BYTES:
        raise DownloadError(f"{response.url} has {expected} bytes: too many for a checkpoint")
    _remember(part, response.headers)
    with open(part, "ab" if resumed else "wb") as file:
        size = _copy(response, file, have if resumed else 0, expected, progress)
    if expected is not None and size < expected:
        raise _Interrupted(f"the connection ended after {size} of {expected} bytes")


def _copy(response: Any, file: IO[bytes], start: int, expected: int | None, progress: bool) -> int:
    """Copy to the end of the response; returns the size of the file then."""
    size = start
    with tqdm(
        total=expected, initial=start, unit="B", unit_scale=True, disable=not progress
    ) as bar:
        while chunk := _read(response):
            file.write(chunk)
            size += len(chunk)
            bar.update(len(chunk))
            if size > LARGEST_BYTES:
                raise DownloadError(f"{response.url} does not end: too long for a checkpoint")
    return size


def _read(response: Any) -> bytes:
    try:
        chunk: bytes = response.read(CHUNK_BYTES)
    except OSError as error:  # of the network, whatever its kind: the disk is written elsewhere
        raise _Interrupted(str(error) or type(error).__name__) from error
    return chunk


def _accept(part: Path, file: Path, url: str, sha256: str | None) -> None:
    actual = sha256_of(part)
    if sha256 is not None and actual != sha256.lower():
        _discard(part)
        raise DownloadError(
            f"{url} has the sha256 {actual[:12]}..., not {sha256[:12]}...: the file was damaged or"
            " changed, and was thrown away; try again, and do not trust it if it happens twice"
        )
    part.replace(file)
    _discard(part)


def _tag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _resumable(part: Path) -> tuple[int, str]:
    """Bytes at hand and the version they belong to; none without a version to ask for."""
    tag = _tag_file(part)
    if not part.is_file() or not tag.is_file():
        return 0, ""
    return part.stat().st_size, tag.read_text().strip()


def _remember(part: Path, headers: Any) -> None:
    # A weak tag does not promise the same bytes, so it may not be resumed by (RFC 9110, 13.1.5).
    tag = headers.get("ETag") or headers.get("Last-Modified") or ""
    if tag and not tag.startswith("W/"):
        _tag_file(part).write_text(tag)
    else:
        _tag_file(part).unlink(missing_ok=True)


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)
