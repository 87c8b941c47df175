"""A run without a contract that ends when a judge says that its goal is met."""

from __future__ import annotations

from collections.abc import Generator

from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.words import VERDICT, Brief, Call, Outcome, Step, bash, put

TITLE = "Two files, one of them forgotten at first, until a judge says that the goal is met; for tests."


def generator(brief: Brief) -> Generator[Step, Outcome, None]:
    yield from put("first.txt", "one\n", "The first file.")
    yield bash("git add -A && git commit -q -m 'Write the first file'")
    told = yield "Both files are there, as asked."
    while "second" not in told.text:
        told = yield "Both files are there, as I said."
    yield from put("second.txt", "two\n", "You are right, the second was missing.")
    yield bash("git add -A && git commit -q -m 'Write the second file'")
    yield "Now both are there."


def judge(brief: Brief) -> Generator[Step, Outcome, None]:
    """Goes by the calls alone: what the agent says is no proof."""
    met = "second.txt" in brief.prompt.partition("What was said and done")[2]
    reason = "Both files were written." if met else "No call has written second.txt."
    yield Call(VERDICT, {"met": met, "reason": reason})


def scenario(parameter: str | None) -> Scenario:
    return Scenario("goal", TITLE, {"generator": generator, "judge": judge})
