"""Not a run but a drill: calls by which an engine sees whether its hooks and its sandbox hold."""

from __future__ import annotations

import re
from collections.abc import Generator

from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.words import Brief, Outcome, Step, bash

TITLE = "Calls that must be held back, and calls that must get through; for Longwatch itself."


def agent(brief: Brief) -> Generator[Step, Outcome, None]:
    """Makes the calls that its first message names, a line each, one after the other."""
    for command in re.findall(r"^call: (.+)$", brief.prompt, re.MULTILINE):
        yield bash(command)
    yield "That was all."


def scenario(parameter: str | None) -> Scenario:
    return Scenario(
        "drill", TITLE, {role: agent for role in ("planner", "initializer", "generator", "evaluator")}
    )
