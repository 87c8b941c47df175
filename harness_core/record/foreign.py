"""Another harness's run as events: what Claude Code's own transcripts say, in the words of our journal.

A transcript is a file of JSON lines, one a block of a message, written by whatever version of the CLI was
there. Nothing of it is taken on trust: a line that isn't as expected says nothing, or what is left of it.
"""

from __future__ import annotations

import os
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness_core.machine.cli_home import cli_home
from harness_core.pricing import Usage, price
from harness_core.record import events as ev

ROLE = "agent"
"""Who speaks in another harness's run; which of its roles that is, no transcript says."""
OUTPUT = 4096
"""Characters of a tool's output that are kept."""
_MOST_CALLS = 2000
_MOST_EARLY = 200
_REPLIES = 64
_LONGEST_NAME = 200
"""Characters of a project folder's name; the CLI cuts longer ones and adds a hash."""
_decoder = msgspec.json.Decoder(dict[str, Any])


def transcripts_folder(root: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where Claude Code keeps the transcripts of sessions in `root`. It may not be there."""
    projects = cli_home(environ) / "projects"
    name = re.sub(r"[^a-zA-Z0-9]", "-", unicodedata.normalize("NFC", str(root)))
    if len(name) <= _LONGEST_NAME:
        return projects / name
    cut = name[:_LONGEST_NAME]
    return next(iter(sorted(projects.glob(f"{cut}-*"))), projects / cut)


class Transcript:
    """One session of another harness. Give it the session's lines in order."""

    def __init__(self, session: int, name: str) -> None:
        self.session = session
        self.name = name
        """The CLI's own name of the session."""
        self.begun = False
        """Whether its start was told and its end wasn't."""
        self.last = ""
        """The time of the newest event."""
        self._told = False
        self._early: list[ev.Event] = []
        self._first = ""
        self._model = ""
        self._calls: dict[str, datetime] = {}
        self._counted: dict[str, tuple[int, float]] = {}
        """Tokens and dollars of the newest replies that were told already."""
        self._turns = 0
        self._usd = 0.0

    def take(self, line: bytes, agent: str | None = None) -> list[ev.Event]:
        """What a line says; nothing when that is nothing to us. `agent` names the subagent that wrote it."""
        try:
            raw = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []
        message = raw.get("message")
        if raw.get("isSidechain") is True:
            agent = agent or _text(raw.get("agentId")) or "subagent"
        at = moment(raw.get("timestamp"))
        kind = raw.get("type")
        found: list[ev.Event] = []
        if kind == "assistant" and isinstance(message, dict):
            found = list(self._assistant(raw, message, at, agent))
        elif kind == "user" and isinstance(message, dict):
            found = list(self._user(raw, message, at, agent))
        elif kind == "system" and raw.get("subtype") == "api_error":
            found = [_retry(raw)]
        if not found:
            return []
        self.last = max(self.last, stamp(min(at, now()))) if at else self.last or stamp(now())
        told = [self._stamped(event) for event in found]
        if kind == "user" and not self._told and len(self._early) < _MOST_EARLY:
            # The start is told with the first reply, which names the model.
            self._early += told
            return []
        told, self._early = [*self._early, *told], []
        return [*self._begin(told[0].ts), *told]

    def end(self, reason: str) -> list[ev.Event]:
        """What tells that the session is over, or only silent."""
        if not self.begun:
            return []
        self.begun = False
        ms = round((_parsed(self.last) - _parsed(self._first)).total_seconds() * 1000)
        over = ev.SessionEnded(reason=reason, ms=max(0, ms), turns=self._turns, usd=round(self._usd, 6))
        return [self._stamped(over)]

    def _begin(self, at: str) -> list[ev.Event]:
        if self.begun:
            return []
        started = ev.SessionStarted(sdk_session=self.name, model=self._model, resumed=self._told)
        self.begun = self._told = True
        self._first = self._first or at
        return [msgspec.structs.replace(self._stamped(started), ts=at)]

    def _stamped(self, event: ev.Event) -> ev.Event:
        return msgspec.structs.replace(event, ts=self.last, session=self.session, role=ROLE)

    # --- What lines say ---------------------------------------------------------------------------------

    def _assistant(
        self, raw: Mapping[str, Any], message: Mapping[str, Any], at: datetime | None, agent: str | None
    ) -> Iterator[ev.Event]:
        model = _text(message.get("model"))
        failed = raw.get("isApiErrorMessage") is True
        if not failed and agent is None:
            self._model = model or self._model
        for block in _blocks(message.get("content")):
            kind = block.get("type")
            text = _text(block.get(kind)) if kind in ("text", "thinking") else ""
            if kind == "text" and text and failed:
                yield ev.Error(message=text, kind=_text(raw.get("error")) or "api")
            elif kind == "text" and text:
                yield ev.Text(text=text, agent=agent)
            elif kind == "thinking" and text:
                yield ev.Thinking(text=text, agent=agent)
            elif kind == "tool_use":
                yield self._call(block, at, agent)
        yield from self._cost(message, model, agent)

    def _call(self, block: Mapping[str, Any], at: datetime | None, agent: str | None) -> ev.Event:
        name, given = _text(block.get("id")), block.get("input")
        if at is not None and len(self._calls) < _MOST_CALLS:
            self._calls[name] = at
        tool = _text(block.get("name")) or "tool"
        return ev.ToolUse(
            tool_use_id=name, tool=tool, input=given if isinstance(given, dict) else {}, agent=agent
        )

    def _cost(self, message: Mapping[str, Any], model: str, agent: str | None) -> Iterator[ev.Event]:
        """What the reply has cost beyond what was told: each of its blocks repeats its sum so far."""
        told = message.get("usage")
        if not isinstance(told, dict):
            return
        usage, reply = Usage.of(told, {}), _text(message.get("id"))
        tokens, usd = usage.total, price(model, usage)
        is_new = reply not in self._counted
        before = self._counted.pop(reply, (0, 0.0))
        if reply:
            self._counted[reply] = max(before, (tokens, usd))
        if len(self._counted) > _REPLIES:
            del self._counted[next(iter(self._counted))]
        if tokens <= before[0]:
            return
        self._turns += is_new
        self._usd += usd - before[1]
        yield ev.Cost(
            usd=usd - before[1],
            tokens=tokens - before[0],
            turns=int(is_new),
            phase="",
            context=0 if agent else usage.context,
            agent=agent,
        )

    def _user(
        self, raw: Mapping[str, Any], message: Mapping[str, Any], at: datetime | None, agent: str | None
    ) -> Iterator[ev.Event]:
        hidden = raw.get("isMeta") is True or raw.get("isCompactSummary") is True
        for block in _blocks(message.get("content")):
            if block.get("type") == "tool_result":
                yield self._result(block, at, agent)
            elif not hidden and (text := _text(block.get("text")).strip()):
                # What the agent was told, as a quotation: these are not its own words.
                yield ev.Text(text=textwrap.indent(text, "> ", lambda _: True), agent=agent)

    def _result(self, block: Mapping[str, Any], at: datetime | None, agent: str | None) -> ev.Event:
        name = _text(block.get("tool_use_id"))
        since = self._calls.pop(name, None)
        ms = round((at - since).total_seconds() * 1000) if at and since else 0
        parts = (_text(item.get("text")) or f"[{item.get('type')}]" for item in _blocks(block.get("content")))
        output = "\n".join(parts)[:OUTPUT]
        failed = block.get("is_error") is True
        return ev.ToolResult(tool_use_id=name, ok=not failed, ms=max(0, ms), output=output, agent=agent)


def _retry(raw: Mapping[str, Any]) -> ev.Event:
    error = raw.get("error")
    status = error.get("status") if isinstance(error, dict) else None
    return ev.Retry(
        attempt=_count(raw.get("retryAttempt")),
        max=_count(raw.get("maxRetries")),
        delay_ms=_count(raw.get("retryInMs")),
        status=status if isinstance(status, int) else None,
        error=_text(error.get("message")) if isinstance(error, dict) else _text(error),
    )


def _blocks(content: object) -> Iterable[Mapping[str, Any]]:
    """A message's content as blocks, whether it is text or a list of them."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return max(0, round(value)) if isinstance(value, int | float) else 0


def moment(value: object) -> datetime | None:
    """A time with its zone; None for what isn't one, since events are reckoned with each other."""
    try:
        return datetime.fromisoformat(_text(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def now() -> datetime:
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """A time as events have it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parsed(written: str) -> datetime:
    return datetime.fromisoformat(written)
