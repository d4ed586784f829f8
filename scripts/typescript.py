"""Records of the wire as TypeScript: the source of clients/js/src/messages.ts."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from engine import events
from engine.format import Encoding

HEAD = """\
/**
 * What goes over the wire of version 1: messages of the server and of clients.
 *
 * Written by scripts/generate_wire.py from the server's own records. `t` and every `_s` are seconds
 * of media time; an `llr` is a natural-log likelihood ratio.
 */

"""
BASE = """
/** What every message has: its number, media time and, from `ready` on, the time of day (UTC). */
export interface Base {
  seq: number;
  t: number;
  at_time?: string;
  /** On monitors: the public id of the stream. */
  stream?: string;
}
"""
UNKNOWN = """
/** What a newer server says and this client has no type for; `fields` are as it came. */
export interface Unknown extends Base {
  type: "unknown";
  kind: string;
  fields: Record<string, unknown>;
}

"""
OF_BASE = ("seq", "t", "at_time")
WORDS: dict[Any, str] = {str: "string", bool: "boolean", int: "number", float: "number"}
WORDS |= {type(None): "null", Any: "unknown", object: "unknown"}
WIDTH = 100


def module(
    told: Sequence[type[msgspec.Struct]],
    said: Sequence[type[msgspec.Struct]],
    names: Mapping[Any, str],
    unions: Mapping[str, Any],
    last: Iterable[str],
    sample_bytes: Mapping[str, int],
) -> str:
    """The whole source: records that are ``told``, those ``said``, and unions of them by name.

    ``names`` are the names of sets of words. Of what is told every field is there, because the
    decoder fills in the defaults; of what is said those with a default may be left out.
    """
    used: dict[str, str] = {}
    writer = _Writer(names, used)
    writer.written(Encoding)
    bodies = [writer.record(one, told=True) for one in told if one is not events.Event]
    bodies += [writer.record(one, told=False) for one in said]
    parts = [HEAD, *(f"export type {name} ={words};\n" for name, words in used.items()), BASE]
    parts += [*bodies, UNKNOWN]
    for name, union in unions.items():
        members = [one.__name__ for one in get_args(union)]
        unknown = [] if set(get_args(union)) <= set(said) else ["Unknown"]
        parts.append(f"export type {name} ={_alternatives([*members, *unknown])};\n\n")
    tags = (one.__struct_config__.tag for one in told if one is not events.Event)
    kinds = sorted({str(tag) for tag in tags if tag})
    parts.append("/** The types of messages that are known here. */\n")
    parts.append(f"export const KINDS: ReadonlySet<string> = new Set([{_listed(kinds)}]);\n\n")
    parts.append("/** What is meant where a server does not say it, by type of message. */\n")
    by_name = "Record<string, Record<string, unknown>>"
    parts.append(_constant("DEFAULTS", by_name, _defaults(told)))
    parts.append("\n/** The codes of the errors after which a connection closes. */\n")
    codes = _listed(sorted(last))
    parts.append(f"export const LAST: ReadonlySet<string> = new Set([{codes}]);\n\n")
    parts.append(_constant("SAMPLE_BYTES", "Partial<Record<Encoding, number>>", dict(sample_bytes)))
    return "".join(parts)


class _Writer:
    """Records one after the other; ``used`` gathers the sets of words that they name."""

    def __init__(self, names: Mapping[Any, str], used: dict[str, str]) -> None:
        self._names, self._used = names, used

    def record(self, one: type[msgspec.Struct], *, told: bool) -> str:
        """An interface, or a tuple where the wire has a list."""
        hints = get_type_hints(one, include_extras=False)
        fields = [f for f in msgspec.structs.fields(one) if f.name not in OF_BASE]
        head = f"\n{_comment(one)}export "
        if one.__struct_config__.array_like:
            items = ", ".join(f"{f.name}: {self.written(hints[f.name])}" for f in fields)
            return f"{head}type {one.__name__} = readonly [{items}];\n"
        based = " extends Base" if issubclass(one, events.Event) else ""
        lines = [f"{head}interface {one.__name__}{based} {{\n"]
        if one.__struct_config__.tag is not None:
            lines.append(f"  type: {json.dumps(one.__struct_config__.tag)};\n")
        for field in fields:
            may_lack = field.default is msgspec.UNSET or not (told or field.required)
            mark = "?" if may_lack else ""
            lines.append(f"  {field.encode_name}{mark}: {self.written(hints[field.name])};\n")
        return "".join([*lines, "}\n"])

    def written(self, hint: Any) -> str:
        """A type as it is written."""
        origin, parts = get_origin(hint), get_args(hint)
        if hint in self._names:
            self._used[self._names[hint]] = _alternatives([json.dumps(word) for word in parts])
            return self._names[hint]
        if origin is Annotated:
            return self.written(parts[0])
        if origin in (Union, types.UnionType):
            kept = [self.written(part) for part in parts if part is not msgspec.UnsetType]
            return " | ".join(kept)
        if origin is Literal:
            return " | ".join(map(json.dumps, parts))
        if origin is dict:
            return f"Record<{self.written(parts[0])}, {self.written(parts[1])}>"
        if origin is list or (origin is tuple and parts[-1] is Ellipsis):
            inner = self.written(parts[0])
            return f"({inner})[]" if " " in inner else f"{inner}[]"
        if origin is tuple:
            return f"[{', '.join(map(self.written, parts))}]"
        return WORDS.get(hint) or str(hint.__name__)


def _defaults(told: Iterable[type[msgspec.Struct]]) -> dict[str, dict[str, Any]]:
    """By type of message the fields that have a default. All three kinds of `ready` share one."""
    found: dict[str, dict[str, Any]] = {}
    for one in told:
        tag = one.__struct_config__.tag
        fields = {
            field.encode_name: msgspec.to_builtins(field.default)
            for field in msgspec.structs.fields(one)
            if not field.required and field.default not in (msgspec.UNSET, msgspec.NODEFAULT)
        }
        if fields:
            found.setdefault(str(tag or one.__name__), {}).update(fields)
    return found


def _comment(one: type) -> str:
    text = inspect.cleandoc(one.__doc__ or "").replace("``", "`").replace("None", "null")
    text = text.replace(":class:", "")
    if "\n" not in text:
        return f"/** {text} */\n"
    lines = "".join(f" * {line}".rstrip() + "\n" for line in text.splitlines())
    return f"/**\n{lines} */\n"


def _alternatives(words: Sequence[str]) -> str:
    line = " " + " | ".join(words)
    if len(line) < WIDTH - 20:
        return line
    return "".join(f"\n  | {word}" for word in words)


def _listed(words: Iterable[str]) -> str:
    return "".join(f"\n  {json.dumps(word)}," for word in words) + "\n"


def _constant(name: str, kind: str, value: Any) -> str:
    return f"export const {name}: {kind} = {json.dumps(value, indent=2)};\n"
