"""The judge of a goal: a small model that reads what was said and done, and says whether it is met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness_core.agent.session import Casting

PHASE = "goal"
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"met": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["met", "reason"],
}
JUDGE = Casting("judge", "judge", SCHEMA, aside=True)


@dataclass(frozen=True)
class Ruling:
    """Whether the goal is met, and why."""

    met: bool
    reason: str


def question(goal: str, happened: str) -> str:
    """What a judge is asked."""
    return f"The condition:\n\n{goal}\n\nWhat was said and done, the newest last:\n\n{happened}\n\nIs it met?"


def ruling(answer: Mapping[str, Any] | None) -> Ruling | None:
    """What a judge has answered; None where that isn't in the form that was asked for."""
    if answer is None or not isinstance(answer.get("met"), bool):
        return None
    return Ruling(answer["met"], str(answer.get("reason") or ""))
