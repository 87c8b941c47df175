"""The three clocks of a session: how long it works, how long it is silent, how long a tool call runs.

Measured by asking, not by arriving messages, so a session that says nothing at all is noticed too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness_core.config import Timeouts


@dataclass(frozen=True)
class Overdue:
    """Which clock has run out (`session`, `tool` or `stall`), and how long it took, in seconds."""

    clock: str
    seconds: float

    def __str__(self) -> str:
        return {"session": "the session", "tool": "a tool call", "stall": "silence"}[self.clock]


class Clocks:
    """Times are seconds of a monotonic clock, handed in."""

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._worked = 0.0
        self._looked = now
        self._sign = now

    def sign(self, now: float, wait: float = 0.0) -> None:
        """A sign of life; one that announces a wait of `wait` seconds is good until the wait is over."""
        self._sign = now + wait

    def absent(self, now: float) -> None:
        """Nobody has listened until now: who was stopped meanwhile has heard no silence, and done no work."""
        self._sign = max(self._sign, now)
        self._looked = now

    def overdue(self, now: float, running: Iterable[float]) -> Overdue | None:
        """The clock that has run out, if one has. `running` holds when each open tool call started.

        An announced wait counts neither as work nor as silence, a running tool not as silence.
        """
        if now >= self._sign:
            self._worked += now - self._looked
        self._looked = now
        longest = max((now - since for since in running), default=None)
        if self._worked > self._timeouts.session * 60:
            return Overdue("session", self._worked)
        if longest is not None:
            return Overdue("tool", longest) if longest > self._timeouts.tool * 60 else None
        silent = now - self._sign
        return Overdue("stall", silent) if silent > self._timeouts.stall * 60 else None
