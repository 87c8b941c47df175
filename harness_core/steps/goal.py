"""A goal in words: judged after each turn of a run without a contract, which goes on until it is met."""

from __future__ import annotations

import time
from collections import deque

from harness_core.agent.judge import JUDGE, PHASE, Ruling, question, ruling
from harness_core.agent.session import End, Outcome
from harness_core.brake import Brake, EndOfRun
from harness_core.errors import Exit
from harness_core.operator.bounds import SESSION
from harness_core.record import events as ev
from harness_core.record.state import RunState
from harness_core.run import Run
from harness_core.sessions import Sessions

TURNS = 100
"""How often a session may be told that the goal isn't met yet."""
ASKED_AT_MOST = 3
"""Judges in a row that may give no answer."""
_REMEMBERED = 60
"""Events that a judge is shown: what was said, and what calls brought."""
_EACH = 1500
"""Characters of each."""
_SAID = 300
"""Characters of a judge's reason that are told at the run's end."""


def told(state: RunState) -> str:
    """How the goal stood when it was last judged, to go behind the reason of a run's end; "" where nobody
    has judged one."""
    ruling = state.goal
    if ruling is None:
        return ""
    why = " ".join(ruling.reason.split())[:_SAID]
    return f"; the goal was judged {'' if ruling.met else 'not '}met{f': {why}' if why else ''}"


class Goal:
    """Keeps what was said and done lately, and asks a judge about it."""

    def __init__(self, run: Run, brake: Brake, sessions: Sessions) -> None:
        self._run = run
        self._brake = brake
        self._sessions = sessions
        self._lately: deque[str] = deque(maxlen=_REMEMBERED)
        run.listeners.append(self._hear)

    def _hear(self, event: ev.Event) -> None:
        match event:
            case ev.Text(text=text):
                self._lately.append(f"agent: {text[:_EACH]}")
            case ev.ToolUse(tool=tool, input=given):
                self._lately.append(f"call: {tool} {str(given)[:_EACH]}")
            case ev.ToolResult(ok=ok, output=output):
                self._lately.append(f"{'result' if ok else 'failed'}: {output[-_EACH:]}")

    async def check(self, outcome: Outcome) -> str | Outcome | None:
        """What keeps the goal from being met, in words for the agent; None when it is met. An outcome where
        the operator has stopped the run before anybody knew.

        Raises EndOfRun where a limit is reached, or nobody can be brought to judge.
        """
        # A judge is no part of the session that it judges.
        if (hit := self._brake.limit(new_session=False)) is not None and hit.scope != SESSION:
            self._brake.end_at(hit)
        happened = "\n".join(self._lately)[-40_000:]
        began = time.monotonic()
        found = await self._judged(question(self._run.config.goal, happened))
        if isinstance(found, Outcome):
            return found
        took = round((time.monotonic() - began) * 1000)
        self._run.emit(ev.GoalJudged(met=found.met, reason=found.reason[:2000], ms=took))
        return None if found.met else f"the goal isn't met yet: {found.reason}"

    async def _judged(self, words: str) -> Ruling | Outcome:
        for _ in range(ASKED_AT_MOST):
            outcome = await self._sessions.ask(JUDGE, PHASE, words)
            if outcome.end is End.STOPPED:
                return outcome
            if (found := ruling(outcome.answer)) is not None:
                return found
        why = outcome.detail or "the answer isn't in the form that was asked for"
        raise EndOfRun(Exit.FAILED, f"the goal could not be judged: {why}")
