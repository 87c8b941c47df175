"""What is wrong with a configuration, in its writer's words: which key, and what would do."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args, get_origin

import msgspec

_EXPECTED = re.compile(r"Expected `([a-z]+)[^`]*`(?: (>=|>|<=) (\S+))?")
_KINDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a section",
}
_BOUNDS = {">": "above", ">=": "from", "<=": "up to"}


def explain(error: msgspec.ValidationError, struct: type[msgspec.Struct]) -> str:
    """`key: what to give there` for a value that `struct` doesn't take."""
    what, place = _parts(error)
    if "unknown field" in what:
        key = what.rpartition("unknown field ")[2].strip("`")
        known = sorted(field.encode_name for field in msgspec.structs.fields(_entry(_type_at(struct, place))))
        section = f" in [{place}]" if place else ""
        return f"unknown key `{key}`{section}: known there are {', '.join(known)}"
    return f"{place or 'the file'}: {advice(error, struct)}"


def advice(error: msgspec.ValidationError, struct: type[msgspec.Struct]) -> str:
    """What to give instead of the value that `struct` doesn't take."""
    what, place = _parts(error)
    if what.startswith("Invalid enum value"):
        return f"choose {' or '.join(choices(_type_at(struct, place)))}"
    if "matching regex" in what:
        return f"write it as {described(_type_at(struct, place))}"
    if expected := _EXPECTED.match(what):
        kind, sign, bound = expected.groups()
        limit = f" {_BOUNDS[sign]} {float(bound):g}" if sign else ""
        return f"give {_KINDS.get(kind, kind)}{limit}"
    return what[0].lower() + what[1:]


def choices(kind: Any) -> list[str]:
    """The words that a type allows, where it allows only some."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [word for part in get_args(kind) for word in choices(part)]


def described(kind: Any) -> str:
    """What a type takes, where its annotation says it in words."""
    if isinstance(kind, msgspec.Meta):
        return kind.description or ""
    annotations = getattr(kind, "__metadata__", ())
    return next(filter(None, map(described, (*annotations, *get_args(kind)))), "")


def _parts(error: msgspec.ValidationError) -> tuple[str, str]:
    """What is wrong, and the dotted key where."""
    what, _, where = str(error).partition(" - at ")
    return what, re.sub(r"^`key` in |`|\$\.?|\[.*?\]", "", where)


def _type_at(struct: type[msgspec.Struct], place: str) -> Any:
    found: Any = struct
    for name in filter(None, place.split(".")):
        fields = msgspec.structs.fields(_entry(found))
        found = next(field.type for field in fields if field.encode_name == name)
    return found


def _entry(kind: Any) -> Any:
    """What each table of a section of named tables is; any other type is itself."""
    return get_args(kind)[1] if get_origin(kind) is dict else kind
