"""The text of a contract: from the agents' file to values with places, and back.

`parse` and `read` give a `Contract`; `render` gives the text of the same file with other `passes` values.
Rendering replaces those values in the source text and touches nothing else, so a file keeps its form, key
order, indentation and line ends, and an agent's next exact-match edit still finds what it has read.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NoReturn, TypeAlias

from harness_core.errors import ContractError

MAX_BYTES = 16 * 1024 * 1024
"""Contracts larger than this are refused unread."""
MAX_DEPTH = 48
"""Deepest nesting of lists and objects that a contract may have."""
RETRY_DELAYS = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
"""Seconds between the tries to read a file that someone may be rewriting in place."""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


class Form(StrEnum):
    """How a contract file holds its features."""

    LIST = "list"
    MAP = "map"
    FEATURES_LIST = "features list"
    FEATURES_MAP = "features map"

    @property
    def ordered(self) -> bool:
        """True where the order of the features is part of the text."""
        return self in (Form.LIST, Form.FEATURES_LIST)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where `passes` stands in the source: text[start:end], or where it has to be put in with `lead`."""

    start: int
    end: int
    lead: str | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature, its text frozen. `index` counts from 0; `key` is its key in a map, else empty."""

    id: str
    index: int
    key: str
    category: str
    description: str
    steps: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]
    """Every key but `passes` with its value as canonical JSON, sorted by key: the frozen text."""
    passes: bool
    """True only if the file says JSON `true`."""
    odd_passes: str | None
    """The canonical JSON of a `passes` that is there and not a boolean."""
    slot: Slot = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract file as parsed: the features in order, the other top-level keys, and the source text."""

    name: str
    form: Form
    features: tuple[Feature, ...]
    others: tuple[tuple[str, str], ...]
    """Top-level keys beside `features` with their values as canonical JSON, sorted by key."""
    text: str = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a text; both count from 1, the column in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


def locate(text: str, pos: int) -> Place:
    """The line and column of the character at `pos`."""
    return Place(text.count("\n", 0, pos) + 1, pos - text.rfind("\n", 0, pos))


def passing_ids(contract: Contract) -> frozenset[str]:
    """The ids of the features whose `passes` is JSON `true`."""
    return frozenset(feature.id for feature in contract.features if feature.passes)


def render(contract: Contract, passing: AbstractSet[str]) -> str:
    """The source text with `passes` true for the ids in `passing` and false for all others."""
    pieces: list[str] = []
    done = 0
    for feature in sorted(contract.features, key=lambda feature: feature.slot.start):
        slot = feature.slot
        value = "true" if feature.id in passing else "false"
        pieces.append(contract.text[done : slot.start])
        pieces.append(value if slot.lead is None else f'{slot.lead}"passes": {value}')
        done = slot.end
    pieces.append(contract.text[done:])
    return "".join(pieces)


def read(path: Path, sleep: Callable[[float], None] = time.sleep) -> Contract:
    """The contract in the file at `path`. A text that doesn't parse is read again a few times, since an
    agent may be rewriting it in place. Raises ContractError."""
    for delay in RETRY_DELAYS:
        try:
            return parse_bytes(_load(path), path.name)
        except ContractError:
            sleep(delay)
    return parse_bytes(_load(path), path.name)


def parse_bytes(data: bytes, name: str) -> Contract:
    """As `parse`, for bytes that should be UTF-8. Raises ContractError."""
    if len(data) > MAX_BYTES:
        raise ContractError(f"{name} is {len(data)} bytes; a contract may have {MAX_BYTES}.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ContractError(f"{name} isn't UTF-8: line {line} has a byte that can't be read.") from None
    return parse(text, name)


def parse(text: str, name: str) -> Contract:
    """The contract in `text`; `name` is the file's name for the sentences. Raises ContractError, which says
    what is wrong, at which line and column, and in which feature."""
    if text.startswith("\ufeff"):
        raise ContractError(f"{name} starts with a byte order mark (line 1, column 1): save it without.")
    try:
        return _Parser(text, name).contract()
    except RecursionError:
        raise ContractError(f"{name} is nested too deeply; {MAX_DEPTH} levels are allowed.") from None


def quoted(text: str, limit: int = 60) -> str:
    """A key or id for a sentence: in quotes, escaped, cut after `limit` characters."""
    return json.dumps(text if len(text) <= limit else text[:limit] + "…", ensure_ascii=False)


def _load(path: Path) -> bytes:
    """At most MAX_BYTES + 1 bytes of a regular file; never waits at a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ContractError(f"{path.name} isn't a regular file.")
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ContractError(f"{path.name} isn't there.") from None
    except OSError as error:
        raise ContractError(f"{path.name} can't be read: {error.strerror or error}.") from None


@dataclass(frozen=True, slots=True)
class _Node:
    """A JSON value and its span; objects and lists of the upper levels also have their parts."""

    start: int
    end: int
    value: Json
    members: tuple[_Member, ...] | None = None
    items: tuple[_Node, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Member:
    key: str
    key_start: int
    lead_start: int
    """Where the white space before the key begins."""
    node: _Node


class _Bad(ValueError):
    """A value that `json` takes and a contract doesn't."""


_SPACE = re.compile(r"[ \t\n\r]*")
_UPPER_LEVELS = 3
"""Levels whose places are needed: the document, the features, one feature."""
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


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
_FEATURE_KEYS = frozenset({"category", "description", "steps", "passes"})


class _Parser:
    """One parse of one text. `path` is the way of keys and indexes to what is being read."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.path: list[str | int] = []

    def contract(self) -> Contract:
        start = self._space(0)
        if start == len(self.text):
            self._fail("it is empty", start)
        root = self._node(start, _UPPER_LEVELS)
        end = self._space(root.end)
        if end != len(self.text):
            self._fail("there is more after the end of the document", end)
        form, nodes, others = self._shape(root)
        if not nodes:
            self._fail("it has 0 features", root.start)
        features: list[Feature] = []
        places: dict[str, int] = {}
        for index, (key, node) in enumerate(nodes):
            feature = self._feature(index, key, node)
            if feature.id in places:
                first = places[feature.id] + 1
                self._fail(f"feature number {first} has the same id {quoted(feature.id)}", node.start, index)
            places[feature.id] = index
            features.append(feature)
        frozen = tuple(sorted((member.key, self._canonical(member.node)) for member in others))
        return Contract(self.name, form, tuple(features), frozen, self.text)

    def _shape(self, root: _Node) -> tuple[Form, list[tuple[str, _Node]], list[_Member]]:
        if root.items is not None:
            return Form.LIST, [("", item) for item in root.items], []
        if root.members is None:
            self._fail("it is neither a list nor a map of features", root.start)
        inner = next((member.node for member in root.members if member.key == "features"), None)
        others = [member for member in root.members if member.key != "features"]
        if inner is not None and inner.items is not None:
            return Form.FEATURES_LIST, [("", item) for item in inner.items], others
        if inner is not None and (
            inner.members is None or all(member.node.members is not None for member in inner.members)
        ):
            if inner.members is None:
                self._fail('"features" is neither a list nor a map', inner.start)
            return Form.FEATURES_MAP, [(member.key, member.node) for member in inner.members], others
        return Form.MAP, [(member.key, member.node) for member in root.members], []

    def _feature(self, index: int, key: str, node: _Node) -> Feature:
        if node.members is None:
            what = f"{quoted(key)} isn't a feature" if key else "it isn't an object"
            self._fail(f"{what}, which has the form {{description, steps, passes}}", node.start, index)
        nodes = {member.key: member.node for member in node.members}
        values = {name: part.value for name, part in nodes.items()}
        passes = values.get("passes")
        odd = "passes" in values and not isinstance(passes, bool)
        steps = values.get("steps")
        feature_id = self._id(index, key, nodes.get("id"))
        self._clean(feature_id, node.start)
        return Feature(
            id=feature_id,
            index=index,
            key=key,
            category=_text(values.get("category")),
            description=_text(values.get("description")),
            steps=tuple(
                _text(step) for step in (steps if isinstance(steps, list) else [steps] if steps else [])
            ),
            texts=tuple(
                sorted((name, self._canonical(part)) for name, part in nodes.items() if name != "passes")
            ),
            passes=passes is True,
            odd_passes=self._canonical(nodes["passes"]) if odd else None,
            slot=self._slot(node, nodes.get("passes"), node.members),
        )

    def _id(self, index: int, key: str, node: _Node | None) -> str:
        value = None if node is None else node.value
        if value is None or value == "":
            return key or f"F{index + 1:03d}"
        if node is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
            self._fail("its id is neither a text nor a number", node.start, index)
        return _text(value)

    def _slot(self, node: _Node, passes: _Node | None, members: Sequence[_Member]) -> Slot:
        if passes is not None:
            return Slot(passes.start, passes.end)
        if not members:
            return Slot(node.start + 1, node.end - 1, "")
        last = members[-1]
        between = self.text[last.lead_start : last.key_start]
        lead = between if between or len(members) == 1 else " "
        return Slot(last.node.end, last.node.end, f",{lead or ' '}")

    def _canonical(self, node: _Node) -> str:
        text = _encode(node.value)
        self._clean(text, node.start)
        return text

    def _clean(self, text: str, at: int) -> None:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self._fail("it has half of a surrogate pair, which isn't a character", at)

    def _node(self, at: int, levels: int) -> _Node:
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
        return _Node(at, end, value)

    def _object(self, start: int, levels: int) -> _Node:
        members: list[_Member] = []
        seen: set[str] = set()
        for lead, at in self._parts(start, "}"):
            if not self.text.startswith('"', at):
                self._fail("a key in double quotes is missing", at)
            try:
                key, end = _decoder.raw_decode(self.text, at)
            except json.JSONDecodeError as error:
                self._fail(error.msg, error.pos)
            self._clean(key, at)
            colon = self._space(end)
            if not self.text.startswith(":", colon):
                self._fail("a colon is missing", colon)
            self.path.append(key)
            if key in seen:
                self._fail(f"the key {quoted(key)} is there twice", at)
            seen.add(key)
            node = self._node(self._space(colon + 1), levels - 1)
            self.path.pop()
            members.append(_Member(key, at, lead, node))
            self.next_part = node.end
        value: dict[str, Json] = {member.key: member.node.value for member in members}
        return _Node(start, self.next_part, value, members=tuple(members))

    def _list(self, start: int, levels: int) -> _Node:
        items: list[_Node] = []
        for _, at in self._parts(start, "]"):
            self.path.append(len(items))
            items.append(self._node(at, levels - 1))
            self.path.pop()
            self.next_part = items[-1].end
        return _Node(start, self.next_part, [item.value for item in items], items=tuple(items))

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

    def _fail(self, what: str, at: int, index: int | None = None) -> NoReturn:
        where = f"{self.name}, {locate(self.text, at)}"
        feature = f"feature number {index + 1}" if index is not None else self._feature_on_path()
        raise ContractError(f"{where}{', ' if feature else ''}{feature}: {what}.")

    def _feature_on_path(self) -> str:
        """Which feature is being read, as far as the way to it tells."""
        way = self.path[1:] if self.path[:1] == ["features"] else self.path
        if not way:
            return ""
        return f"feature number {way[0] + 1}" if isinstance(way[0], int) else f"in {quoted(way[0])}"


def _text(value: Json) -> str:
    """A value as a person would write it: a text as it is, nothing for null, else its JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode(value)


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
