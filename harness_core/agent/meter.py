"""What a session costs: estimated as replies arrive, set right by the CLI's own account at each result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness_core.agent.sdk import TOKENS
from harness_core.pricing import Usage, price
from harness_core.record import events as ev
from harness_core.run import Run

if TYPE_CHECKING:
    from claude_agent_sdk import AssistantMessage, ResultMessage


@dataclass
class _Child:
    """A subagent: its replies as far as they are counted, and how far its transcript is read."""

    counted: dict[str, Usage] = field(default_factory=dict)
    offset: int = 0


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
        self._children: dict[str, _Child] = {}
        """Subagents that haven't reported yet, by the call that started each."""

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in one event of the API's stream to the main agent."""
        if event.get("type") == "message_start":
            self._start = event.get("message") or {}
        elif event.get("type") == "message_delta":
            start, self._start = self._start, {}
            usage = Usage.of(start.get("usage") or {}, event.get("usage") or {})
            self._add(str(start.get("model") or ""), usage, None)

    def hear_subagent(self, message: AssistantMessage, starter: str, agent: str | None) -> None:
        """Take in a subagent's reply, of which no stream is to be had: only what it read is known yet."""
        if message.message_id:
            usage = Usage.of(message.usage or {}, {})
            self._count(starter, agent, message.message_id, message.model, usage)

    def read_subagent(self, starter: str, agent: str | None, transcript: Path) -> None:
        """Take in what a subagent's transcript has to say of its replies by now: there they are whole."""
        child = self._children.setdefault(starter, _Child())
        for reply, model, usage in _replies(transcript, child):
            self._count(starter, agent, reply, model, usage)

    def hear_report(self, starter: str, agent: str | None, report: Mapping[str, Any]) -> None:
        """Take in what the CLI says of a subagent that is done: of its last reply there is no message, and
        the transcript may come late."""
        usage = Usage.of(report.get("usage") or {}, {})
        counted = self._children.setdefault(starter, _Child()).counted
        known = next((reply for reply, seen in counted.items() if seen.reads_like(usage)), "")
        self._count(starter, agent, known, str(report.get("resolvedModel") or ""), usage)

    def forget_subagent(self, starter: str) -> None:
        """It has reported, and its transcript was read since."""
        self._children.pop(starter, None)

    def _count(self, starter: str, agent: str | None, reply: str, model: str, usage: Usage) -> None:
        """Count a reply of a subagent, or what has become known of it since it was counted."""
        counted = self._children.setdefault(starter, _Child()).counted
        # A last reply that its report has told of, and nobody knew by name.
        if reply not in counted and "" in counted and counted[""].reads_like(usage):
            counted[reply] = counted.pop("")
        before = counted.get(reply)
        if before is None:
            self._add(model, usage, agent)
        elif usage.total > before.total:
            usd = price(model, usage) - price(model, before)
            self._journal(usd, usage.total - before.total, agent=agent)
        else:
            return
        counted[reply] = usage

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


def _replies(transcript: Path, child: _Child) -> Iterator[tuple[str, str, Usage]]:
    """The id, the model and the usage of the replies that were written down since the last look."""
    try:
        with transcript.open("rb") as lines:
            lines.seek(child.offset)
            new = lines.read()
    except OSError:
        return
    whole = new[: new.rfind(b"\n") + 1]
    child.offset += len(whole)
    for line in whole.splitlines():
        if b'"usage"' not in line:
            continue
        try:
            said = json.loads(line).get("message") or {}
            yield str(said["id"]), str(said["model"]), Usage.of(said["usage"], {})
        except (ValueError, KeyError, AttributeError, TypeError):
            continue


def _tokens(usage: Mapping[str, Any]) -> int:
    return sum(int(usage.get(name) or 0) for name in TOKENS)
