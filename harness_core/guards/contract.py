"""The contract guard: what a call of a file tool would make of the agents' contract file.

Other tools never get here: of those of MCP servers none may write the contract at all.

`check` simulates the call on the file's text and compares the outcome with the contract of record. Text never
changes; one feature at a time may be claimed, which the caller checks for evidence; stepping back is free. A
call that can't be simulated is denied.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness_core.contract.record import Contract, compare, describe, parse
from harness_core.errors import ContractError
from harness_core.guards import Denial, ToolCall

NAME = "contract"


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
    file holds after the call, None for a call that is denied."""

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


def _simulate(call: ToolCall, current: str | None) -> str:
    """The file's text after the call, with `\\n` as line end. Raises _CannotTell."""
    given = call.input
    if call.tool == "Write":
        _only(given, {"file_path", "content"})
        return _text(given, "content", "the call needs its content, as text")
    if call.tool in {"Edit", "MultiEdit"}:
        _only(given, {"file_path", "old_string", "new_string", "replace_all", "edits"})
        return _edited(_present(current), _edits(given))
    raise _CannotTell(f"what {call.tool} would do to it can't be told; use Edit for one value of `passes`")


def _only(given: Mapping[str, object], known: AbstractSet[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise _CannotTell(f"the input {unknown[0]!r} isn't known; use Edit for one value of `passes`")


def _present(current: str | None) -> str:
    if current is None:
        raise _CannotTell("it isn't there or can't be read, so it can't be edited")
    return _unix(current)


@dataclass(frozen=True, slots=True)
class _Edit:
    old: str
    new: str
    everywhere: bool


def _edits(given: Mapping[str, object]) -> list[_Edit]:
    rows = given.get("edits")
    if rows is None:
        return [_edit(given)]
    if not isinstance(rows, list) or not rows or "old_string" in given or "new_string" in given:
        raise _CannotTell("`edits` isn't a list of edits")
    return [_edit(row) for row in rows]


def _edit(row: object) -> _Edit:
    if not isinstance(row, Mapping):
        raise _CannotTell("an edit isn't an object")
    everywhere = row.get("replace_all", False)
    if not isinstance(everywhere, bool):
        raise _CannotTell("`replace_all` is neither true nor false")
    needed = "an edit needs its old and its new text"
    return _Edit(_text(row, "old_string", needed), _text(row, "new_string", needed), everywhere)


def _text(row: Mapping[str, object], key: str, needed: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise _CannotTell(needed)
    return _unix(value)


def _edited(text: str, edits: list[_Edit]) -> str:
    for edit in edits:
        count = text.count(edit.old) if edit.old else 0
        if count == 0:
            raise _CannotTell("the text to replace isn't in it as given; read it again")
        if count > 1 and not edit.everywhere:
            raise _CannotTell(
                f"the text to replace is in it {count} times; give more of it, so that it's once"
            )
        text = text.replace(edit.old, edit.new)
    return text


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
