"""The contract guard: what a call of a file tool may do to the contract."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness_core.contract.record import compare, parse, passing_ids
from harness_core.errors import ContractError
from harness_core.guards import ToolCall
from harness_core.guards.contract import ContractCall, Kind, check, is_contract

NAME = "feature_list.json"
TEXT = """[
  {"id": 1, "description": "Feature 1 works", "passes": false},
  {"id": 2, "description": "Feature 2 works", "passes": true},
  {"id": 3, "description": "Feature 3 works", "passes": false}
]
"""
RECORD = parse(TEXT, NAME)
PASSING = passing_ids(RECORD)


def judge(tool: str, current: str | None = TEXT, **given_input: object) -> ContractCall:
    return check(ToolCall(tool, {"file_path": f"/run/{NAME}", **given_input}), RECORD, PASSING, current)


def row(number: int, passes: str) -> str:
    return f'"id": {number}, "description": "Feature {number} works", "passes": {passes}'


def flip(number: int, before: str, after: str) -> dict[str, str]:
    return {"old_string": row(number, before), "new_string": row(number, after)}


def test_a_flip_of_one_feature_is_a_claim():
    verdict = judge("Edit", **flip(1, "false", "true"))
    assert (verdict.kind, verdict.features, verdict.denial) == (Kind.CLAIM, ("1",), None)
    assert verdict.text is not None
    assert passing_ids(parse(verdict.text, NAME)) == {"1", "2"}
    assert judge("Write", content=TEXT.replace("false", "true", 1)).kind is Kind.CLAIM
    assert judge("MultiEdit", edits=[flip(1, "false", "true")]).kind is Kind.CLAIM


def test_a_step_back_needs_nothing():
    verdict = judge("Edit", **flip(2, "true", "false"))
    assert (verdict.kind, verdict.features) == (Kind.STEP_BACK, ("2",))


def test_formatting_is_allowed():
    assert judge("Write", content=json.dumps(json.loads(TEXT), indent=4)).kind is Kind.UNCHANGED
    assert judge("Write", content=TEXT, current=None).kind is Kind.UNCHANGED


def test_a_broken_file_may_be_repaired():
    assert judge("Write", content=TEXT, current="[{").kind is Kind.UNCHANGED


def test_windows_line_ends_are_formatting():
    edit = {"old_string": "},\n", "new_string": "},\n\n", "replace_all": True}
    assert judge("Edit", current=TEXT.replace("\n", "\r\n"), **edit).kind is Kind.UNCHANGED


@pytest.mark.parametrize(
    ("tool", "given_input", "said"),
    [
        ("Edit", {"old_string": "false", "new_string": "true", "replace_all": True}, "One feature at a time"),
        (
            "MultiEdit",
            {"edits": [flip(1, "false", "true"), flip(3, "false", "true")]},
            "One feature at a time",
        ),
        ("MultiEdit", {"edits": [flip(1, "false", "true"), flip(2, "true", "false")]}, "not both"),
        ("Edit", {"old_string": "1 works", "new_string": "1 is there"}, '"description" of 1'),
        ("Edit", {"old_string": '"passes": true', "new_string": '"passes": "yes"'}, '"passes" of 2'),
        ("Write", {"content": "[]"}, "0 features"),
        ("Write", {"content": "[" + "{" + row(1, "false") + "}]"}, "features 2 and 3 are gone"),
        ("Write", {"content": TEXT.replace("\n]", ',\n  {"id": 4, "passes": false}\n]')}, "feature 4 is new"),
        ("Write", {"content": '{"features": ' + TEXT + "}"}, "the file is a features list"),
        ("Write", {"content": TEXT[:-3]}, "line 4"),
        ("Write", {"content": {"a": 1}}, "as text"),
        ("Write", {}, "needs its content"),
        ("Write", {"content": TEXT, "mode": "append"}, "'mode' isn't known"),
        ("Edit", {"old_string": "false", "new_string": "true"}, "2 times"),
        ("Edit", {"old_string": "nowhere", "new_string": "x"}, "isn't in it as given"),
        ("Edit", {"old_string": "", "new_string": "x"}, "isn't in it as given"),
        ("Edit", {"old_string": 1, "new_string": "x"}, "its old and its new text"),
        ("Edit", {**flip(1, "false", "true"), "replace_all": "yes"}, "neither true nor false"),
        ("MultiEdit", {"edits": []}, "isn't a list of edits"),
        ("MultiEdit", {"edits": ["x"]}, "isn't an object"),
        ("NotebookEdit", {"new_source": "x"}, "can't be told"),
        ("mcp__filesystem__write_file", {"content": TEXT}, "can't be told"),
        ("Unknown", {"content": TEXT}, "can't be told"),
    ],
)
def test_what_is_denied_says_why(tool, given_input, said):
    verdict = judge(tool, **given_input)
    assert verdict.kind is Kind.DENIED
    assert said in verdict.reason
    assert verdict.denial is not None
    assert verdict.denial.guard == "contract"


def test_an_edit_of_a_missing_file_is_denied():
    assert judge("Edit", current=None, **flip(1, "false", "true")).kind is Kind.DENIED


@given(
    st.integers(0, len(TEXT)),
    st.integers(0, 30),
    st.text(st.sampled_from('"{}[],: truefalsid123\\\n'), max_size=12),
)
def test_no_edit_that_changes_text_is_allowed(start, length, new):
    old = TEXT[start : start + length]
    assume(old and TEXT.count(old) == 1)
    verdict = judge("Edit", old_string=old, new_string=new)
    try:
        change = compare(RECORD, PASSING, parse(TEXT.replace(old, new), NAME))
    except ContractError:
        assert verdict.kind is Kind.DENIED
        return
    if change.touches_text or len(change.to_true) > 1 or (change.to_true and change.to_false):
        assert verdict.kind is Kind.DENIED
    else:
        assert verdict.kind is not Kind.DENIED
        assert set(verdict.features) == {*change.to_true, *change.to_false}


@given(st.dictionaries(st.sampled_from(["id", "description", "passes", "steps"]), st.text(max_size=4)))
def test_no_rewritten_row_is_allowed(changes):
    rows = json.loads(TEXT)
    rows[1] = {**rows[1], **changes}
    verdict = judge("Write", content=json.dumps(rows))
    assert (verdict.kind is Kind.DENIED) == bool(changes)


@given(
    st.sampled_from(
        ["Write", "Edit", "MultiEdit", "NotebookEdit", "mcp__a__edit_file", "mcp__a__write", "x"]
    ),
    st.dictionaries(
        st.sampled_from(["content", "edits", "old_string", "new_string", "replace_all", "oldText"]),
        st.none()
        | st.text(max_size=5)
        | st.booleans()
        | st.lists(st.text(max_size=2) | st.none(), max_size=2),
    ),
    st.none() | st.text(max_size=10),
)
def test_no_input_makes_the_guard_fail(tool, given_input, current):
    assert check(ToolCall(tool, given_input), RECORD, PASSING, current).kind is Kind.DENIED


@pytest.mark.parametrize("name", [NAME, "FEATURE_LIST.JSON", f"{NAME} ", f"{NAME}."])
def test_other_spellings_mean_the_contract(tmp_path: Path, name: str):
    assert is_contract(tmp_path / name, tmp_path / NAME)


def test_a_hard_link_means_the_contract(tmp_path: Path):
    (tmp_path / NAME).write_text(TEXT)
    os.link(tmp_path / NAME, tmp_path / "alias.json")
    assert is_contract(tmp_path / "alias.json", tmp_path / NAME)
    assert not is_contract(tmp_path / "vitest-results.json", tmp_path / NAME)
    assert not is_contract(tmp_path / "web" / NAME, tmp_path / NAME)
