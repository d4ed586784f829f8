"""HTML to PDF, by WeasyPrint, which the extra ``reports`` brings.

It is a second of Python for each page, and much memory: :class:`Printer` has a process of its own
do it (``python -m streamer.reports.forms.pdf``), which is given a page at a time.
"""

from __future__ import annotations

import importlib.util
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from engine.errors import VoxwatchError
from streamer.reports.forms.carrying import NAME, WHAT, data_in

VARIANT = "pdf/ua-1"  # tagged, so that a screen reader can read it
PAGE_S = 300.0  # for one page
CODE = Path(__file__).parents[3]  # in which this package lies
FRAME = struct.Struct(">?Q")  # whether it is what was asked for, else why not; bytes of it
NICER = 10  # than whoever starts this as a program: live streams come first
MISSING = "a PDF needs WeasyPrint: pip install 'voxwatch[reports]'"
LIBRARIES = (
    "WeasyPrint lacks a library of the system ({}): apt-get install libpango-1.0-0"
    " libpangoft2-1.0-0 libharfbuzz-subset0"
)


class NoPdf(VoxwatchError):
    """PDFs cannot be made here; the message says what to install."""


class PdfFailed(VoxwatchError):
    """A page has not become a PDF."""


def check_available() -> None:
    """Raise :class:`NoPdf` where WeasyPrint is not installed; its libraries show when it works."""
    if importlib.util.find_spec("weasyprint") is None:
        raise NoPdf(MISSING)


def pdf(page: str) -> bytes:
    """A page as PDF, with what the page carries. Raises :class:`NoPdf`.

    Nothing is fetched: what a page needs is in it.
    """
    check_available()
    try:
        import weasyprint
    except OSError as error:
        raise NoPdf(LIBRARIES.format(str(error).partition("\n")[0])) from error
    document = weasyprint.HTML(string=page, base_url=None, url_fetcher=_refuse)
    attached = [_attached(weasyprint, data) for data in data_in(page.encode())]
    made = document.write_pdf(pdf_variant=VARIANT, attachments=attached)
    assert isinstance(made, bytes)
    return made


def _attached(weasyprint: Any, data: bytes) -> Any:
    return weasyprint.Attachment(string=data, name=NAME, description=WHAT, relationship="Source")


def _refuse(url: str, *_: Any, **__: Any) -> Any:
    raise ValueError("a report has everything in it")


class Printer:
    """Makes PDFs, one at a time, by a process that begins with the first. A context manager."""

    def __init__(self, page_s: float = PAGE_S) -> None:
        self._page_s = page_s
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __enter__(self) -> Printer:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, page: str) -> bytes:
        """A page as PDF. Raises :class:`NoPdf`, :class:`PdfFailed`."""
        check_available()
        try:
            done, told = self._asked(page.encode())
        except OSError as error:  # of a process that could not begin, or is gone
            self._end()
            raise PdfFailed("the PDF could not be made, or not in time") from error
        if not done:
            raise NoPdf(told.decode())
        return told

    def _asked(self, page: bytes) -> tuple[bool, bytes]:
        process = self._process = self._process or _start()
        late = threading.Timer(self._page_s, process.kill)
        late.start()
        try:
            if self._stopped:
                process.kill()
            return _ask(process, page)
        finally:
            late.cancel()

    def stop(self) -> None:
        """Give up what is being made; for another thread."""
        self._stopped = True
        if (process := self._process) is not None:
            process.kill()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes its pipes


def _start() -> subprocess.Popen[bytes]:
    """The code that runs here, and nothing that lies in the folder of the moment."""
    paths = [str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "streamer.reports.forms.pdf"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # of fonts and style, and nobody reads it
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )


def _ask(process: subprocess.Popen[bytes], page: bytes) -> tuple[bool, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    _send(process.stdin, True, page)
    answer = _receive(process.stdout)
    if answer is None:
        raise BrokenPipeError
    return answer


def _send(pipe: IO[bytes], done: bool, content: bytes) -> None:
    pipe.write(FRAME.pack(done, len(content)))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple[bool, bytes] | None:
    """None where there is nothing more."""
    head = pipe.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    done, size = FRAME.unpack(head)
    content = pipe.read(size)
    return (done, content) if len(content) == size else None


def main() -> None:
    """Pages in, PDFs out, until there are no more; a failure that can be cured is told."""
    if hasattr(os, "nice"):
        os.nice(NICER)
    while (asked := _receive(sys.stdin.buffer)) is not None:
        try:
            answer = True, pdf(asked[1].decode())
        except NoPdf as error:
            answer = False, str(error).encode()
        _send(sys.stdout.buffer, *answer)


if __name__ == "__main__":
    main()
