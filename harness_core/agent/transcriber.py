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

import msgspec

from harness_core import events as ev
from harness_core.agent.gate import Gate, blob
from harness_core.files import write_whole
from harness_core.guards import ToolCall
from harness_core.ledger import count_written
from harness_core.pricing import Usage, price
from harness_core.run import Run

if TYPE_CHECKING:
    from claude_agent_sdk import AssistantMessage, Message, ResultMessage, StreamEvent, UserMessage

OUTPUT_BYTES = 4096
LIVE_EVERY = 0.05
"""Seconds between two writes of `live`."""
LIVE_TAIL = 4000


class Live(msgspec.Struct, frozen=True):
    """What `live` holds: the block that an agent is typing right now."""

    session: int
    role: str
    kind: str
    """`text`, `thinking`, or the tool whose input is being written."""
    text: str
    written: int | None = None
    """Features in a contract that is being written, and how many were asked for."""
    of: int | None = None


class Transcriber:
    """One session's ear. `unguarded` names a tool that ran without having been judged."""

    def __init__(self, run: Run, gate: Gate, phase: str, trace: Path) -> None:
        self._run = run
        self._gate = gate
        self._phase = phase
        self._trace = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._start_usage: dict[str, Mapping[str, Any]] = {}
        self._models: dict[str, str] = {}
        self._block = ""
        self._typed = ""
        self._live_at = 0.0
        self.unguarded: str | None = None

    def close(self) -> None:
        os.close(self._trace)
        self._run.dir.live.unlink(missing_ok=True)

    def take(self, message: Message) -> None:
        """Journal one message of the SDK and keep it in the session's trace."""
        from claude_agent_sdk import (  # noqa: PLC0415
            AssistantMessage,
            RateLimitEvent,
            StreamEvent,
            SystemMessage,
            UserMessage,
        )

        if isinstance(message, StreamEvent):
            self._stream(message)
            return
        self._keep(message)
        if isinstance(message, AssistantMessage):
            self._assistant(message)
        elif isinstance(message, UserMessage):
            self._user(message)
        elif isinstance(message, RateLimitEvent):
            self._rate_limit(message.rate_limit_info)
        elif isinstance(message, SystemMessage) and message.subtype == "api_retry":
            self._retry(message.data)

    def _keep(self, message: Message) -> None:
        line = {"at": time.time(), "kind": type(message).__name__, **dataclasses.asdict(message)}
        data = json.dumps(line, ensure_ascii=False, default=str)
        os.write(self._trace, self._run.redact.text(data).encode("utf-8", "replace") + b"\n")

    # --- Whole messages -----------------------------------------------------------------------------

    def _assistant(self, message: AssistantMessage) -> None:
        from claude_agent_sdk import TextBlock, ThinkingBlock, ToolUseBlock  # noqa: PLC0415

        agent = message.parent_tool_use_id
        if agent is None and message.error is None:
            self._gate.steering.acknowledge()
        for block in message.content:
            if isinstance(block, TextBlock) and block.text:
                if message.error is not None:
                    self._run.emit(ev.Error(message=block.text, kind=message.error))
                else:
                    self._run.emit(ev.Text(text=block.text, agent=agent))
            elif isinstance(block, ThinkingBlock) and block.thinking:
                self._run.emit(ev.Thinking(text=block.thinking, agent=agent))
            elif isinstance(block, ToolUseBlock):
                self._gate.announce(ToolCall(block.name, block.input, block.id, agent))
        self._show("", "")

    def _user(self, message: UserMessage) -> None:
        from claude_agent_sdk import ToolResultBlock  # noqa: PLC0415

        if isinstance(message.content, str):
            return
        for block in message.content:
            if isinstance(block, ToolResultBlock):
                self._result(
                    block.tool_use_id, block.content, bool(block.is_error), message.parent_tool_use_id
                )

    def _result(self, tool_use_id: str, content: Any, failed: bool, agent: str | None) -> None:
        gate = self._gate
        gate.running.pop(tool_use_id, None)
        since = gate.announced.pop(tool_use_id, None)
        if since is not None and not failed and tool_use_id not in gate.judged:
            self.unguarded = tool_use_id
            self._run.emit(
                ev.Error(message=f"the call {tool_use_id} ran without its guard", kind="unguarded")
            )
        gate.judged.discard(tool_use_id)
        text = _flatten(content)
        data = text.encode("utf-8", "replace")
        kept = blob(self._run, self._run.redact.data(data)) if len(data) > OUTPUT_BYTES else None
        self._run.emit(
            ev.ToolResult(
                tool_use_id=tool_use_id,
                ok=not failed,
                ms=round((time.monotonic() - since) * 1000) if since is not None else 0,
                output=data[:OUTPUT_BYTES].decode("utf-8", "ignore"),
                blob=kept,
                agent=agent,
            )
        )

    def _retry(self, data: Mapping[str, Any]) -> None:
        status = data.get("error_status")
        self._run.emit(
            ev.Retry(
                attempt=int(data.get("attempt") or 0),
                max=int(data.get("max_retries") or 0),
                delay_ms=round(float(data.get("retry_delay_ms") or 0)),
                status=status if isinstance(status, int) else None,
                error=str(data.get("error") or ""),
            )
        )

    def _rate_limit(self, info: Any) -> None:
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

    # --- What is being typed ------------------------------------------------------------------------

    def _stream(self, message: StreamEvent) -> None:
        event, agent = message.event, message.parent_tool_use_id
        key = agent or ""
        match event.get("type"):
            case "message_start":
                start = event.get("message") or {}
                self._start_usage[key] = start.get("usage") or {}
                self._models[key] = str(start.get("model") or "")
            case "message_delta":
                self._cost(key, event.get("usage") or {})
            case "content_block_start":
                block = event.get("content_block") or {}
                self._block = str(block.get("name") or block.get("type") or "text")
                self._typed = ""
            case "content_block_delta":
                delta = event.get("delta") or {}
                piece = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
                self._typed += str(piece)
                self._show(self._block, self._typed)

    def _cost(self, key: str, end: Mapping[str, Any]) -> None:
        usage = Usage.of(self._start_usage.pop(key, {}), end)
        if not usage.total:
            return
        self._run.emit(
            ev.Cost(
                usd=price(self._models.get(key, ""), usage),
                tokens=usage.total,
                turns=0 if key else 1,
                phase=self._phase,
                context=0 if key else usage.context,
                agent=key or None,
            )
        )

    def _show(self, kind: str, text: str) -> None:
        now = time.monotonic()
        if text and now - self._live_at < LIVE_EVERY:
            return
        self._live_at = now
        session = self._run.state.open_session
        writes_contract = kind == "Write" and self._run.dir.contract.name in text[:400]
        live = Live(
            session=session.number if session else 0,
            role=self._gate.role,
            kind=kind,
            text=self._run.redact.text(text[-LIVE_TAIL:]),
            written=count_written(text) if writes_contract else None,
            of=self._run.config.features if writes_contract else None,
        )
        write_whole(self._run.dir.live, msgspec.json.encode(live), durable=False)

    # --- The end ------------------------------------------------------------------------------------

    def settle(self, result: ResultMessage) -> None:
        """Bring the session's cost to what the CLI itself says."""
        session = self._run.state.open_session
        if session is None or result.total_cost_usd is None:
            return
        missing = result.total_cost_usd - session.usd
        if missing > 1e-9:
            self._run.emit(ev.Cost(usd=missing, tokens=0, phase=self._phase))


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
