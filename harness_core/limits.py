"""Limits are hard: asked before every session and after every batch of tool calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from harness_core.config import Limits, limited
from harness_core.errors import Mistake
from harness_core.record.state import RunState

NEAR = 0.8
"""The part of a limit from which on it is told that it comes near."""
NAMES = tuple(field.name for field in msgspec.structs.fields(Limits))
NONE = "none"
"""The word that takes a limit away."""


@dataclass(frozen=True)
class LimitHit:
    """A limit by its name (`max_usd`), what was used, what was allowed."""

    name: str
    value: float
    cap: float

    def __str__(self) -> str:
        return f"{self.name.replace('_', '-')} {self.cap:g} is reached ({self.value:.4g} used)"


def used(state: RunState, at: str = "") -> dict[str, float]:
    """What a run has used, by the name of the limit that bounds it.

    `at` is the present time, for a run that works without an event to show for it; without it the newest
    event's time counts.
    """
    return {
        "max_usd": state.usd,
        "max_tokens": state.tokens,
        "max_turns": state.turns,
        "max_sessions": state.sessions,
        "max_hours": state.active_at(at) / 3_600_000,
    }


def reached(limits: Limits, state: RunState, *, new_session: bool = False, at: str = "") -> LimitHit | None:
    """The first limit that leaves no room for another request (or, asked for one, another session)."""
    taken = used(state, at)
    for name, cap in limits.given().items():
        if taken[name] >= cap and (new_session or name != "max_sessions"):
            return LimitHit(name, taken[name], cap)
    return None


def near(limits: Limits, state: RunState, at: str = "") -> list[LimitHit]:
    """The limits of which most is used, and of which that hasn't been said yet."""
    taken = used(state, at)
    return [
        LimitHit(name, taken[name], cap)
        for name, cap in limits.given().items()
        if taken[name] >= NEAR * cap and name not in state.limits_near
    ]


class Usage(msgspec.Struct, frozen=True):
    """One limit, set or not, and how much of what it bounds is used."""

    name: str
    used: float
    cap: float | None


def usage(caps: Mapping[str, float], state: RunState) -> list[Usage]:
    """Every limit, set to `caps`, with what is used as it stands in the journal."""
    return [Usage(name, value, caps.get(name)) for name, value in used(state).items()]


def in_words(one: Usage) -> str:
    """A limit on a line, as columns: its name, what is used, what is allowed."""
    name = one.name.replace("_", "-")
    much = f"{one.used:,.2f}" if one.name in ("max_usd", "max_hours") else f"{one.used:,.0f}"
    if one.cap is None:
        return f"{name:13} {much:>14} used   no limit"
    over = " · reached" if one.used >= one.cap else ""
    return f"{name:13} {much:>14} used   of {one.cap:,.15g} ({one.used / one.cap:.0%}){over}"


def changes(given: Mapping[str, str | None]) -> dict[str, float | None]:
    """What the operator's words ask for, by the limit's name; a name without words asks for nothing.

    Raises Mistake for what is no limit.
    """
    asked: dict[str, float | None] = {}
    for name, word in given.items():
        if word is None:
            continue
        try:
            asked[name] = None if word.lower() == NONE else float(word)
        except ValueError:
            raise Mistake(f"--{name.replace('_', '-')} {word}: give a number, or {NONE}") from None
    limited(Limits(), asked)
    return asked


def spoken(text: str) -> dict[str, float | None]:
    """What a line such as `usd 50, hours none` asks for. Raises Mistake."""
    given: dict[str, str | None] = {}
    for part in text.split(","):
        words = part.split()
        if len(words) != 2:
            raise Mistake("name a limit and what it should be, as in: usd 50, hours none")
        name = "max_" + words[0].lower().replace("-", "_").removeprefix("max_")
        if name not in NAMES:
            known = ", ".join(limit.removeprefix("max_") for limit in NAMES)
            raise Mistake(f"{words[0]} is no limit: there are {known}")
        given[name] = words[1]
    return changes(given)
