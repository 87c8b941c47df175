"""A run as readable lines: what the agents say and do, as it happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from harness_core import events as ev
from tui.safe import one_line, safe

_WIDTH = 150
_Lines = list[tuple[str, str]]
"""What an event looks like: (style, text) per line."""


class StreamPrinter:
    """Prints events. Give it each event once, in order."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tools: dict[str, str] = {}

    def __call__(self, event: ev.Event) -> None:
        """Print `event`, if it is one that an operator watches for."""
        if isinstance(event, ev.ToolUse):
            self._tools[event.tool_use_id] = f"{event.tool} {_shown_input(event.tool, event.input)}"
            return
        if isinstance(event, ev.ToolResult):
            self._result(event)
            return
        show = _SHOWN.get(type(event))
        for style, line in show(event) if show else ():
            self._line(line, style)

    def _line(self, line: str, style: str) -> None:
        self._console.print(Text(safe(line).replace("\n", " "), style=style), soft_wrap=True)

    def _result(self, event: ev.ToolResult) -> None:
        call = self._tools.pop(event.tool_use_id, "a call")
        glyph, style = ("·", "dim") if event.ok else ("✗", "red")
        agent = "↳ " if event.agent else ""
        self._line(f"  {glyph} {agent}{call}  {event.ms} ms", style)
        if not event.ok and event.output:
            self._line(f"    {one_line(event.output, _WIDTH)}", "red")


def _shown_input(tool: str, values: Mapping[str, Any]) -> str:
    for key in ("command", "file_path", "pattern", "feature", "action", "description"):
        if key in values:
            return one_line(str(values[key]), _WIDTH - 30)
    return one_line(json.dumps(values, ensure_ascii=False), _WIDTH - 30) if values else ""


def _started(event: ev.RunStarted) -> _Lines:
    said = ", ".join(f"{name.replace('_', '-')} {value:g}" for name, value in event.limits.items())
    limits = f"Limits: {said}" if said else "No limit is set: the run may spend what it takes"
    return [("bold", f"● run {event.run_id} · {event.preset}"), ("yellow", f"  {limits}")]


def _resumed(event: ev.RunResumed) -> _Lines:
    ended = [("yellow", f"  ended what was left alive: {one_line(item)}") for item in event.ended]
    return [("bold", "● the run goes on"), *ended]


def _session_started(event: ev.SessionStarted) -> _Lines:
    feature = f" · {one_line(event.feature)}" if event.feature else ""
    again = " · resumed" if event.resumed else ""
    return [
        ("", ""),
        ("bold cyan", f"━━ session {event.session} · {event.role}{feature} · {one_line(event.model)}{again}"),
    ]


def _session_ended(event: ev.SessionEnded) -> _Lines:
    return [("cyan", f"━━ {event.reason} · {event.ms / 1000:.1f} s · {event.turns} turns · ${event.usd:.4f}")]


def _text(event: ev.Text) -> _Lines:
    return [
        ("" if event.agent is None else "dim", f"  {line}")
        for line in safe(event.text).splitlines()
        if line.strip()
    ]


def _denied(event: ev.GuardDecision) -> _Lines:
    return [("bold red", f"  ⊘ {event.guard} denied {one_line(event.tool)}: {one_line(event.reason)}")]


def _feature(event: ev.FeatureChanged) -> _Lines:
    style = "green" if event.to in ("claimed", "verified", "approved") else "yellow"
    note = f" · {one_line(event.note, _WIDTH)}" if event.note else ""
    return [(style, f"  ◆ {one_line(event.feature)}: {event.from_} → {event.to} (by {event.by}){note}")]


def _verdict(event: ev.Verdict) -> _Lines:
    style = "green" if event.verdict == "PASS" else "yellow"
    found = [(style, f"    {one_line(item.where, _WIDTH)}") for item in event.findings]
    return [(f"bold {style}", f"  ⚖ {event.verdict} on {one_line(', '.join(event.scope))}"), *found]


def _stopped(event: ev.StopConfirmed) -> _Lines:
    left = [("red", f"    still alive: {one_line(item)}") for item in event.survivors]
    return [("bold yellow", f"  ■ stopped ({event.mode}), confirmed"), *left]


def _asked(event: ev.CheckpointOpened) -> _Lines:
    return [
        ("bold magenta", f"  ? checkpoint {event.id} ({event.kind}): {one_line(event.summary)}"),
        (
            "magenta",
            f"    answer with `longwatch approve DIR {event.id}`, `longwatch reject DIR {event.id} --note …`",
        ),
    ]


def _line(style: str, form: Callable[[Any], str]) -> Callable[[Any], _Lines]:
    return lambda event: [(style, f"  {form(event)}")]


_SHOWN: dict[type[ev.Event], Callable[[Any], _Lines]] = {
    ev.RunStarted: _started,
    ev.RunResumed: _resumed,
    ev.SessionStarted: _session_started,
    ev.SessionEnded: _session_ended,
    ev.Text: _text,
    ev.GuardDecision: _denied,
    ev.FeatureChanged: _feature,
    ev.Verdict: _verdict,
    ev.StopConfirmed: _stopped,
    ev.CheckpointOpened: _asked,
    ev.RunEnded: _line("bold", lambda e: f"● ended: {one_line(e.reason)} (exit {e.exit})"),
    ev.ContractFrozen: _line("green", lambda e: f"◆ contract frozen: {len(e.features)} features"),
    ev.ContractTampered: _line("bold red", lambda e: f"⚠ contract tampered and restored: {one_line(e.what)}"),
    ev.EvidenceCaptured: _line("dim", lambda e: f"▣ {one_line(e.path)} ({e.size} bytes)"),
    ev.Commit: _line("blue", lambda e: f"⎇ {e.sha[:8]} {one_line(e.subject, _WIDTH)} (by {e.by})"),
    ev.SteerQueued: _line(
        "magenta", lambda e: f"✎ steering {e.id} queued ({e.mode}): {one_line(e.text, _WIDTH)}"
    ),
    ev.SteerDelivered: _line("magenta", lambda e: f"✎ steering {e.id} delivered"),
    ev.SteerAcknowledged: _line("magenta", lambda e: f"✎ steering {e.id} acknowledged"),
    ev.StopRequested: _line("yellow", lambda e: f"■ stop requested ({e.mode})"),
    ev.StopCleared: _line("yellow", lambda e: "▶ stop cleared"),
    ev.CheckpointDecided: _line(
        "magenta", lambda e: f"? checkpoint {e.id}: {e.decision} by {one_line(e.by)}"
    ),
    ev.RateLimited: _line(
        "yellow", lambda e: f"⏳ rate limit {e.status} {e.window}, resets {e.resets_at or 'unknown'}"
    ),
    ev.Retry: _line(
        "yellow",
        lambda e: f"↻ retry {e.attempt} of {e.max} in {e.delay_ms / 1000:.1f} s ({e.status or e.error})",
    ),
    ev.StallDetected: _line("bold red", lambda e: f"⚠ {e.what} for {e.seconds:.0f} s"),
    ev.LimitReached: _line("bold red", lambda e: f"⚠ limit {e.limit} reached: {e.value:g} of {e.cap:g}"),
    ev.AppChanged: _line("dim", lambda e: f"⚙ app {e.action}: {one_line(e.detail, _WIDTH)}"),
    ev.Error: _line("bold red", lambda e: f"✗ {one_line(e.message, _WIDTH)}"),
}
