"""Circles: whether a session's agents go round in them, what they are told, and when that is enough."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness_core import loops
from harness_core.evidence import claim as evd
from harness_core.guards.tools import WRITERS, target
from harness_core.record import events as ev
from harness_core.run import Run

_AGENTS = 16
"""Agents whose last calls are kept at once."""


@dataclass
class Circles:
    """Follows a session's calls, its subagents' apart. `closed` is the circle that ends the session."""

    run: Run
    closed: loops.Circle | None = None
    _held: dict[str | None, loops.Loops] = field(default_factory=dict)
    """By the agent that goes round: a subagent, or None for the session's own."""
    _warnings: loops.Warnings = field(default_factory=loops.Warnings)

    async def warned(self, agent: str | None, calls: Sequence[Mapping[str, Any]]) -> str:
        """What an agent is told that goes round with these calls; once it was told before, that is enough."""
        if len(self._held) > _AGENTS:
            self._held.clear()
        held = self._held.setdefault(agent, loops.Loops())
        for call in calls:
            circle = await self._circle(held, call)
            if circle is None:
                continue
            again = self._warnings.again(circle)
            after = ", after it was told so" if again else ""
            self.run.emit(ev.LoopDetected(what=circle.what + after, times=circle.times))
            if again:
                self.closed = circle
            return loops.warning(circle)
        return ""

    async def _circle(self, held: loops.Loops, call: Mapping[str, Any]) -> loops.Circle | None:
        """The circle that this call closes. The project's files are looked at where the call came before."""
        tool, arguments = str(call.get("tool_name")), call.get("tool_input") or {}
        done = loops.ended(tool, arguments, call.get("tool_response"))
        if held.knows(done):
            tree = await asyncio.to_thread(self.run.git.fingerprint)
            done = dataclasses.replace(done, tree=tree)
        circle = held.take(done)
        if circle is None and tool in WRITERS:
            path = evd.relative_to(self.run.dir.root, target(tool, arguments))
            content = evd.fingerprint(self.run.dir.root / path) if path is not None else None
            if path is not None and content is not None:
                return held.take_content(path, content.sha256)
        return circle
