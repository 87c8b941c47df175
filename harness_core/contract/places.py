"""JSON with places: where in the text each value of a document's upper levels stands.

`read_document` is stricter than `json`: a key may be there once, NaN and infinity aren't values, and nesting
has a limit. What it can't take is a `Misread`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

MAX_DEPTH = 48
_QUOTED = 60
"""Characters of a key or id that are shown."""
"""Deepest nesting of lists and objects that a document may have."""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


class Misread(Exception):
    """A text that isn't taken: what is wrong, at which character, and the keys and indexes above it."""

    def __init__(self, what: str, at: int, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.at = at
        self.path = path


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a text; both count from 1, the column in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value and its span; objects and lists of the upper levels also have their parts."""

    start: int
    end: int
    value: Json
    members: tuple[Member, ...] | None = None
    items: tuple[Node, ...] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A key of an object and its value."""

    key: str
    key_start: int
    lead_start: int
    """Where the white space before the key begins."""
    node: Node


def locate(text: str, pos: int) -> Place:
    """The line and column of the character at `pos`."""
    return Place(text.count("\n", 0, pos) + 1, pos - text.rfind("\n", 0, pos))


def read_document(text: str) -> Node:
    """The one JSON value that `text` holds. Raises Misread."""
    return _Reader(text).document()


def canonical(value: Json) -> str:
    """A value as compact JSON with sorted keys."""
    return _encoder.encode(value)


def quoted(text: str) -> str:
    """A key or id for a sentence: in quotes, escaped, cut where it is long."""
    return json.dumps(text if len(text) <= _QUOTED else text[:_QUOTED] + "…", ensure_ascii=False)


def require_characters(text: str, at: int) -> None:
    """Raises Misread if `text`, found at `at`, can't be written as UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Misread("it has half of a surrogate pair, which isn't a character", at) from None


class _Bad(ValueError):
    """A value that `json` takes and a contract doesn't."""


_SPACE = re.compile(r"[ \t\n\r]*")
_UPPER_LEVELS = 3
"""Levels whose places are needed: the document, the features, one feature."""
_encoder = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        again = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Bad(f"the key {quoted(again)} is there twice")
    return found


def _number(text: str) -> float | int:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Bad(f"the number {text[:20]} is too large")
    # Programs that rewrite JSON turn 1.0 into 1; that is formatting.
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _constant(text: str) -> NoReturn:
    raise _Bad(f"{text} isn't JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_number, parse_constant=_constant)


class _Reader:
    """One reading of one text. `path` is the way of keys and indexes to what is being read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.path: list[str | int] = []
        self.next_part = 0

    def document(self) -> Node:
        start = self._space(0)
        if start == len(self.text):
            self._fail("it is empty", start)
        try:
            # A list has no level between the document and what it lists.
            root = self._node(start, _UPPER_LEVELS - self.text.startswith("[", start))
        except RecursionError:
            self._fail(f"it is nested too deeply; {MAX_DEPTH} levels are allowed", start)
        end = self._space(root.end)
        if end != len(self.text):
            self._fail("there is more after the end of the document", end)
        return root

    def _node(self, at: int, levels: int) -> Node:
        if levels and self.text.startswith("{", at):
            return self._object(at, levels)
        if levels and self.text.startswith("[", at):
            return self._list(at, levels)
        try:
            value, end = _decoder.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            self._fail(error.msg, error.pos)
        except _Bad as error:
            self._fail(str(error), at)
        except ValueError:
            self._fail("a number has too many digits", at)
        if isinstance(value, dict | list) and _deeper(value, MAX_DEPTH - _UPPER_LEVELS):
            self._fail(f"it is nested too deeply; {MAX_DEPTH} levels are allowed", at)
        return Node(at, end, value)

    def _object(self, start: int, levels: int) -> Node:
        members: list[Member] = []
        seen: set[str] = set()
        for lead, at in self._parts(start, "}"):
            if not self.text.startswith('"', at):
                self._fail("a key in double quotes is missing", at)
            try:
                key, end = _decoder.raw_decode(self.text, at)
            except json.JSONDecodeError as error:
                self._fail(error.msg, error.pos)
            require_characters(key, at)
            colon = self._space(end)
            if not self.text.startswith(":", colon):
                self._fail("a colon is missing", colon)
            self.path.append(key)
            if key in seen:
                self._fail(f"the key {quoted(key)} is there twice", at)
            seen.add(key)
            node = self._node(self._space(colon + 1), levels - 1)
            self.path.pop()
            members.append(Member(key, at, lead, node))
            self.next_part = node.end
        value: dict[str, Json] = {member.key: member.node.value for member in members}
        return Node(start, self.next_part, value, members=tuple(members))

    def _list(self, start: int, levels: int) -> Node:
        items: list[Node] = []
        for _, at in self._parts(start, "]"):
            self.path.append(len(items))
            items.append(self._node(at, levels - 1))
            self.path.pop()
            self.next_part = items[-1].end
        return Node(start, self.next_part, [item.value for item in items], items=tuple(items))

    def _parts(self, start: int, closing: str) -> Iterator[tuple[int, int]]:
        """For each part of the object or list at `start`: where the space before it begins, and it itself.
        The consumer sets `next_part` to the part's end; when all are seen, it is the end of the whole."""
        lead = start + 1
        at = self._space(lead)
        if self.text.startswith(closing, at):
            self.next_part = at + 1
            return
        while True:
            yield lead, at
            after = self._space(self.next_part)
            if self.text.startswith(closing, after):
                self.next_part = after + 1
                return
            if not self.text.startswith(",", after):
                self._fail(f"a comma or {closing} is missing", after)
            lead = after + 1
            at = self._space(lead)
            if self.text.startswith(closing, at):
                self._fail(f"a comma stands before {closing}", after)

    def _space(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def _fail(self, what: str, at: int) -> NoReturn:
        raise Misread(what, at, tuple(self.path))


def _deeper(value: Json, limit: int) -> bool:
    """Whether lists and objects nest deeper than `limit` in `value`."""
    level: list[Json] = [value]
    for _ in range(limit):
        nested: list[Json] = []
        for part in level:
            if isinstance(part, dict):
                nested.extend(part.values())
            elif isinstance(part, list):
                nested.extend(part)
        level = [part for part in nested if isinstance(part, dict | list)]
        if not level:
            return False
    return True
