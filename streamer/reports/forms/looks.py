"""What the parts of a picture look like: colours, signs, and the elements they are drawn with."""

from __future__ import annotations

from streamer.reports.forms.markup import Markup, element
from streamer.reports.report import Incident

INK, SOFT, GROUND = "#161a22", "#545d6d", "#f3f4f7"
FONT = "Noto Sans, Liberation Sans, DejaVu Sans, sans-serif"
COLOURS = {  # of states, and of the text on them
    "match": ("#2f9e6d", "#ffffff"),
    "mismatch": ("#d6493c", "#ffffff"),
    "changed": ("#d6493c", "#ffffff"),
    "uncertain": ("#e9b13f", INK),
    "insufficient": ("#c8d2e6", INK),
    "unknown": ("#8267cf", "#ffffff"),
    "lapsed": (GROUND, INK),
}
PATTERNS = {"mismatch": "bad", "changed": "bad", "uncertain": "doubt", "unknown": "doubt"}
WEIGHTS = {"heavy": "#b42318", "light": "#b37400", "note": SOFT}  # of incidents
POOR, LACKING = "#e9b13f", INK  # sound, and what is not there
TRACE = {"fill": "none", "stroke": "#1d4fd7", "stroke_width": "1.4"}

SHAPES = {  # by kind of incident, about a centre at 0, 0
    "takeover": "M0,-7 L7,6 L-7,6 Z",
    "mismatch": "M0,-7 L7,0 L0,7 L-7,0 Z",
    "tampering": "M-6,-6 L6,-6 L6,6 L-6,6 Z",
}
OTHER_SHAPE = "M-5,-6 L5,-6 L7,0 L5,6 L-5,6 L-7,0 Z"


def weight(one: Incident) -> str:
    """How much an incident stands out: one of ``WEIGHTS``."""
    return "note" if one.note_only else "heavy" if one.kind in SHAPES else "light"


def mark(kind: str, weight: str, transform: str) -> Markup:
    """The sign of a kind of incident."""
    shape = SHAPES.get(kind, OTHER_SHAPE)
    return element("path", d=shape, transform=transform, fill=WEIGHTS[weight])


def box(x: float, y: float, width: float, height: float, fill: str) -> Markup:
    """A filled rectangle."""
    return element("rect", x=x, y=y, width=round(width, 1), height=height, fill=fill)


def line(x: tuple[float, float], y: tuple[float, float], **look: str) -> Markup:
    """A line between two points, their x and their y."""
    return element("line", x1=x[0], x2=x[1], y1=y[0], y2=y[1], **look)


def text(words: str, x: float, y: float, **look: str) -> Markup:
    """Words at a place."""
    return element("text", words, x=round(x, 1), y=round(y, 1), **look)
