"""HTML to PDF, by WeasyPrint, which the extra ``reports`` brings.

As a program (``python -m streamer.reports.forms.pdf``) it reads a list of pages from its standard
input and writes a list of PDFs, both as MessagePack: a server lets a process of its own do the
work, which is seconds of Python for each page, and gives back its memory.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

import msgspec

from engine.errors import VoxwatchError

VARIANT = "pdf/ua-1"  # tagged, so that a screen reader can read it
NICER = 10  # than whoever starts this as a program: live streams come first
MISSING = "a PDF needs WeasyPrint: pip install 'voxwatch[reports]'"
LIBRARIES = (
    "WeasyPrint lacks a library of the system ({}): apt-get install libpango-1.0-0"
    " libpangoft2-1.0-0"
)


class NoPdf(VoxwatchError):
    """PDFs cannot be made here; the message says what to install."""


def check_available() -> None:
    """Raise :class:`NoPdf` where WeasyPrint is not installed; its libraries show when it works."""
    if importlib.util.find_spec("weasyprint") is None:
        raise NoPdf(MISSING)


def pdf(page: str) -> bytes:
    """A page as PDF. Nothing is fetched: what a page needs is in it. Raises :class:`NoPdf`."""
    check_available()
    try:
        import weasyprint
    except OSError as error:
        raise NoPdf(LIBRARIES.format(str(error).partition("\n")[0])) from error
    document = weasyprint.HTML(string=page, base_url=None, url_fetcher=_refuse)
    made = document.write_pdf(pdf_variant=VARIANT)
    assert isinstance(made, bytes)
    return made


def _refuse(url: str, *_: Any, **__: Any) -> Any:
    raise ValueError("a report has everything in it")


def main() -> None:
    """Pages in, PDFs out. A failure that can be cured is a line on standard error and status 2."""
    if hasattr(os, "nice"):
        os.nice(NICER)
    pages = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=list[str])
    try:
        made = [pdf(page) for page in pages]
    except NoPdf as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
    sys.stdout.buffer.write(msgspec.msgpack.encode(made))


if __name__ == "__main__":
    main()
