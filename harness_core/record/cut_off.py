"""What a killed engine left under way, as the end of its journal tells it."""

from __future__ import annotations

from pathlib import Path

from harness_core.record import events as ev
from harness_core.record.journal import Tail

_TAIL = 256 << 10
"""Bytes of a journal's end that are looked at: what was under way began not long before."""


def cut_off_calls(journal: Path) -> list[ev.ToolUse]:
    """The tool calls that had begun and not ended when the engine before the present one went."""
    before: dict[str, ev.ToolUse] = {}
    under_way: dict[str, ev.ToolUse] = {}
    for event in Tail(journal, max(0, journal.stat().st_size - _TAIL)).read_all():
        match event:
            case ev.RunStarted() | ev.RunResumed():
                before, under_way = under_way, {}
            case ev.ToolUse():
                under_way[event.tool_use_id] = event
            case ev.ToolResult():
                under_way.pop(event.tool_use_id, None)
    return list(before.values())
