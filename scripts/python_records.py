"""Records of the wire as Python: the source of clients/python/voxwatch_client/messages.py."""

from __future__ import annotations

import inspect
import textwrap
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from engine import events
from engine.format import Encoding
from scripts.typescript import GENERATED, WHY_LONG

HEAD = f'''\
# {GENERATED}
# {WHY_LONG}
"""What goes over the wire of version 1, as records: messages of the server and of clients.

``t`` and every ``_s`` are seconds of media time; an ``llr`` is a natural-log likelihood ratio.
"""

from __future__ import annotations

from typing import Literal

import msgspec

'''
OF_MONITORS = """\
    stream: str | msgspec.UnsetType = msgspec.UNSET  # on monitors: the public id of the stream
"""
UNKNOWN = '''


class Unknown(Event, frozen=True, kw_only=True, tag="unknown"):
    """What a newer server says and this client has no record for; ``fields`` are as it came."""

    kind: str
    fields: dict[str, object]


'''


def module(
    records: Sequence[type[msgspec.Struct]],
    said: Sequence[type[msgspec.Struct]],
    names: Mapping[Any, str],
    unions: Mapping[str, Any],
    last: Iterable[str],
    sample_bytes: Mapping[Encoding, int],
) -> str:
    """The whole source: ``records``, each after those that it is made of, and unions by name.

    ``names`` are the names of sets of words. Of what is ``said`` a client knows all there is.
    """
    used: dict[Any, str] = {Encoding: "Encoding"}
    bodies = [_record(one, records, names, used) for one in records]
    parts = [HEAD]
    for value, name in used.items():
        parts.append(f"{name} = Literal[{', '.join(map(repr, get_args(value)))}]\n")
    parts.append(f"SAMPLE_BYTES: dict[Encoding, int] = {sample_bytes!r}\n")
    final = ", ".join(repr(code) for code in sorted(last))
    parts.append("# An `error` with one of these codes is the last message of its connection.\n")
    parts.append(f"LAST = frozenset({{{final}}})\n")
    parts += bodies
    parts.append(UNKNOWN)
    for name, union in unions.items():
        members = [one.__name__ for one in get_args(union)]
        unknown = [] if set(get_args(union)) <= set(said) else ["Unknown"]
        parts.append(f"{name} = {' | '.join([*members, *unknown])}\n")
    return "".join(parts)


def _record(
    one: type[msgspec.Struct],
    records: Sequence[type[msgspec.Struct]],
    names: Mapping[Any, str],
    used: dict[Any, str],
) -> str:
    config = one.__struct_config__
    base = next(b for b in one.__bases__ if issubclass(b, msgspec.Struct))
    if base not in records:
        base = msgspec.Struct
    head = "msgspec.Struct" if base is msgspec.Struct else base.__name__
    options = "frozen=True, kw_only=True"
    if one is events.Event:
        options += ', tag_field="type"'
    elif config.tag is not None:
        options += f", tag={config.tag!r}"
    if config.array_like:
        options += ", array_like=True"
    lines = [f"\n\nclass {one.__name__}({head}, {options}):", _doc(one)]
    inherited = {f.name for f in msgspec.structs.fields(base)} if base is not msgspec.Struct else ()
    hints = get_type_hints(one, include_extras=False)
    for field in msgspec.structs.fields(one):
        if field.name not in inherited:
            hint = _written(hints[field.name], names, used)
            lines.append(f"    {field.name}: {hint}{_default(field)}")
    if one is events.Event:
        lines.append(OF_MONITORS)
    return "\n".join(lines) + "\n"


def _doc(one: type) -> str:
    text = inspect.cleandoc(one.__doc__ or "").replace("\\", "\\\\")
    return textwrap.indent(f'"""{text}{chr(10) if chr(10) in text else ""}"""\n', "    ")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required and field.encode_name == field.name:
        return ""
    if field.encode_name != field.name:
        return f" = msgspec.field(name={field.encode_name!r})"
    if field.default is msgspec.UNSET:
        return " = msgspec.UNSET"
    if field.default is msgspec.NODEFAULT:
        return f" = msgspec.field(default_factory={field.default_factory.__name__})"
    return f" = {field.default!r}"


def _written(hint: Any, names: Mapping[Any, str], used: dict[Any, str]) -> str:
    """A type as it is written in the source of the client."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in names:
        used[hint] = names[hint]
        return names[hint]
    if origin is Annotated:
        return _written(parts[0], names, used)
    if origin in (Union, types.UnionType):
        return " | ".join(_written(part, names, used) for part in parts)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, parts))}]"
    if origin is not None:
        inner = ", ".join("..." if p is Ellipsis else _written(p, names, used) for p in parts)
        return f"{origin.__name__}[{inner}]"
    if hint is type(None):
        return "None"
    if hint is msgspec.UnsetType:
        return "msgspec.UnsetType"
    if hint is Any or hint is typing.Any:
        return "object"
    return str(hint.__name__)
