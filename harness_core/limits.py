"""Limits are hard: asked before every session and after every batch of tool calls."""

from __future__ import annotations

from dataclasses import dataclass

from harness_core.config import Limits
from harness_core.state import RunState


@dataclass(frozen=True)
class LimitHit:
    """A limit by its name (`max_usd`), what was used, what was allowed."""

    name: str
    value: float
    cap: float

    def __str__(self) -> str:
        return f"{self.name.replace('_', '-')} {self.cap:g} is reached ({self.value:.4g} used)"


def reached(limits: Limits, state: RunState, *, new_session: bool = False, at: str = "") -> LimitHit | None:
    """The first limit that leaves no room for another request (or, asked for one, another session).

    `at` is the present time, for a run that works without an event to show for it; without it the newest
    event's time counts.
    """
    used: dict[str, float] = {
        "max_usd": state.usd,
        "max_tokens": state.tokens,
        "max_turns": state.turns,
        "max_hours": state.active_at(at) / 3_600_000,
    }
    if new_session:
        used["max_sessions"] = state.sessions
    for name, cap in limits.given().items():
        if name in used and used[name] >= cap:
            return LimitHit(name, used[name], cap)
    return None
