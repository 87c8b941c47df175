"""What of a sprint's proposed contract is taken for its criteria."""

from __future__ import annotations

import pytest

from harness_core.steps.negotiation import criteria_in, criteria_of

PROPOSAL = """# Sprint 2: the cart

{built}

- A cart that lasts over a reload
- A price with postage

{criteria}

1. The cart keeps its seeds (tested by: add two, reload, count two).
2. An empty cart says so
   (tested by: open it, and see the words)
3. Postage is added once

{left}

1. Accounts
- Gifts
"""


@pytest.mark.parametrize("form", ["## {}", "**{}**", "**{}:**"])
def test_criteria_are_those_of_their_section_with_their_tests(form: str) -> None:
    names = {"built": "What is built", "criteria": "Criteria", "left": "Not in this sprint"}
    found = criteria_in(PROPOSAL.format(**{key: form.format(name) for key, name in names.items()}))
    assert [(item.id, item.text, item.check) for item in found] == [
        ("C1", "The cart keeps its seeds", "add two, reload, count two"),
        ("C2", "An empty cart says so", "open it, and see the words"),
        ("C3", "Postage is added once", ""),
    ]


def test_smaller_headings_divide_a_section_and_do_not_end_it() -> None:
    found = criteria_in("## Criteria\n### F001\n1. a\n### F002\n2. b\n## Not now\n3. c\n")
    assert [item.text for item in found] == ["a", "b"]


def test_without_a_section_or_numbers_what_is_listed_counts() -> None:
    assert [item.text for item in criteria_in("Owed:\n\n* one\n* two\n")] == ["one", "two"]
    assert [item.text for item in criteria_in("Owed:\n\n- all of it\n\n1) one\n2) two\n")] == ["one", "two"]


def test_what_an_operator_changed_in_the_evaluators_version_is_read_back() -> None:
    text = "1. old\n\n## The evaluator's answer\n\nNot yet.\n\n- C1: new (tested by: use)\n- C2: newer\n"
    assert [(item.text, item.check) for item in criteria_of(text)] == [("new", "use"), ("newer", "")]
