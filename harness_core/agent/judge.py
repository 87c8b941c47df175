"""The judge of a goal: a small model that reads what was said and done, and says whether it is met."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness_core.agent import sdk
from harness_core.prompting import page_text
from harness_core.record import events as ev
from harness_core.run import Run

PHASE = "goal"
ROLE = "judge"
ASKED_AT_MOST = 3
"""Judges in a row that may give no answer."""
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"met": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["met", "reason"],
}


class NoAnswer(Exception):
    """No judge could be brought to an answer; the message says why."""


@dataclass(frozen=True)
class Ruling:
    """Whether the goal is met, and why."""

    met: bool
    reason: str


async def judge(run: Run, goal: str, happened: str) -> Ruling:
    """Ask a model without tools whether `goal` is met by what has `happened`. Raises NoAnswer."""
    words = (
        f"The condition:\n\n{goal}\n\nWhat was said and done, the newest last:\n\n{happened}\n\nIs it met?"
    )
    why = ""
    for _ in range(ASKED_AT_MOST):
        try:
            answer = await _ask(run, words)
        except Exception as error:
            why = str(error)
            continue
        if isinstance(answer, Mapping) and isinstance(answer.get("met"), bool):
            return Ruling(answer["met"], str(answer.get("reason") or ""))
        why = "it gave no answer in the form that was asked for"
    raise NoAnswer(why)


async def _ask(run: Run, words: str) -> object:
    sdk.load()
    from claude_agent_sdk import ResultMessage, query  # noqa: PLC0415

    setup = sdk.Setup(
        role=ROLE,
        model=run.config.model_for(ROLE),
        system_prompt=page_text(run.dir, ROLE, ROLE),
        sdk_session=str(uuid.uuid4()),
        resume=False,
        schema=SCHEMA,
    )
    answer: object = None
    async for message in query(prompt=words, options=sdk.bare_options(run, setup)):
        if isinstance(message, ResultMessage):
            usage: Iterable[Any] = (message.model_usage or {}).values()
            tokens = sum(int(part.get(name) or 0) for part in usage for name in sdk.TOKENS)
            usd = message.total_cost_usd or 0.0
            run.emit(ev.Cost(usd=usd, tokens=tokens, phase=PHASE, role=ROLE, turns=1))
            if message.is_error:
                raise NoAnswer(message.result or message.subtype)
            answer = message.structured_output
    return answer
