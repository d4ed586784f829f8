"""HTML and SVG as text: whatever is put into it is escaped, and nothing else goes in.

An element is made by :func:`element`; texts among its children are escaped, elements are not.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping

EMPTY = frozenset({"meta", "br", "hr", "line", "rect", "path", "polyline", "circle", "col"})
# Characters that HTML does not allow at all; a name or a note may still hold them.
FORBIDDEN = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(9), 11, 12, *range(14, 32), 127)}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def escaped(text: str) -> Markup:
    """A text as HTML shows it."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(text.translate(FORBIDDEN)))


def element(name: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """An element. ``class_`` is ``class``, ``_`` in an attribute is ``-``; None leaves one out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value).translate(FORBIDDEN))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in EMPTY:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: Child) -> Markup:
    """Children, one after the other."""
    if children is None:
        return Markup()
    if isinstance(children, str):
        return escaped(children)
    return Markup("".join(joined(child) for child in children))


def isolated(name: str) -> Markup:
    """A name that may be written from right to left, without an effect on what stands beside it."""
    return element("bdi", name)


def table(columns: Mapping[str, int], rows: Iterable[Iterable[Child]]) -> Markup:
    """A table of columns by name, each with its width in per cent.

    The first cell of a row is its head. Cells know their column's name, so that narrow screens can
    show it as a list.
    """
    widths = (element("col", class_=f"w{width}") for width in columns.values())
    labels = list(columns)
    return element(
        "table",
        element("colgroup", widths),
        element("thead", element("tr", *(element("th", name, scope="col") for name in labels))),
        element("tbody", [_row(labels, row) for row in rows]),
    )


def _row(labels: list[str], cells: Iterable[Child]) -> Markup:
    first, *rest = zip(labels, cells, strict=True)
    return element(
        "tr",
        element("th", first[1], scope="row", data_label=first[0]),
        *(element("td", cell, data_label=label) for label, cell in rest),
    )


def facts(*pairs: tuple[str, Child]) -> Markup:
    """Terms and what they are; a pair without a text is left out."""
    return element(
        "dl",
        [
            element("div", element("dt", term), element("dd", value))
            for term, value in pairs
            if joined(value)
        ],
        class_="facts",
    )
