"""The flags of `tiny`, with an evaluator that doesn't agree to the first proposal of a sprint's contract."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from functools import partial

from harness_core.errors import Mistake
from harness_core.rehearsal.habits import CONTRACT, Finding, deliver_verdict, is_asked_to_agree
from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.scenarios import tiny
from harness_core.rehearsal.words import Brief, Outcome, Script, Step, read

TITLE = "A sprint's contract is agreed on in the second round; sprints:never finds no agreement."
NEVER = "never"
SIZE = "96 pixels wide and 64 high"
_CRITERION = re.compile(r"^\d+\. ", re.MULTILINE)


def evaluator(agrees: bool, brief: Brief) -> Generator[Step, Outcome, None]:
    if not is_asked_to_agree(brief):
        yield from tiny.evaluator(brief)
        return
    yield "What was promised, and what is proposed?", read(CONTRACT)
    named = len(_CRITERION.findall(brief.prompt))
    if SIZE not in brief.prompt:
        wrong = f"Each flag has to be {SIZE}"
    elif not agrees:
        wrong = f"These {named} criteria don't say what an empty design looks like"
    else:
        wrong = ""
    yield from deliver_verdict(brief, _answer(wrong))
    yield "That is my answer to the proposal."


def _answer(wrong: str) -> dict[str, object]:
    if not wrong:
        return {"verdict": "PASS", "criteria": [], "findings": []}
    finding: Finding = {
        "feature": None,
        "criterion": "contract",
        "where": wrong,
        "reproduce": "Read the proposal.",
        "severity": "major",
    }
    criteria = [
        {"criterion": "Each flag has the stripes that its feature names", "check": "open its picture"},
        {"criterion": f"Each flag is {SIZE}", "check": "look at the picture's size"},
    ]
    return {"verdict": "NEEDS_WORK", "criteria": criteria, "findings": [finding]}


def scenario(parameter: str | None) -> Scenario:
    if parameter not in (None, NEVER):
        raise Mistake(f"sprints:{parameter} is unknown; write sprints or sprints:{NEVER}.")
    base = tiny.scenario(None)
    scripts: dict[str, Script] = {**base.scripts, "evaluator": partial(evaluator, parameter != NEVER)}
    return replace(base, name="sprints", title=TITLE, scripts=scripts)
