"""The three clocks of a session: how long it works, how long it is silent, how long a tool call runs.

Measured by asking, not by arriving messages, so a session that says nothing at all is noticed too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness_core.config import Timeouts
from harness_core.record.events import SILENCE

TOOL_GRACE = 30.0
"""Seconds that a tool call may be overdue: the CLI ends a command itself at its time, and so the agent learns
that it took too long. Only what the CLI leaves running costs the session."""


@dataclass(frozen=True)
class Overdue:
    """Which clock has run out (`session`, `tool` or `stall`), and how long it took, in seconds."""

    clock: str
    seconds: float

    @property
    def what(self) -> str:
        return {"session": "the session at work", "tool": "a tool call under way", "stall": SILENCE}[
            self.clock
        ]

    def __str__(self) -> str:
        return f"{self.what} for {self.seconds:.0f} s"


class Clocks:
    """Times are seconds of a monotonic clock, handed in. `worked` is what the session has worked already, in
    an engine or a CLI before this one."""

    def __init__(self, timeouts: Timeouts, now: float, worked: float = 0.0) -> None:
        self._timeouts = timeouts
        self._worked = worked
        self._looked = now
        self._sign = now
        self._absences: list[tuple[float, float]] = []

    def sign(self, now: float, wait: float = 0.0) -> None:
        """A sign of life; one that announces a wait of `wait` seconds is good until the wait is over."""
        self._sign = now + wait

    def absent(self, now: float) -> None:
        """Nobody has listened until now: who was stopped meanwhile has heard no silence, and done no work."""
        self._absences.append((self._looked, now))
        self._sign = max(self._sign, now)
        self._looked = now

    def overdue(self, now: float, running: Iterable[float]) -> Overdue | None:
        """The clock that has run out, if one has. `running` holds when each open tool call started.

        An announced wait counts neither as work nor as silence, a running tool not as silence.
        """
        if now >= self._sign:
            self._worked += now - self._looked
        self._looked = now
        longest = max((now - since - self._absent_since(since) for since in running), default=None)
        if self._worked > self._timeouts.session * 60:
            return Overdue("session", self._worked)
        if longest is not None:
            return Overdue("tool", longest) if longest > self._timeouts.tool * 60 + TOOL_GRACE else None
        silent = now - self._sign
        return Overdue("stall", silent) if silent > self._timeouts.stall * 60 else None

    def _absent_since(self, since: float) -> float:
        return sum(end - max(begin, since) for begin, end in self._absences if end > since)
