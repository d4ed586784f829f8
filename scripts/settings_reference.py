"""Writes docs/SETTINGS.md, every setting with its type, default and meaning, from the code.

The meaning is the comment beside a field of `streamer/config.py`, or above it. A test fails
while the page is not what this writes.
"""

from __future__ import annotations

import ast
import inspect
import io
import math
import tokenize
from pathlib import Path
from typing import Any, get_args

import msgspec

from streamer.config import Config
from streamer.config_sources import PARTS as TABLES
from streamer.config_sources import PREFIX, RETIRED
from streamer.lti.platform import Platform
from streamer.wire.requests import Role

PAGE = Path(__file__).resolve().parents[1] / "docs" / "SETTINGS.md"
PARTS: dict[str, type[msgspec.Struct]] = {"": Config} | {f"{k}.": v for k, v in TABLES.items()}
OWN_FOLDER = "`$XDG_DATA_HOME/voxwatch`"
OPEN = 1e5  # bounds beyond it only keep nonsense out

HEAD = """\
# Settings

<!-- Written by scripts/settings_reference.py from streamer/config.py. -->

`voxwatch serve --config FILE` reads TOML; without the option `$VOXWATCH_CONFIG` names the file, or
it is `voxwatch/config.toml` in your configuration folder. The environment overrules the file, and
options of a command overrule both. A key that is not known is an error wherever it stands. Paths in
the file start from its folder. In variables lists are separated by commas, and tokens are JSON.
"""
TITLES = {
    "": "## At the top\n",
    "limits.": "## `[limits]`: what one client, or all of them, may take\n",
    "incidents.": "## `[incidents]`: from when on something is an incident, outside exams\n",
    "mqtt.": "## `[mqtt]`: a broker to publish to\n",
    "openedx.": "## `[openedx]`: an Open edX whose exams are watched over\n",
}
TOKENS = """\
## `[[tokens]]`

One table a token, as `voxwatch token new` prints it: `name` (for people), `roles` (of {roles}) and
`sha256` (of the token, in hexadecimal digits). It may also have `expires` (a time, with its zone),
`false_accept` (the largest that its streams may ask for) and `scores` (false: its streams are told
states and no figures). What is changed here holds within seconds, without a restart: a token that
is taken out, or has expired, ends its connections.
"""
PLATFORMS = """\
## `[[lti]]`

One table a platform that sends its learners by LTI 1.3 ([LTI.md](LTI.md)). As a variable
`VOXWATCH_LTI` they are JSON.

"""
LAST = "\nSettings of earlier versions that are still read, and do nothing: {retired}.\n"
ROW = "| `{key}` | {kind} | {default} | {meaning} |"
COLUMNS = "| key | type | default | meaning |\n|---|---|---|---|"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for prefix, record in PARTS.items():
        rows = [_row(prefix, field, _meanings(record)) for field in msgspec.structs.fields(record)]
        table = "\n".join([COLUMNS, *(row for row in rows if row)])
        example = f"{PREFIX}{prefix.upper().replace('.', '_')}"
        name = next(f.name for f in msgspec.structs.fields(record) if f.name != "data_dir")
        variable = f"As a variable `{name}` is `{example}{name.upper()}`, and so on.\n"
        parts.append(f"{TITLES[prefix]}\n{variable}\n{table}\n")
    parts.append(TOKENS.format(roles=", ".join(f"`{role}`" for role in get_args(Role))))
    of_platforms = msgspec.structs.fields(Platform)
    rows = [_row("lti[].", field, _meanings(Platform)) for field in of_platforms]
    parts.append(PLATFORMS + "\n".join([COLUMNS, *rows]) + "\n")
    parts.append(LAST.format(retired=", ".join(f"`{key}`" for key in sorted(RETIRED))).lstrip())
    return "\n".join(parts)


def _row(prefix: str, field: Any, meanings: dict[str, str]) -> str:
    if field.name in TABLES:
        return ""  # a table of their own
    kind = msgspec.inspect.type_info(field.type)
    meaning = meanings[field.name]
    return ROW.format(
        key=prefix + field.name,
        kind=_kind(kind),
        default=_default(field),
        meaning=meaning[0].upper() + meaning[1:],
    )


def _kind(kind: Any) -> str:
    """A type with its bounds, in words."""
    match kind:
        case msgspec.inspect.UnionType(types=types):
            return _kind(next(t for t in types if not isinstance(t, msgspec.inspect.NoneType)))
        case msgspec.inspect.Metadata(type=inner):
            return _kind(inner)
        case msgspec.inspect.LiteralType(values=values):
            return "one of " + ", ".join(f"`{value}`" for value in values)
        case msgspec.inspect.BoolType():
            return "`true` or `false`"
        case msgspec.inspect.IntType():
            return f"whole number{_bounds(kind)}"
        case msgspec.inspect.FloatType():
            return f"number{_bounds(kind)}"
        case msgspec.inspect.VarTupleType(item_type=msgspec.inspect.StructType()):
            return "tables, see below"
        case msgspec.inspect.VarTupleType():
            return "list of texts"
        case msgspec.inspect.CustomType():
            return "path"
    return "text"


def _bounds(kind: Any) -> str:
    least = kind.ge if kind.ge is not None else kind.gt
    most = kind.le if kind.le is not None else kind.lt
    words = []
    if least is not None:
        words.append(f"{'at least' if kind.ge is not None else 'more than'} {least:g}")
    if most is not None and most <= OPEN:
        words.append(f"{'at most' if kind.le is not None else 'less than'} {most:g}")
    return f", {' and '.join(words)}" if words else ""


def _default(field: Any) -> str:
    if field.name == "data_dir":
        return OWN_FOLDER
    value = field.default
    if value is msgspec.NODEFAULT:
        return "\N{EN DASH}" if field.default_factory is msgspec.NODEFAULT else "none"
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"{value:g}" if not math.isclose(value % 1, 0) else f"{value:.0f}"
    return f"`{value}`" if isinstance(value, str) else str(value)


def _meanings(record: type[msgspec.Struct]) -> dict[str, str]:
    """What the comments of a record's source say of its fields. Raises KeyError for none."""
    source = inspect.getsource(record)
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    lines = source.splitlines()
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above = [comments[i] for i in _comment_lines(lines, node.lineno)]
            own = comments.get(node.end_lineno or node.lineno)
            if told := " ".join([*above, *([own] if own else [])]):
                found[node.target.id] = told
    return found


def _comment_lines(lines: list[str], number: int) -> list[int]:
    """Numbers of the lines right above line ``number`` that hold a comment only."""
    first = number
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return list(range(first, number))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
