"""The contract guard: what a call of a file tool would make of the agents' contract file.

`check` simulates the call on the file's text and compares the outcome with the contract of record. Text never
changes; one feature at a time may be claimed, which the caller checks for evidence; stepping back is free. A
call that can't be simulated is denied.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness_core.contract.record import Contract, compare, describe, parse
from harness_core.errors import ContractError
from harness_core.guards import Denial, ToolCall

NAME = "contract"

CONTENT_KEYS = ("content", "contents", "file_text", "text")
OLD_KEYS = ("old_string", "oldText", "old_text", "old_str")
NEW_KEYS = ("new_string", "newText", "new_text", "new_str")
PATH_KEYS = ("file_path", "path", "filePath", "filepath", "notebook_path", "file", "filename", "uri")

_READING_TOOLS = frozenset({"Read", "Grep", "Glob", "LS", "NotebookRead"})
_READING_MCP = re.compile(
    r"(read|get|list|search|stat|view|head|tail|grep|find|directory_tree|diff|tree)(_|$)"
)
_CHANGING_WORD = re.compile(
    r"write|edit|replace|update|set(_|$)|delete|remove|move|rename|create|apply|append|patch|insert|save|put|truncate"
    r"|copy|overwrite|modify"
)
_WRITING_MCP = re.compile(r"(write|create|save|overwrite|replace|put|set|update)(_|$)")
_EDITING_MCP = re.compile(r"(edit|str_replace|replace|update|modify|multi_?edit)(_|$)")
_JS_PATTERNS = re.compile(r"\$[$&`']")
"""What a replacement text means to JavaScript's `replace`, by which MCP servers edit."""


class Kind(StrEnum):
    """What a call does to the contract."""

    DENIED = "denied"
    UNCHANGED = "unchanged"
    STEP_BACK = "step back"
    """Features go from true to false, which needs no evidence."""
    CLAIM = "claim"
    """One feature goes from false to true: allowed if its evidence holds, which the caller checks."""


@dataclass(frozen=True, slots=True)
class ContractCall:
    """The verdict on one call. `features` are the ids stepped back, or the one claimed; `text` is what the
    file holds after the call, None for a call that is denied or only reads."""

    kind: Kind
    reason: str = ""
    features: tuple[str, ...] = ()
    text: str | None = None

    @property
    def denial(self) -> Denial | None:
        """The guard's denial, if the call is denied."""
        return Denial(NAME, self.reason) if self.kind is Kind.DENIED else None


def is_contract(target: Path, contract: Path) -> bool:
    """Whether a resolved path means the contract file on some file system: by its name without regard to case
    or to dots and spaces at its end, or because it is the same file."""
    if _loose(target) == _loose(contract):
        return True
    try:
        return os.path.samefile(target, contract)
    except (OSError, ValueError):
        return False


def _loose(path: Path) -> str:
    return str(path).casefold().rstrip(". ")


def check(
    call: ToolCall, record: Contract, passing: AbstractSet[str], current_text: str | None
) -> ContractCall:
    """What `call`, whose target is the contract, does to it.

    `record` and `passing` are the contract of record and the ids whose `passes` is true in it; `current_text`
    is what the file holds now, None if it isn't there.
    """
    if _only_reads(call.tool):
        return ContractCall(Kind.UNCHANGED)
    try:
        text = _simulate(call, current_text)
    except _CannotTell as error:
        return _denied(f"{record.name} wasn't changed: {error}.")
    try:
        found = parse(text, record.name)
    except ContractError as error:
        return _denied(f"This would break {record.name} ({error}) Change only one value of `passes`.")
    change = compare(record, passing, found)
    if change.touches_text:
        return _denied(
            f"The text of {record.name} is frozen, only `passes` may change; in this call {describe(change)} "
            "Start from the file as it is."
        )
    if change.to_true and change.to_false:
        return _denied(
            f"One call may claim one feature or step back, not both: {describe(change)} Step back first."
        )
    if len(change.to_true) > 1:
        return _denied(
            f"One feature at a time: {describe(change)} Claim each on its own, with evidence made for it."
        )
    if change.to_true:
        return ContractCall(Kind.CLAIM, features=change.to_true, text=text)
    if change.to_false:
        return ContractCall(Kind.STEP_BACK, features=change.to_false, text=text)
    return ContractCall(Kind.UNCHANGED, text=text)


def _denied(reason: str) -> ContractCall:
    return ContractCall(Kind.DENIED, reason)


class _CannotTell(Exception):
    """What the call makes of the file can't be told; the message says why."""


def _only_reads(tool: str) -> bool:
    if not tool.startswith("mcp__"):
        return tool in _READING_TOOLS
    name = tool.rpartition("__")[2].lower()
    return bool(_READING_MCP.match(name)) and not _CHANGING_WORD.search(name)


def _simulate(call: ToolCall, current: str | None) -> str:
    """The file's text after the call, with `\\n` as line end. Raises _CannotTell."""
    given = call.input
    if call.tool == "Write":
        _only(given, {"file_path", "content"})
        return _content(given, ("content",))
    if call.tool in {"Edit", "MultiEdit"}:
        _only(given, {"file_path", "old_string", "new_string", "replace_all", "edits"})
        return _edited(_present(current), _edits(given), javascript=False)
    name = call.tool.rpartition("__")[2].lower() if call.tool.startswith("mcp__") else ""
    has_content = any(key in given for key in CONTENT_KEYS)
    if _WRITING_MCP.match(name) and has_content:
        _only(given, {*PATH_KEYS, *CONTENT_KEYS})
        return _content(given, CONTENT_KEYS)
    if _EDITING_MCP.match(name) and not has_content:
        if given.get("dryRun") is True:
            return _present(current)
        _only(given, {*PATH_KEYS, *OLD_KEYS, *NEW_KEYS, "replace_all", "edits", "dryRun"})
        return _edited(_present(current), _edits(given), javascript=True)
    raise _CannotTell(f"what {call.tool} would do to it can't be told; use Edit for one value of `passes`")


def _only(given: Mapping[str, object], known: AbstractSet[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise _CannotTell(f"the input {unknown[0]!r} isn't known; use Edit for one value of `passes`")


def _present(current: str | None) -> str:
    if current is None:
        raise _CannotTell("it isn't there or can't be read, so it can't be edited")
    return _unix(current)


def _content(given: Mapping[str, object], keys: tuple[str, ...]) -> str:
    values = [given[key] for key in keys if key in given]
    if len(values) != 1 or not isinstance(values[0], str):
        raise _CannotTell("the call needs its content, once and as text")
    return _unix(values[0])


@dataclass(frozen=True, slots=True)
class _Edit:
    old: str
    new: str
    everywhere: bool


def _edits(given: Mapping[str, object]) -> list[_Edit]:
    rows = given.get("edits")
    if rows is None:
        return [_edit(given)]
    if not isinstance(rows, list) or not rows or any(key in given for key in (*OLD_KEYS, *NEW_KEYS)):
        raise _CannotTell("`edits` isn't a list of edits")
    return [_edit(row) for row in rows]


def _edit(row: object) -> _Edit:
    if not isinstance(row, Mapping):
        raise _CannotTell("an edit isn't an object")
    everywhere = row.get("replace_all", False)
    if not isinstance(everywhere, bool):
        raise _CannotTell("`replace_all` is neither true nor false")
    return _Edit(_one_text(row, OLD_KEYS), _one_text(row, NEW_KEYS), everywhere)


def _one_text(row: Mapping[str, object], keys: tuple[str, ...]) -> str:
    values = [row[key] for key in keys if key in row]
    if len(values) != 1 or not isinstance(values[0], str):
        raise _CannotTell("an edit needs its old and its new text, each once")
    return _unix(values[0])


def _edited(text: str, edits: list[_Edit], *, javascript: bool) -> str:
    for edit in edits:
        count = text.count(edit.old) if edit.old else 0
        if count == 0:
            raise _CannotTell("the text to replace isn't in it as given; read it again")
        if count > 1 and not edit.everywhere:
            raise _CannotTell(
                f"the text to replace is in it {count} times; give more of it, so that it's once"
            )
        if javascript and _JS_PATTERNS.search(edit.new):
            raise _CannotTell("the new text has a `$` pattern, which may be read in two ways")
        text = text.replace(edit.old, edit.new)
    return text


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
