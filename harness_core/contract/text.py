"""The text of a contract: from the agents' file to values with places, and back.

`parse` and `read` give a `Contract`; `render` gives the text of the same file with other `passes` values.
Rendering replaces those values in the source text and touches nothing else, so a file keeps its form, key
order, indentation and line ends, and an agent's next exact-match edit still finds what it has read.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from harness_core.contract.places import (
    Json,
    Member,
    Misread,
    Node,
    canonical,
    locate,
    quoted,
    read_document,
    require_characters,
)
from harness_core.errors import ContractError, ContractMissing

MAX_BYTES = 16 * 1024 * 1024
"""Contracts larger than this are refused unread."""
RETRY_DELAYS = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
"""Seconds between the tries to read a file that someone may be rewriting in place."""


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


def read(
    path: Path, sleep: Callable[[float], None] = time.sleep, delays: Sequence[float] = RETRY_DELAYS
) -> Contract:
    """The contract in the file at `path`. A text that doesn't parse is read again after each of `delays`,
    since an agent may be rewriting it in place. Raises ContractError."""
    for delay in delays:
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
        return _contract(text, name)
    except Misread as error:
        where = f"{name}, {locate(text, error.at)}{_feature_at(error.path)}"
        raise ContractError(f"{where}: {error.what}.") from None


def _load(path: Path) -> bytes:
    """At most MAX_BYTES + 1 bytes of a regular file; never waits at a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ContractError(f"{path.name} isn't a regular file.")
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ContractMissing(f"{path.name} isn't there.") from None
    except OSError as error:
        raise ContractError(f"{path.name} can't be read: {error.strerror or error}.") from None


def _contract(text: str, name: str) -> Contract:
    """Raises Misread."""
    root = read_document(text)
    form, nodes, others = _shape(root)
    if not nodes:
        raise Misread("it has 0 features", root.start)
    features: dict[str, Feature] = {}
    for index, (key, node) in enumerate(nodes):
        try:
            feature = _feature(text, index, key, node)
        except Misread as error:
            raise Misread(error.what, error.at, (index,)) from None
        if feature.id in features:
            first = features[feature.id].index + 1
            raise Misread(
                f"feature number {first} has the same id {quoted(feature.id)}", node.start, (index,)
            )
        features[feature.id] = feature
    frozen = tuple(sorted((member.key, _frozen(member.node)) for member in others))
    return Contract(name, form, tuple(features.values()), frozen, text)


def _shape(root: Node) -> tuple[Form, list[tuple[str, Node]], list[Member]]:
    """The form, the features with their keys, and the top-level members beside them."""
    if root.items is not None:
        return Form.LIST, [("", item) for item in root.items], []
    if root.members is None:
        raise Misread("it is neither a list nor a map of features", root.start)
    inner = next((member.node for member in root.members if member.key == "features"), None)
    others = [member for member in root.members if member.key != "features"]
    if inner is not None and inner.items is not None:
        return Form.FEATURES_LIST, [("", item) for item in inner.items], others
    if inner is not None and inner.members is None:
        raise Misread('"features" is neither a list nor a map', inner.start)
    # A map of features may have one that is called "features".
    if (
        inner is not None
        and inner.members is not None
        and all(part.node.members is not None for part in inner.members)
    ):
        return Form.FEATURES_MAP, [(member.key, member.node) for member in inner.members], others
    return Form.MAP, [(member.key, member.node) for member in root.members], []


def _feature(text: str, index: int, key: str, node: Node) -> Feature:
    if node.members is None:
        what = f"{quoted(key)} isn't a feature" if key else "it isn't an object"
        raise Misread(f"{what}, which has the form {{description, steps, passes}}", node.start)
    nodes = {member.key: member.node for member in node.members}
    values = {name: part.value for name, part in nodes.items()}
    passes = values.get("passes")
    odd = "passes" in values and not isinstance(passes, bool)
    steps = values.get("steps")
    feature_id = _id(index, key, nodes.get("id"))
    require_characters(feature_id, node.start)
    return Feature(
        id=feature_id,
        index=index,
        key=key,
        category=_text(values.get("category")),
        description=_text(values.get("description")),
        steps=tuple(_text(step) for step in (steps if isinstance(steps, list) else [steps] if steps else [])),
        texts=tuple(sorted((name, _frozen(part)) for name, part in nodes.items() if name != "passes")),
        passes=passes is True,
        odd_passes=_frozen(nodes["passes"]) if odd else None,
        slot=_slot(text, node, nodes.get("passes"), node.members),
    )


def _id(index: int, key: str, node: Node | None) -> str:
    value = None if node is None else node.value
    if value is None or value == "":
        return key or f"F{index + 1:03d}"
    if node is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
        raise Misread("its id is neither a text nor a number", node.start)
    return _text(value)


def _slot(text: str, node: Node, passes: Node | None, members: Sequence[Member]) -> Slot:
    if passes is not None:
        return Slot(passes.start, passes.end)
    if not members:
        return Slot(node.start + 1, node.end - 1, "")
    last = members[-1]
    return Slot(last.node.end, last.node.end, f",{text[last.lead_start : last.key_start] or ' '}")


def _frozen(node: Node) -> str:
    """A value's frozen text."""
    text = canonical(node.value)
    require_characters(text, node.start)
    return text


def _text(value: Json) -> str:
    """A value as a person would write it: a text as it is, nothing for null, else its JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical(value)


def _feature_at(path: tuple[str | int, ...]) -> str:
    """Which feature the way to a place leads to, as the rest of a sentence's address."""
    way = path[1:] if path[:1] == ("features",) else path
    if not way:
        return ""
    return f", feature number {way[0] + 1}" if isinstance(way[0], int) else f", in {quoted(way[0])}"
