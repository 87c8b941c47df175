"""Makes a value fit a JSON schema: a script says what it means, the request says in which form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

Schema = Mapping[str, object]


def fit(schema: Schema, wanted: object = None, root: Schema | None = None) -> object:
    """`wanted` in the form that `schema` asks for; what is missing gets the plainest value that fits."""
    root = root or schema
    schema = _resolved(schema, wanted, root)
    if "const" in schema:
        return schema["const"]
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return wanted if wanted in choices else choices[0]
    match _kind(schema):
        case "object":
            return _object(schema, wanted if isinstance(wanted, Mapping) else {}, root)
        case "array":
            items = schema.get("items")
            values = wanted if isinstance(wanted, list) else []
            return [fit(items, value, root) for value in values] if isinstance(items, Mapping) else values
        case "string":
            return wanted if isinstance(wanted, str) else "As agreed."
        case "boolean":
            return wanted if isinstance(wanted, bool) else True
        case "integer" | "number":
            return _number(schema, wanted)
        case "null":
            return None
    return wanted


def definition(schema: Schema, *path: str) -> Schema:
    """The part of a schema that lies at `path` (`items` for a list's elements); {} where there is none."""
    root = schema
    for name in path:
        schema = _resolved(schema, None, root)
        properties = schema.get("properties")
        inner = schema.get("items") if name == "items" else _mapping(properties).get(name)
        schema = _mapping(inner)
    return _resolved(schema, None, root) if schema else {}


def _object(schema: Schema, wanted: Mapping[str, object], root: Schema) -> dict[str, object]:
    properties = _mapping(schema.get("properties"))
    if not properties:
        return dict(wanted)
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) else set()
    return {
        name: fit(_mapping(inner), wanted.get(name), root)
        for name, inner in properties.items()
        if name in wanted or name in needed
    }


def _number(schema: Schema, wanted: object) -> int | float:
    number = wanted if isinstance(wanted, int | float) else 8
    low, high = schema.get("minimum"), schema.get("maximum")
    number = max(number, low) if isinstance(low, int | float) else number
    number = min(number, high) if isinstance(high, int | float) else number
    return int(number) if schema.get("type") == "integer" else number


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else ""


def _resolved(schema: Schema, wanted: object, root: Schema) -> Schema:
    """The schema itself, with a local reference followed and the fitting alternative chosen."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        found: object = root
        for name in reference[2:].split("/"):
            found = _mapping(found).get(name)
        return _resolved(_mapping(found), wanted, root)
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if isinstance(options, list) and options:
            chosen = [
                option for option in options if (_mapping(option).get("type") == "null") == (wanted is None)
            ]
            return _resolved(_mapping((chosen or options)[0]), wanted, root)
    kinds = schema.get("type")
    if isinstance(kinds, list) and kinds:
        plain = [kind for kind in kinds if kind != "null"] or kinds
        return {**schema, "type": "null" if wanted is None and "null" in kinds else plain[0]}
    return schema


def _mapping(value: object) -> Schema:
    return cast(Schema, value) if isinstance(value, Mapping) else {}
