"""Turns what the SDK says into events: text, tool calls and results, costs, retries; what is being typed."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness_core.agent import sdk
from harness_core.agent.gate import Gate, blob
from harness_core.agent.live import LiveText
from harness_core.agent.meter import Meter
from harness_core.guards import ToolCall
from harness_core.machine.files import write_all
from harness_core.record import events as ev
from harness_core.run import Run

if TYPE_CHECKING:
    from claude_agent_sdk import AssistantMessage, Message, ResultMessage, UserMessage

OUTPUT_BYTES = 4096
FATAL_STATUS = frozenset({400, 401, 403, 404, 413})
"""API errors that trying again doesn't mend."""
_RAN = "Exit code "
"""How the result of a command begins that ran and failed."""
_PATIENCE = 2
"""Announced retries of one reply before such an error is taken for final: a single one may be a hiccup."""


@dataclasses.dataclass(frozen=True)
class Refused:
    """What the API keeps refusing, though the CLI would go on asking."""

    status: int
    error: str

    def __str__(self) -> str:
        why = f"status {self.status}, {self.error}" if self.error else f"status {self.status}"
        return f"{why}: see that the key or login, the model and the gateway are right"


def is_progress(message: Message) -> bool:
    """Whether a message shows that the work goes on, not only that somebody is there: the API's pings and the
    CLI's notices come from a conversation that hangs, too."""
    from claude_agent_sdk import RateLimitEvent, StreamEvent, SystemMessage  # noqa: PLC0415

    if isinstance(message, StreamEvent):
        return message.event.get("type") != "ping"
    if isinstance(message, SystemMessage):
        return message.subtype in ("init", "compact_boundary") or message.subtype.startswith("task_")
    return not isinstance(message, RateLimitEvent)


class Transcriber:
    """One session's ear. `unguarded` names a tool that ran without having been judged; `refused` says what
    the API won't take, however often it is tried."""

    def __init__(self, run: Run, gate: Gate, phase: str, trace: Path, aside: str | None = None) -> None:
        self._run = run
        self._gate = gate
        self._trace_path = trace
        self._trace = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._meter = Meter(run, phase, aside)
        self._live = LiveText(run, gate.role)
        self._unnamed: dict[str, list[AssistantMessage]] = {}
        self._reported: list[str] = []
        """Calls whose subagents have reported since the last results."""
        self._reply: str | None = None
        self.error = ""
        """The kind of the newest failure that the CLI has told in the agent's place."""
        self.unguarded: str | None = None
        self.refused: Refused | None = None
        self.tries_again = False
        """Whether the newest message announces another request for a reply that failed."""

    def close(self) -> None:
        os.close(self._trace)
        self._live.close()

    def take(self, message: Message) -> float:
        """Journal one message of the SDK and keep it in the session's trace.

        Returns for how many seconds it announces that nothing will come.
        """
        from claude_agent_sdk import (  # noqa: PLC0415
            AssistantMessage,
            RateLimitEvent,
            StreamEvent,
            SystemMessage,
            UserMessage,
        )

        if isinstance(message, StreamEvent):
            if message.parent_tool_use_id is None:
                self._streamed(message.event)
            return 0.0
        self._keep(message)
        self.tries_again = isinstance(message, SystemMessage) and message.subtype == "api_retry"
        if isinstance(message, AssistantMessage):
            self._assistant(message)
        elif isinstance(message, UserMessage):
            self._user(message)
        elif isinstance(message, RateLimitEvent):
            return self._rate_limit(message.rate_limit_info)
        elif isinstance(message, SystemMessage) and self.tries_again:
            return self._retry(message.data)
        elif isinstance(message, SystemMessage) and message.subtype == "compact_boundary":
            self._compacted(message.data)
        return 0.0

    def settle(self, result: ResultMessage) -> None:
        """Bring the session's cost to what the CLI itself says."""
        self._read_late()
        self._meter.settle(result)

    def _keep(self, message: Message) -> None:
        line = {"at": time.time(), "kind": type(message).__name__, **dataclasses.asdict(message)}
        data = json.dumps(line, ensure_ascii=False, default=str)
        kept = self._run.redact.text(data).encode("utf-8", "replace") + b"\n"
        write_all(self._trace, kept, self._trace_path)

    def _streamed(self, event: Mapping[str, Any]) -> None:
        if event.get("type") == "message_start":
            self._reply_begins((event.get("message") or {}).get("id"))
        self._meter.hear(event)
        self._live.hear(event)

    # --- Whole messages -----------------------------------------------------------------------------

    def _assistant(self, message: AssistantMessage) -> None:
        from claude_agent_sdk import TextBlock, ThinkingBlock, ToolUseBlock  # noqa: PLC0415

        starter = message.parent_tool_use_id
        if starter is not None:
            self._subagent(message, starter)
            return
        if message.error is None:
            self._reply_begins(message.message_id)
            self._gate.steering.acknowledge()
        for block in message.content:
            if isinstance(block, TextBlock) and block.text:
                if message.error is not None:
                    self.error = message.error
                    self._run.emit(ev.Error(message=block.text, kind=message.error))
                else:
                    self._run.emit(ev.Text(text=block.text))
            elif isinstance(block, ThinkingBlock) and block.thinking:
                self._run.emit(ev.Thinking(text=block.thinking))
            elif isinstance(block, ToolUseBlock):
                self._gate.announce(ToolCall(block.name, block.input, block.id))
        self._live.clear()

    def _reply_begins(self, message_id: str | None) -> None:
        # A reply that didn't come as a stream begins with its first block.
        if message_id != self._reply:
            self._reply = message_id
            self._gate.steering.reply_begins()

    def _subagent(self, message: AssistantMessage, starter: str) -> None:
        """Keep a subagent's message until its hooks have named it, so that it has one name in the journal."""
        from claude_agent_sdk import ToolUseBlock  # noqa: PLC0415

        for block in message.content:
            if isinstance(block, ToolUseBlock):
                self._gate.subagents.message_says(block.id, starter)
        self._unnamed.setdefault(starter, []).append(message)
        if self._gate.subagents.knows(starter):
            self._journal_subagent(starter)

    def _journal_subagent(self, starter: str) -> None:
        from claude_agent_sdk import TextBlock, ToolUseBlock  # noqa: PLC0415

        agent = self._gate.subagents.name(starter)
        for message in self._unnamed.pop(starter, ()):
            self._meter.hear_subagent(message, starter, agent)
            for block in message.content:
                if isinstance(block, ToolUseBlock):
                    self._gate.announce(ToolCall(block.name, block.input, block.id, agent))
                elif isinstance(block, TextBlock) and block.text:
                    self._run.emit(ev.Text(text=block.text, agent=agent))

    def _user(self, message: UserMessage) -> None:
        from claude_agent_sdk import ToolResultBlock  # noqa: PLC0415

        if isinstance(message.content, str):
            return
        self._read_late()
        if message.parent_tool_use_id is not None:
            self._journal_subagent(message.parent_tool_use_id)
            self._read_subagent(message.parent_tool_use_id)
        for block in message.content:
            if isinstance(block, ToolResultBlock):
                if isinstance(report := message.tool_use_result, Mapping) and "agentId" in report:
                    self._report(block.tool_use_id, report)
                self._result(block.tool_use_id, block.content, bool(block.is_error))

    def _read_subagent(self, starter: str) -> None:
        agent = self._gate.subagents.name(starter)
        record = sdk.subagent_transcript(self._gate.sdk_session, agent) if agent is not None else None
        if record is not None:
            self._meter.read_subagent(starter, agent, record)

    def _report(self, starter: str, report: Mapping[str, Any]) -> None:
        """A subagent is done: now all is counted that it took."""
        self._journal_subagent(starter)
        self._read_subagent(starter)
        self._meter.hear_report(starter, self._gate.subagents.name(starter), report)
        self._reported.append(starter)

    def _read_late(self) -> None:
        """What the CLI had not yet written down of those that had reported."""
        for starter in self._reported:
            self._read_subagent(starter)
            self._meter.forget_subagent(starter)
        self._reported.clear()

    def _result(self, tool_use_id: str, content: Any, failed: bool) -> None:
        gate = self._gate
        self._journal_subagent(tool_use_id)
        gate.finish(tool_use_id)
        known = gate.announced.pop(tool_use_id, None)
        text = _flatten(content)
        # A call that is turned down never comes to its guard; a command that failed did run.
        ran = not failed or text.startswith(_RAN)
        if known is not None and ran and tool_use_id not in gate.judged:
            self.unguarded = tool_use_id
            self._run.emit(
                ev.Error(message=f"the call {tool_use_id} ran without its guard", kind="unguarded")
            )
        gate.judged.discard(tool_use_id)
        # Before it is cut: half a secret isn't known as one.
        data = self._run.redact.text(text).encode("utf-8", "replace")
        kept = blob(self._run, data) if len(data) > OUTPUT_BYTES else None
        self._run.emit(
            ev.ToolResult(
                tool_use_id=tool_use_id,
                ok=not failed,
                ms=round((time.monotonic() - known.since) * 1000) if known is not None else 0,
                output=data[:OUTPUT_BYTES].decode("utf-8", "ignore"),
                blob=kept,
                agent=known.agent if known is not None else None,
            )
        )

    def _retry(self, data: Mapping[str, Any]) -> float:
        status = data.get("error_status")
        retry = self._run.emit(
            ev.Retry(
                attempt=int(data.get("attempt") or 0),
                max=int(data.get("max_retries") or 0),
                delay_ms=round(float(data.get("retry_delay_ms") or 0)),
                status=status if isinstance(status, int) else None,
                error=str(data.get("error") or ""),
            )
        )
        if retry.status in FATAL_STATUS and retry.attempt >= _PATIENCE:
            self.refused = Refused(retry.status, retry.error)
        return retry.delay_ms / 1000

    def _compacted(self, data: Mapping[str, Any]) -> None:
        told = data.get("compact_metadata") or data
        self._run.emit(
            ev.Compacted(
                trigger=str(told.get("trigger") or ""),
                before=int(told.get("pre_tokens") or 0),
                after=int(told.get("post_tokens") or 0),
            )
        )

    def _rate_limit(self, info: Any) -> float:
        resets = None
        if info.resets_at:
            resets = datetime.fromtimestamp(info.resets_at, UTC).isoformat(timespec="seconds")
        self._run.emit(
            ev.RateLimited(
                status=info.status,
                window=info.rate_limit_type or "",
                resets_at=resets,
                utilization=info.utilization,
            )
        )
        return max(0.0, info.resets_at - time.time()) if info.status == "rejected" and info.resets_at else 0.0


class Bystander(Transcriber):
    """The ear of a model that is only asked: what it costs and waits for is journaled. What it says is no
    part of the session beside it."""

    def _streamed(self, event: Mapping[str, Any]) -> None:
        self._meter.hear(event)

    def _assistant(self, message: AssistantMessage) -> None:
        pass

    def _user(self, message: UserMessage) -> None:
        pass


def _flatten(content: Any) -> str:
    """A tool result's content as text; pictures are named, not kept (the file itself is there)."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = []
    for block in content:
        if block.get("type") == "text":
            parts.append(str(block.get("text", "")))
        else:
            parts.append(f"[{block.get('type', 'block')}]")
    return "\n".join(parts)
