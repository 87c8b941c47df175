"""What a session costs: estimated as replies arrive, set right by the CLI's own account at each result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness_core.agent.sdk import TOKENS
from harness_core.pricing import Usage, price
from harness_core.record import events as ev
from harness_core.run import Run

if TYPE_CHECKING:
    from claude_agent_sdk import AssistantMessage, ResultMessage


class Meter:
    """Journals the costs of one session. Money is US dollars."""

    def __init__(self, run: Run, phase: str, aside: str | None = None) -> None:
        """`aside` is the role of a model that is asked beside the session under way."""
        self._run = run
        self._phase = phase
        self._role = aside
        session = None if aside else run.state.open_session
        self._before = (session.usd, session.tokens) if session else (0.0, 0)
        """What was journaled before a session that is resumed now."""
        self._usd, self._tokens = self._before
        """What is journaled by now."""
        self._start: Mapping[str, Any] = {}
        self._subagent_reply = ""

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in one event of the API's stream to the main agent."""
        if event.get("type") == "message_start":
            self._start = event.get("message") or {}
        elif event.get("type") == "message_delta":
            start, self._start = self._start, {}
            usage = Usage.of(start.get("usage") or {}, event.get("usage") or {})
            self._add(str(start.get("model") or ""), usage, None)

    def hear_subagent(self, message: AssistantMessage, agent: str | None) -> None:
        """Take in a subagent's reply, of which no stream is to be had: what it writes isn't counted yet."""
        if message.message_id and message.message_id != self._subagent_reply:
            self._subagent_reply = message.message_id
            self._add(message.model, Usage.of(message.usage or {}, {}), agent)

    def _add(self, model: str, usage: Usage, agent: str | None) -> None:
        if usage.total:
            context = 0 if agent or self._role else usage.context
            self._journal(price(model, usage), usage.total, turns=1, context=context, agent=agent)

    def _journal(
        self, usd: float, tokens: int, *, turns: int = 0, context: int = 0, agent: str | None = None
    ) -> None:
        self._usd, self._tokens = self._usd + usd, self._tokens + tokens
        self._run.emit(
            ev.Cost(
                usd=usd,
                tokens=tokens,
                turns=turns,
                phase=self._phase,
                context=context,
                agent=agent,
                role=self._role,
            )
        )

    def settle(self, result: ResultMessage) -> None:
        """Bring the session's sum to what the CLI says. What an earlier engine journaled of it stays."""
        if result.total_cost_usd is None:
            return
        usd_before, tokens_before = self._before
        usd = max(result.total_cost_usd, usd_before) - self._usd
        counted = sum(map(_tokens, (result.model_usage or {}).values()))
        tokens = max(counted, tokens_before) - self._tokens if counted else 0
        if abs(usd) > 1e-9 or tokens:
            self._journal(usd, tokens)


def _tokens(usage: Mapping[str, Any]) -> int:
    return sum(int(usage.get(name) or 0) for name in TOKENS)
